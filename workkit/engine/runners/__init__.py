"""Where handlers run: worker threads, an event loop, and both side by side.

A runner is given executions by the dispatcher, starts them in order as workers become free, and
hands each back through `done` exactly once, on whatever thread it ended. An execution that was
abandoned or withdrawn is not handed back.
"""

from __future__ import annotations

from workkit.engine.runners.base import Runner, Slots
from workkit.engine.runners.both import HandlerRunner
from workkit.engine.runners.pool_loop import PoolLoop

__all__ = ["HandlerRunner", "PoolLoop", "Runner", "Slots"]
