"""Follows a job that runs until it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workkit.admin.steps.history import HistoryRecord
from workkit.core.outcomes import OUTCOMES
from workkit.core.records import Overview, WorkerObservation
from workkit_tui.model.words import ago

__all__ = ["RunningJob"]


@dataclass(slots=True)
class RunningJob:
    """The state of a job that runs.

    Attributes:
        job_id: Its id.
        pool_id: The pool that holds it; "" if only its worker is known.
        worker: The last observation of its worker; None before the worker was found.
        has_ended: Whether its worker no longer runs it.
    """

    job_id: str
    pool_id: str = ""
    worker: WorkerObservation | None = None
    has_ended: bool = False

    def worker_ids(self, seen: Overview) -> list[str]:
        """Return the workers that may run it: its own, or those of its pool."""
        if self.worker is not None:
            return [self.worker.worker_id]
        pools = (pool for pool in seen.pools if pool.worker_pool_id == self.pool_id)
        return [worker for pool in pools for worker in pool.worker_ids]

    def take(self, observed: Sequence[WorkerObservation]) -> None:
        """Update from what those workers run now."""
        own = (each for each in observed if each.is_busy and each.job_id == self.job_id)
        found = next(own, None)
        if found is not None:
            self.worker, self.has_ended = found, False
        elif self.worker is not None:
            self.has_ended = True

    def end(self, attempts: Sequence[HistoryRecord]) -> HistoryRecord | None:
        """Return the execution that has ended; None while history does not have it."""
        since_ms = 1_000 * self.worker.started_at if self.worker is not None else 0
        ended = [each for each in attempts if each.finished_ms >= since_ms]
        return ended[-1] if ended else None

    def words(self, attempts: Sequence[HistoryRecord], now_s: float) -> str:
        """Return its state in words.

        Args:
            attempts: Its executions in history, the oldest first.
            now_s: Epoch seconds.
        """
        if self.worker is None:
            return f"running, held by pool {self.pool_id}"
        if not self.has_ended:
            return f"running for {ago(self.worker.started_at, now_s)}"
        record = self.end(attempts)
        if record is None:
            return "has ended: its worker no longer runs it; f finds it"
        since = ago(record.finished_ms / 1_000, now_s)
        rule = OUTCOMES.get(record.outcome)  # type: ignore[call-overload]
        return (rule.ended if rule else "has ended {ago} ago").format(ago=since)
