"""One worker pool: what it decides, what it holds, and the threads that carry it out.

Start at `engine.py`, which puts the parts together. `dispatcher.py`, `replies.py`, `start_checks.py`,
`pool_sync.py` and `deadlines.py` decide; `ledger.py`, `board.py`, `pace.py` and `admission.py` are
what they know; `serving.py` makes loops of it and `driver.py` runs them on threads.
"""
