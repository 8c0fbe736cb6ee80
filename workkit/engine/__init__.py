"""One worker pool.

`engine.py` puts the parts together, `driver.py` runs them on threads, and `serving.py` is the life
of a pool. The parts have folders by role:

- `dispatch`: claims jobs, starts them, settles them.
- `duties`: the work of a pool in the background, one duty a file.
- `handling`: one execution of a job, from its handler to its fate.
- `runners`: where handlers run: threads and an event loop.
- `process`: identity, signals, wake-ups, outages.
"""
