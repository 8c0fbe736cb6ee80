"""Several worker processes as one program: `workkit worker --processes`, `--max-jobs`, `--max-rss`.

`policy` makes the decisions, without processes or clocks. `parent` starts, signals and reaps the
real processes for it. `child` is the part inside each process. `channel` carries their messages.
"""
