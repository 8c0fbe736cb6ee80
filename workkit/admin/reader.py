"""The protocol for reading a namespace. `Client`, `Snapshot` and `Moment` implement it.

The console, the notebook views, the frames and the reading commands use this protocol and the
records of `workkit.core.records`. They do not use Redis.
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
    """Reads one namespace. Threads may share it.

    With a server, each method raises `ServerError` if the server does not answer or refuses.
    """

    @property
    def label(self) -> str:
        """The source's name for people: a namespace and its server without passwords, or a file."""
        ...

    @property
    def live(self) -> bool:
        """Whether the data can change; False for a snapshot and for a moment of a recording."""
        ...

    def now_s(self) -> float:
        """Return the time for computing ages, epoch seconds: now, or when the data was read."""
        ...

    def overview(self) -> Overview:
        """Return queues, pools and sizes in a constant number of round trips."""
        ...

    def watch(self) -> OverviewWatch:
        """Return a watch: it reads overviews repeatedly, and each time only the changes."""
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
        """Return some jobs of a place. The cost does not depend on `start`.

        Args:
            place: The place.
            start: How many jobs to skip.
            count: How many jobs to return at most.
            reverse: Begin at the other end: latest due, last dead, newest in the queue.

        Raises:
            InvalidOption: `start` or `count` is not a valid non-negative integer.
            InvalidName: The queue's name is not valid.
        """
        ...

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> Iterator[Batch[WaitingJob]]:
        """Walk a whole place, batch by batch, so that the caller can stop and show progress.

        In a set, the walk returns each job that stays exactly once, even if other jobs come and go.
        In a queue, this is true with `reverse`. Without it, the walk can miss jobs that shift when
        a pool takes the jobs before them.

        Args:
            place: The place.
            reverse: Begin at the other end, as for `jobs`.
            size: Jobs in a batch at most.
        """
        ...

    def find(self, job_id: str) -> Found | None:
        """Find a job by its id. Reads every queue and set."""
        ...

    def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return the facts that decide whether a job runs, for `workkit.admin.explain.why`.

        Args:
            placed: The job.
            seen: An overview that was read just now. With it, fewer round trips are needed.
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
        """Walk the executions in history, the newest first; see `Client.history`."""
        ...

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> Iterator[Sequence[PackedHistory]]:
        """Walk the packed entries of history, the oldest first; see `Client.packed_history`."""
        ...

    def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return a sample of the last executions, the newest first, in one round trip."""
        ...

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job that history still has, the oldest first."""
        ...

    def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many are left."""
        ...
