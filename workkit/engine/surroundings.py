"""What surrounds the jobs of one run of a pool: the handlers' loop, lifespans, and hooks.

The loop opens first. Then lifespans are entered and start hooks called, in the order of
registration. At the end stop hooks are called, lifespans are left in reverse, and the loop closes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workkit.engine.handling import events
from workkit.engine.handling.lifespans import Lives
from workkit.engine.runners import PoolLoop
from workkit.engine.spec import PoolSpec
from workkit.errors import LifespanFailed

__all__ = ["Surroundings"]

#: How long tasks that still run when the loop closes may take to end, seconds.
_TASKS_S: Final = 2.0


class Surroundings:
    """Opens and closes what surrounds the jobs, once for each run.

    Args:
        spec: The pool's registrations and options.
    """

    def __init__(self, spec: PoolSpec) -> None:
        self._spec = spec
        self._begin()

    def _begin(self) -> None:
        self.loop = PoolLoop()
        self._lives = Lives(tuple(self._spec.lifespans), self._spec.values, self.loop)

    def open(self, cancelled: Callable[[], bool]) -> None:
        """Open the loop, enter lifespans, call start hooks.

        Args:
            cancelled: Tells whether the start was cancelled.

        Raises:
            LifespanFailed: A lifespan has failed.
            PoolState: The start was cancelled.
            InvalidHandler: A task wants a value that no lifespan has yielded.
            BaseException: The error of a start hook.
        """
        self._begin()
        self._spec.events.loop = self.loop
        self._lives.enter(cancelled)
        for check in self._spec.value_checks:
            check(self._spec.values)
        for hook in self._spec.start_hooks:
            events.run_hook(hook, loop=self.loop)

    def runs_here(self) -> bool:
        """Tell whether the caller is an async hook, a lifespan, or a task that one has made."""
        return self.loop.runs_here() or self._lives.runs_here()

    def fail(self) -> None:
        """Close after a start that has failed; log the errors of lifespans."""
        try:
            self._lives.leave()
        finally:
            self.loop.close(wait_s=_TASKS_S)

    def close(self, may_take_s: Callable[[float], float]) -> LifespanFailed | None:
        """Call stop hooks, leave lifespans, close the loop.

        Args:
            may_take_s: Returns how long a part of the stop may take, at most its argument, seconds.

        Returns:
            The first error of a lifespan; all errors are logged.
        """
        failed: list[LifespanFailed] = []
        try:
            events.call_stop_hooks(self._spec.stop_hooks, self.loop)
            failed = self._lives.leave()
        finally:
            self.loop.close(wait_s=may_take_s(_TASKS_S))
        return failed[0] if failed else None
