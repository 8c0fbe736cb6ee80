"""A reader that shows no secret values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from workkit.admin.explain import Circumstances
from workkit.admin.reader import Reader
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
from workkit.snapshot.redaction import REDACTED_KEY, Redaction

__all__ = ["RedactedReader"]


class RedactedReader:
    """Reads what another reader has, without secret values. It implements `Reader`.

    Args:
        reader: A `Client`, a snapshot, or a moment of a recording.
        redaction: Removes the values; None for those of `SECRETS`.
    """

    def __init__(self, reader: Reader, redaction: Redaction | None = None) -> None:
        self._reader = reader
        self._redaction = redaction or Redaction()

    # Without secrets.

    def worker_observations(
        self, worker_ids: Sequence[str] | None = None
    ) -> list[WorkerObservation]:
        """Return what workers run; see `Reader`."""
        return [
            self._redaction.worker(each) for each in self._reader.worker_observations(worker_ids)
        ]

    def jobs(
        self, place: Place, start: int = 0, count: int = 20, *, reverse: bool = False
    ) -> Page[WaitingJob]:
        """Return some jobs of a place; see `Reader`."""
        page = self._reader.jobs(place, start, count, reverse=reverse)
        return replace(page, jobs=[self._redaction.placed(each) for each in page.jobs])

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> Iterator[Batch[WaitingJob]]:
        """Walk a whole place, batch by batch; see `Reader`."""
        for batch in self._reader.walk(place, reverse=reverse, size=size):
            yield replace(batch, jobs=[self._redaction.placed(each) for each in batch.jobs])

    def find(self, job_id: str) -> Found | None:
        """Find a job by its id; see `Reader`."""
        found = self._reader.find(job_id)
        return None if found is None else self._redaction.placed(found)

    def history(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        name: str | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> Iterator[HistoryRecord]:
        """Walk the executions in history, the newest first; see `Reader`."""
        return map(
            self._redaction.execution,
            self._reader.history(since=since, until=until, name=name, outcome=outcome, limit=limit),
        )

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> Iterator[Sequence[PackedHistory]]:
        """Walk the packed entries of history, the oldest first; see `Reader`."""
        for entries in self._reader.packed_history(after=after, since=since):
            yield [self._redaction.history(entry) for entry in entries]

    def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return a sample of the last executions, the newest first; see `Reader`."""
        return self._executions(self._reader.recent_history(entries))

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job, the oldest first; see `Reader`."""
        return self._executions(self._reader.job_history(job_id))

    def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return the facts that decide whether a job runs; see `Reader`.

        The key of a redacted unique job is a hash, so the job itself is read again.
        """
        if placed.job.unique_key.startswith(REDACTED_KEY):
            placed = self._reader.find(placed.job.id) or placed
        return self._reader.circumstances(placed, seen)

    def _executions(self, found: Iterable[HistoryRecord]) -> list[HistoryRecord]:
        return [self._redaction.execution(each) for each in found]

    # As they are.

    @property
    def label(self) -> str:
        """The source's name for people; see `Reader`."""
        return self._reader.label

    @property
    def live(self) -> bool:
        """Whether the data can change."""
        return self._reader.live

    def now_s(self) -> float:
        """Return the time for computing ages, epoch seconds."""
        return self._reader.now_s()

    def overview(self) -> Overview:
        """Return queues, pools and sizes."""
        return self._reader.overview()

    def watch(self) -> OverviewWatch:
        """Return a watch of overviews."""
        return self._reader.watch()

    def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        return self._reader.queues()

    def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id."""
        return self._reader.worker_pool_heartbeats()

    def cron(self) -> list[CronEntry]:
        """Return the cron entries that pools have declared, by name and spec."""
        return self._reader.cron()

    def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many are left."""
        return self._reader.history_extent()
