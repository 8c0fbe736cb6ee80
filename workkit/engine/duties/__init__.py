"""Background duties of a pool, one per file.

A duty's `step(now)` yields round trips and returns the seconds until its next turn. It owns no
thread or connection and never sleeps; a loop of the pool, or the simulator, drives it.
"""
