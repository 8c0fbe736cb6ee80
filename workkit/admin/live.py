"""Reads a namespace on a server: the base class of `Client`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, Self, TypeVar

from workkit.admin.acts.act import Act
from workkit.admin.acts.reading import ActFilter
from workkit.admin.acts.verifying import ActsVerdict, verify
from workkit.admin.explain import Circumstances
from workkit.admin.live_state import LiveState
from workkit.admin.steps import gauges as gauge_steps
from workkit.admin.steps import job_state as circumstance_steps
from workkit.admin.steps import reads as steps
from workkit.admin.steps import survey as survey_steps
from workkit.admin.steps import walk as walk_steps
from workkit.admin.steps.history import HistoryExtent, HistoryQuery, HistoryRecord, of_job, packed
from workkit.admin.steps.walk import WaitingJob
from workkit.admin.watch import LiveWatch, OverviewWatch
from workkit.core.clock import Clock
from workkit.core.gauges import Gauges
from workkit.core.history import PackedHistory
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
from workkit.store.connections.links import Carrier, carrier
from workkit.store.connections.target import RedisLike
from workkit.store.connections.watching import watch_link
from workkit.store.walking import Walk, each

__all__ = ["LiveReader"]

T = TypeVar("T")

#: Jobs on a page; as in the original.
PAGE: Final = 20
#: Jobs that a walk job by job reads at once.
WALK: Final = 500
#: The most jobs or entries of one call.
MOST_AT_ONCE: Final = 10_000


class _PollingWatch:
    """A watch for servers that announce no changes, such as simulated ones."""

    def __init__(self, reader: LiveReader) -> None:
        self._reader = reader

    def overview(self) -> Overview:
        """Return an overview."""
        return self._reader.overview()

    def close(self) -> None:
        """Do nothing: the connections belong to the reader."""


class LiveReader(LiveState):
    """Reads a namespace. Implements `workkit.Reader`. Threads may share it.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. The reader opens its own connections to that server.
        clock: The source of the time.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL.
        InvalidName: The namespace is not valid.

    Every method raises `ServerError` if Redis does not answer or refuses.
    """

    def __init__(self, namespace: str, redis: RedisLike, *, clock: Clock | None = None) -> None:
        super().__init__(namespace, clock)
        self._links: Carrier = carrier(redis, namespace)

    def close(self) -> None:
        """Close the connections. A later call opens one again."""
        self._links.close()

    def __enter__(self) -> Self:
        """Return the reader; the end of the block closes its connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    # At a glance.

    def overview(self) -> Overview:
        """Return queues, pools and sizes, always in three round trips."""
        return self._links.carry(survey_steps.overview(self._keys, self._clock.read().epoch_ms))

    def gauges(self) -> Gauges:
        """Return the numbers of the namespace for monitoring, in at most three round trips."""
        return self._links.carry(gauge_steps.gauges(self._keys, self._clock.read().epoch_ms))

    def watch(self) -> OverviewWatch:
        """Return a watch: it reads overviews repeatedly, and each time only the changes."""
        link = watch_link(self._links)
        return LiveWatch(self._keys, link, self._clock) if link is not None else _PollingWatch(self)

    def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        return self._links.carry(steps.queues(self._keys, self._now_s()))

    def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id. Without a heartbeat, a pool's numbers are 0."""
        return self._links.carry(steps.heartbeats(self._keys))

    def worker_observations(
        self, worker_ids: Sequence[str] | None = None
    ) -> list[WorkerObservation]:
        """Return what workers run.

        Args:
            worker_ids: Which workers; None for every worker of every registered pool.
        """
        return self._links.carry(steps.observations(self._keys, worker_ids))

    def cron(self) -> list[CronEntry]:
        """Return the cron entries that pools have declared, by name and spec."""
        return self._links.carry(survey_steps.cron_entries(self._keys, self._now_s()))

    def deaths(self, periods_s: Collection[float]) -> dict[float, int]:
        """Return how many jobs died in each of some periods up to now, and are still dead.

        Args:
            periods_s: The periods, seconds.
        """
        return self._links.carry(survey_steps.deaths(self._keys, periods_s, self._now_s()))

    # Pages.

    def jobs(
        self, place: Place, start: int = 0, count: int = PAGE, *, reverse: bool = False
    ) -> Page[WaitingJob]:
        """Return some jobs of a place. The cost does not depend on `start`.

        Args:
            place: The place.
            start: How many jobs to skip.
            count: How many jobs to return at most, up to 10,000.
            reverse: Begin at the other end: latest due, last dead, newest in the queue.

        Raises:
            InvalidOption: `start` or `count` is not a valid non-negative integer.
            InvalidName: The queue's name is not valid.
        """
        return self._links.carry(walk_steps.part(self._keys, place, start, count, reverse=reverse))

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> Iterator[Batch[WaitingJob]]:
        """Walk a whole place, batch by batch; see `Reader.walk`.

        Args:
            place: The place.
            reverse: Begin at the other end, as for `jobs`.
            size: Jobs in a batch at most, up to 10,000.

        Raises:
            InvalidOption: `size` is not valid.
            InvalidName: The queue's name is not valid.
        """
        check_place(place)
        check_whole("size", size, 1, MOST_AT_ONCE)
        return self._each(walk_steps.batches(self._keys, place, size, reverse=reverse))

    def _each(self, walk: Walk[T, None]) -> Iterator[T]:
        return each(walk, self._links.carry)

    def queued_jobs(self, name: str, page: int = 1) -> Page[QueuedJob]:
        """Return a page of a queue, the job that runs next first.

        Args:
            name: The job's name.
            page: 1 for the first.

        Raises:
            InvalidName: The name is not valid.
            InvalidOption: `page` is not a page number.
        """
        return self._links.carry(steps.queued_page(self._keys, name, page, PAGE))

    def scheduled_jobs(self, page: int = 1) -> Page[ScheduledJob]:
        """Return a page of the scheduled set, the earliest due first."""
        return self._links.carry(walk_steps.page_of(self._keys, "scheduled", page, PAGE))

    def retry_jobs(self, page: int = 1) -> Page[RetryJob]:
        """Return a page of the retry set, the earliest due first."""
        return self._links.carry(walk_steps.page_of(self._keys, "retry", page, PAGE))

    def dead_jobs(self, page: int = 1) -> Page[DeadJob]:
        """Return a page of the dead set, oldest first, as the original does."""
        return self._links.carry(walk_steps.page_of(self._keys, "dead", page, PAGE))

    def iter_queued_jobs(self, name: str) -> Iterator[QueuedJob]:
        """Walk a queue, the job that runs next first.

        Jobs that move during the walk may be missed or returned twice.
        """
        return self._each(steps.queue_singly(self._keys, name, WALK))

    def iter_scheduled_jobs(self) -> Iterator[ScheduledJob]:
        """Walk the scheduled set, the earliest due first."""
        return self._each(walk_steps.singly(self._keys, "scheduled", WALK))

    def iter_retry_jobs(self) -> Iterator[RetryJob]:
        """Walk the retry set, the earliest due first."""
        return self._each(walk_steps.singly(self._keys, "retry", WALK))

    def iter_dead_jobs(self) -> Iterator[DeadJob]:
        """Walk the dead set, oldest first."""
        return self._each(walk_steps.singly(self._keys, "dead", WALK))

    # One job.

    def find(self, job_id: str) -> Found | None:
        """Find a job by its id; None if there is no such job.

        Redis has no index of ids, so this reads every queue and set, page by page. A million jobs
        take seconds. It does not block other clients.
        """
        return self._links.carry(steps.find(self._keys, job_id))

    def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return the facts that decide whether a job runs, for `workkit.admin.explain.why`.

        Args:
            placed: The job.
            seen: An overview that was read just now. With it, one round trip is enough.
        """
        return self._links.carry(circumstance_steps.around(self._keys, placed, self._now_s(), seen))

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
        """Walk the executions in history, the newest first, page by page.

        Args:
            since: Only executions that finished then or later, epoch seconds.
            until: Only executions that finished before, epoch seconds.
            name: Only jobs of this name.
            outcome: Only this outcome, see `workkit.core.outcomes.OUTCOMES`.
            limit: At most this many.

        Raises:
            InvalidOption: A filter is not valid.
        """
        query = HistoryQuery(since, until, name, outcome, limit)
        return self._each(query.walk(self._keys))

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> Iterator[Sequence[PackedHistory]]:
        """Walk the packed entries of history, the oldest first. Faster than `history`.

        Args:
            after: Begin after the entry with this id; "" to begin with the oldest.
            since: Only entries written then or later, epoch seconds. An execution is written when
                it finishes or later.

        Raises:
            InvalidOption: `after` is not an id, or `since` is not a time.
        """
        query = HistoryQuery(since, None, None, None, None)
        return self._each(packed(self._keys, after, query.since_ms))

    def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return a sample of the last executions, the newest first, in one round trip.

        Args:
            entries: How many entries of the history stream to read. Each holds the executions that
                one exchange settled.

        Raises:
            InvalidOption: `entries` is not valid.
        """
        check_whole("entries", entries, 1, MOST_AT_ONCE)
        query = HistoryQuery(None, None, None, None, None)
        return self._links.carry(query.newest(self._keys, entries))

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job that history still has, the oldest first."""
        return self._links.carry(of_job(self._keys, job_id))

    def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many of them are left."""
        return self._links.carry(steps.extent(self._keys))

    # Who did what.

    def acts(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        by: str | None = None,
        verb: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Act]:
        """Walk what people and programs have done with workkit, the newest first, page by page.

        Acts of Go programs are not in it.

        Args:
            since: Only acts that began then or later, epoch seconds.
            until: Only acts that began before, epoch seconds.
            by: Only acts of this user: NAME@HOST, or the name alone.
            verb: Only acts of this kind, see `workkit.admin.acts.Act`.
            limit: At most this many.

        Raises:
            InvalidOption: A filter is not valid.
        """
        return self._each(ActFilter(since, until, by, verb, limit).walk(self._keys))

    def verify_acts(self) -> ActsVerdict:
        """Tell whether the record of acts is whole: which entries were changed, or are missing."""
        return self._links.carry(verify(self._keys))
