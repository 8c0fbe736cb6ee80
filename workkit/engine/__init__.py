"""One worker pool.

`spec.py` holds what the user has registered, `engine.py` assembles the parts, `driver.py` runs them
on threads, and `serving.py` is the dispatcher's loop. `health.py` says whether the pool lives and
can claim jobs, `observing.py` tells observers what it does. Each folder holds parts of one role:

- `dispatch`: claims, starts and settles jobs.
- `duties`: the background work of a pool, one duty per file.
- `handling`: one execution of a job, from its handler to its fate.
- `runners`: run handlers on threads and on an event loop.
- `process`: identity, times and random numbers, signals, wake-ups, outages.
"""
