"""Several worker processes as one program: `workkit worker --processes`, `--max-jobs`, `--max-rss`.

`policy` decides and knows neither processes nor clocks; `parent` starts, signals and reaps real
processes as the policy says; `child` is the other side, inside each of them; `channel` is what
passes between the two.
"""
