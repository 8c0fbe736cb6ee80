"""What can be read of a namespace: met by a `Client` and by a snapshot file.

The console, the notebook views, the frames and the reading commands know this protocol and the
records of `workkit.core.records`, and nothing of Redis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from workkit.admin.explain import Circumstances
from workkit.admin.steps.history import HistoryExtent, HistoryRecord
from workkit.admin.steps.walk import WaitingJob
from workkit.admin.watch import OverviewWatch
from workkit.core.history import PackedHistory
from workkit.core.records import (
    Batch,
    CronEntry,
    Found,
    Overview,
    Page,
    Place,
    Placed,
    Queue,
    WorkerObservation,
    WorkerPoolHeartbeat,
)

__all__ = ["Reader"]


@runtime_checkable
class Reader(Protocol):
    """Reads one namespace; safe to share among threads.

    Methods of a reader on a server raise `ServerError` if it does not answer or refuses.
    """

    @property
    def label(self) -> str:
        """What is read, for people: a namespace and its server without passwords, or a file."""
        ...

    @property
    def live(self) -> bool:
        """Whether what is read can change; False for a snapshot."""
        ...

    def now_s(self) -> float:
        """Return the time that ages are counted to, epoch seconds: now, or a snapshot's."""
        ...

    def overview(self) -> Overview:
        """Return queues, pools and sizes in a constant number of round trips."""
        ...

    def watch(self) -> OverviewWatch:
        """Return what reads overviews again and again, at the cost of what has changed."""
        ...

    def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        ...

    def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id."""
        ...

    def worker_observations(
        self, worker_ids: Sequence[str] | None = None
    ) -> list[WorkerObservation]:
        """Return what workers run.

        Args:
            worker_ids: Which workers; None for all.
        """
        ...

    def jobs(
        self, place: Place, start: int = 0, count: int = 20, *, reverse: bool = False
    ) -> Page[WaitingJob]:
        """Return some jobs of a place; as quick in the middle of a million as at their start.

        Args:
            place: Where.
            start: How many to leave out.
            count: How many to return at most.
            reverse: Begin at the other end: latest due, last dead, newest in the queue.

        Raises:
            InvalidOption: `start` or `count` is not a valid non-negative integer.
            InvalidName: The queue's name cannot be one.
        """
        ...

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> Iterator[Batch[WaitingJob]]:
        """Walk a whole place, batch by batch, so that the caller can stop and tell how far it is.

        In a set every job that stays is met exactly once, whatever comes and goes meanwhile. In a
        queue that holds for `reverse`; the other way, jobs that are taken meanwhile shift those
        behind them, so that some may be missed.

        Args:
            place: Where.
            reverse: Begin at the other end, as for `jobs`.
            size: How many jobs a batch has at most.
        """
        ...

    def find(self, job_id: str) -> Found | None:
        """Look for a job by its id, everywhere; reads every queue and set."""
        ...

    def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return what decides whether a job runs; `workkit.admin.explain.why` puts it in words.

        Args:
            placed: The job.
            seen: An overview, if one was read just now; it saves reading that again.
        """
        ...

    def cron(self) -> list[CronEntry]:
        """Return the cron entries that pools have declared, by name and spec."""
        ...

    def history(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        name: str | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> Iterator[HistoryRecord]:
        """Walk what ran, the newest first; see `Client.history`."""
        ...

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> Iterator[Sequence[PackedHistory]]:
        """Walk history as it is stored, the oldest first; see `Client.packed_history`."""
        ...

    def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return a sample of what ran last, the newest first, in one round trip."""
        ...

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job that history still has, the oldest first."""
        ...

    def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many are left."""
        ...
