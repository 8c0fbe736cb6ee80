"""A namespace as it was at one time of a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NoReturn

from workkit.admin.actions.outcomes import Operation
from workkit.admin.acts.act import Act
from workkit.admin.acts.reading import ActFilter
from workkit.admin.explain import Circumstances, pool_of, recorded_circumstances
from workkit.admin.steps.history import HistoryExtent, HistoryQuery, HistoryRecord
from workkit.admin.steps.walk import WaitingJob, record
from workkit.admin.trends import Trends
from workkit.core.history import PackedHistory
from workkit.core.job import Job
from workkit.core.options import check_whole
from workkit.core.records import (
    Batch,
    CronEntry,
    DeadJob,
    Found,
    Overview,
    Page,
    Place,
    Placed,
    Queue,
    QueuedJob,
    RetryJob,
    ScheduledJob,
    WorkerObservation,
    WorkerPoolHeartbeat,
    check_place,
)
from workkit.errors import InvalidOption
from workkit.recording.details import Details

__all__ = ["NOT_RECORDED", "Moment"]

_MOST: Final = 10**14
_MOST_AT_ONCE: Final = 10_000
#: Why a job of a moment has no fields.
NOT_RECORDED: Final = "this job was not recorded"
_GONE: Final = Job("", "", 0, None, raw=b"", undecodable=NOT_RECORDED)


class Moment:
    """A namespace as it was at one time. Implements `Reader`. Threads may share it.

    A recording has every overview, but only parts of the rest: busy workers, the jobs at one end of
    each place, cron entries, acts, failures, and a sample of executions. In place of other jobs
    there is one whose `undecodable` says that it was not recorded.

    Attributes:
        at_s: The time that was asked for, epoch seconds.
        trends: Rates and recent executions up to then.
        details_at_s: When workers, jobs and the rest were read; None if they were not.
        gap: The last reading before and the next one after a time that was not recorded (None if
            there is none after it); None if this time was recorded.
    """

    def __init__(
        self,
        label: str,
        at_s: float,
        seen: Overview,
        trends: Trends,
        details: Details | None,
        gap: tuple[float, float | None] | None,
    ) -> None:
        self.at_s = at_s
        self.trends = trends
        self.gap = gap
        self.details_at_s = details.at_s if details is not None else None
        self._label = label
        self._seen = seen
        self._details = details or Details(seen.taken_at)

    @property
    def label(self) -> str:
        """The source's name, and the file."""
        return self._label

    @property
    def live(self) -> bool:
        """False: the past does not change."""
        return False

    def now_s(self) -> float:
        """Return when the overview was read, epoch seconds."""
        return self._seen.taken_at

    def overview(self) -> Overview:
        """Return queues, pools and sizes."""
        return self._seen

    def watch(self) -> Moment:
        """Return itself: the past does not change."""
        return self

    def close(self) -> None:
        """Do nothing: the recording stays open."""

    def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        return self._seen.queues

    def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id."""
        return self._seen.pools

    def worker_observations(
        self, worker_ids: Sequence[str] | None = None
    ) -> list[WorkerObservation]:
        """Return the busy workers that were recorded, of `worker_ids` or all."""
        workers = self._details.workers
        if worker_ids is None:
            return list(workers)
        wanted = set(worker_ids)
        return [found for found in workers if found.worker_id in wanted]

    def cron(self) -> list[CronEntry]:
        """Return the cron entries that pools had declared, by name and spec."""
        return list(self._details.cron)

    def operations(self) -> list[Operation]:
        """Return the acts that could be undone, the newest first."""
        return list(self._details.operations)

    def acts(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        by: str | None = None,
        verb: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Act]:
        """Walk the recorded acts, the newest first; see `Client.acts`.

        Raises:
            InvalidOption: A filter is not valid.
        """
        wanted = ActFilter(since, until, by, verb, limit)
        return islice(filter(wanted.wants, self._details.acts), limit)

    def verify_acts(self) -> NoReturn:
        """Refuse.

        Raises:
            InvalidOption: Always: a recording has only the newest acts.
        """
        raise InvalidOption(
            "a recording has only the newest acts; `workkit audit-log --verify` looks at all"
        )

    # Jobs.

    def jobs(
        self, place: Place, start: int = 0, count: int = 20, *, reverse: bool = False
    ) -> Page[WaitingJob]:
        """Return some jobs of a place; see `Reader.jobs`.

        Raises:
            InvalidOption: `start` or `count` is not a valid non-negative integer.
        """
        check_place(place)
        check_whole("start", start, 0, _MOST)
        check_whole("count", count, 0, _MOST_AT_ONCE)
        part = self._details.places.get(place)
        total = part.total if part is not None else self._seen.size(place)
        known = self._recorded(place)
        found: list[WaitingJob] = []
        for rank in range(start, min(start + count, total)):
            # The rank from the recorded end.
            here = rank if part is not None and part.from_top == reverse else total - 1 - rank
            found.append(known[here] if here < len(known) else self._missing(place, here))
        return Page(found, total)

    def _recorded(self, place: Place) -> list[WaitingJob]:
        """Return the recorded jobs of a place, from the recorded end on."""
        part = self._details.places.get(place)
        jobs = part.jobs if part is not None else ()
        if place.queue:
            return [record(place, raw, at) for at, (raw, _) in enumerate(jobs)]
        return [record(place, raw, score) for raw, score in jobs]

    def _missing(self, place: Place, rank: int) -> WaitingJob:
        if place.kind == "queued":
            return QueuedJob(rank, _GONE)
        at_s = int(self.now_s())
        if place.kind == "dead":
            return DeadJob(at_s, _GONE)
        return RetryJob(at_s, _GONE) if place.kind == "retry" else ScheduledJob(at_s, _GONE)

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> Iterator[Batch[WaitingJob]]:
        """Walk the recorded jobs of a place, batch by batch; see `Reader.walk`."""
        check_place(place)
        check_whole("size", size, 1, _MOST_AT_ONCE)
        part, jobs = self._details.places.get(place), self._recorded(place)
        if part is not None and part.from_top != reverse:
            jobs.reverse()
        total = self._seen.size(place) if part is None else part.total
        for at in range(0, len(jobs), size):
            batch = jobs[at : at + size]
            yield Batch(batch, at + len(batch), total)

    def find(self, job_id: str) -> Found | None:
        """Find a job by its id, among those that were recorded."""
        for worker in self._details.workers:
            if worker.job_id == job_id:
                return Found(
                    "running", _running(worker), pool_id=pool_of(worker.worker_id, self._seen.pools)
                )
        for place in self._details.places:
            for placed in self._recorded(place):
                if placed.job.id == job_id:
                    return Found(placed.place, placed.job, placed.at)
        return None

    def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return the facts that decided whether a job ran. Unique keys are not recorded."""
        del seen  # a moment has only one overview
        return recorded_circumstances(
            placed,
            self.now_s(),
            self.queues(),
            self.worker_pool_heartbeats(),
            self._details.workers,
        )

    # History.

    def history(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        name: str | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> Iterator[HistoryRecord]:
        """Walk failures and a sample of the executions of the minutes before, the newest first."""
        query = HistoryQuery(since, until, name, outcome, limit)
        return islice(filter(query.wants, self._executions()), limit)

    def _executions(self) -> list[HistoryRecord]:
        """Return what is recorded of executions, the newest first; failures may be there twice."""
        both = (*self.trends.failures, *self._details.executions)
        once = {(each.job_id, each.finished_ms): each for each in both}
        return sorted(once.values(), key=lambda each: -each.finished_ms)

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> Iterator[Sequence[PackedHistory]]:
        """Walk nothing: entries of history are not recorded."""
        del after, since
        yield from ()

    def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return what is recorded of the executions of the minutes before, the newest first."""
        del entries
        return self._executions()

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return what is recorded of one job of the minutes before, the oldest first."""
        return [found for found in self._executions() if found.job_id == job_id][::-1]

    def history_extent(self) -> HistoryExtent:
        """Return how many executions history had recorded; none of them is here."""
        return HistoryExtent(self._seen.executions, 0)


def _running(worker: WorkerObservation) -> Job:
    """Return a running job, with the fields that its worker reports."""
    try:
        args = json.loads(worker.args_json or "null")
    except ValueError:
        args = None
    return Job(worker.job_name, worker.job_id, 0, args if isinstance(args, dict) else None)
