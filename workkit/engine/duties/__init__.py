"""Background duties of a pool: one a file, each a step that is told the time.

A duty's `step(now)` yields exchanges and returns how many seconds later it wants its next turn. It
owns no thread, connection or sleep; a loop of the pool, or the simulator, drives it.
"""
