"""Run handlers: worker threads, an event loop, and the combination of both.

The dispatcher gives executions to a runner. The runner starts them in order as workers become free,
and returns each exactly once through `done`, on the thread where it ended. It does not return an
execution that was abandoned or withdrawn.
"""

from __future__ import annotations

from workkit.engine.runners.base import Runner, Slots
from workkit.engine.runners.both import HandlerRunner
from workkit.engine.runners.pool_loop import PoolLoop

__all__ = ["HandlerRunner", "PoolLoop", "Runner", "Slots"]
