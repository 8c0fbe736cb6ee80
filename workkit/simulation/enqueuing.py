"""The enqueuer of a world: it tells the checkers what was asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workkit.core.clock import Clock
from workkit.core.records import ScheduledJob
from workkit.enqueuer import Enqueuer
from workkit.simulation.checkers import Asked

__all__ = ["WatchedEnqueuer"]


class WatchedEnqueuer(Enqueuer):
    """An enqueuer that reports jobs with a delay or a unique key, once `tell` was called."""

    _told: Callable[[Asked], None] | None = None
    _asks: Clock

    def tell(self, clock: Clock, told: Callable[[Asked], None]) -> None:
        """Report what is asked from now on.

        Args:
            clock: The time of the callers.
            told: Called with each accepted job.
        """
        self._asks, self._told = clock, told

    def enqueue_in(self, *args: Any, **options: Any) -> Any:
        """Schedule a job; see `Enqueuer`."""
        return self._report(super().enqueue_in, args, options, delayed=True)

    def enqueue_unique(self, *args: Any, **options: Any) -> Any:
        """Put a unique job into its queue; see `Enqueuer`."""
        return self._report(super().enqueue_unique, args, options)

    def enqueue_unique_in(self, *args: Any, **options: Any) -> Any:
        """Schedule a unique job; see `Enqueuer`."""
        return self._report(super().enqueue_unique_in, args, options, delayed=True)

    def enqueue_unique_in_by_key(self, *args: Any, **options: Any) -> Any:
        """Schedule a job by key; see `Enqueuer`."""
        return self._report(super().enqueue_unique_in_by_key, args, options, delayed=True)

    def _report(
        self,
        enqueue: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        *,
        delayed: bool = False,
    ) -> Any:
        if self._told is None:
            return enqueue(*args, **options)
        asked_s = self._asks.read().epoch_ms / 1000
        result = enqueue(*args, **options)
        if result is None:
            return None
        delay_s = (args[1] if len(args) > 1 else options["seconds"]) if delayed else 0
        until = options.get("until", "start")
        if isinstance(result, ScheduledJob):
            self._told(Asked(result.job, until, asked_s + delay_s, result.run_at))
        else:
            self._told(Asked(result, until, asked_s, None))
        return result
