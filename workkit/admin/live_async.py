"""Reads a namespace on a server from asyncio: the base class of `AsyncClient`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Self, TypeVar

from workkit.admin.acts.act import Act
from workkit.admin.acts.reading import ActFilter
from workkit.admin.acts.verifying import ActsVerdict, verify
from workkit.admin.explain import Circumstances
from workkit.admin.live import MOST_AT_ONCE, PAGE, WALK
from workkit.admin.live_state import LiveState
from workkit.admin.steps import gauges as gauge_steps
from workkit.admin.steps import job_state as circumstance_steps
from workkit.admin.steps import reads as steps
from workkit.admin.steps import survey as survey_steps
from workkit.admin.steps import walk as walk_steps
from workkit.admin.steps.history import HistoryExtent, HistoryQuery, HistoryRecord, of_job, packed
from workkit.admin.steps.walk import WaitingJob
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
from workkit.store.connections.aio import AsyncCarrier, async_carrier
from workkit.store.connections.target import RedisLike
from workkit.store.walking import Walk, each_async

__all__ = ["AsyncLiveReader", "AsyncWatch"]

T = TypeVar("T")


class AsyncWatch:
    """Reads overviews repeatedly, each time the whole. It needs no connection of its own.

    Args:
        reader: Reads the namespace.
    """

    def __init__(self, reader: AsyncLiveReader) -> None:
        self._reader = reader

    async def overview(self) -> Overview:
        """Return the present overview."""
        return await self._reader.overview()

    async def close(self) -> None:
        """Do nothing: the connections belong to the reader."""


class AsyncLiveReader(LiveState):
    """Reads a namespace from asyncio, with the methods of `Client`, awaited.

    Walks are async iterators: ``async for job in client.iter_dead_jobs()``.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client (sync or asyncio) or a URL.
        clock: The source of the time.
    """

    def __init__(self, namespace: str, redis: RedisLike, *, clock: Clock | None = None) -> None:
        super().__init__(namespace, clock)
        self._links: AsyncCarrier = async_carrier(redis, namespace)

    async def close(self) -> None:
        """Close the connections. A later call opens one again."""
        await self._links.close()

    async def __aenter__(self) -> Self:
        """Return the client; the end of the block closes its connections."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    def _each(self, walk: Walk[T, None]) -> AsyncIterator[T]:
        return each_async(walk, self._links.carry)

    # At a glance.

    async def overview(self) -> Overview:
        """Return queues, pools and sizes; see `Client.overview`."""
        step = survey_steps.overview(self._keys, self._clock.read().epoch_ms)
        return await self._links.carry(step)

    async def gauges(self) -> Gauges:
        """Return the numbers of the namespace for monitoring; see `Client.gauges`."""
        step = gauge_steps.gauges(self._keys, self._clock.read().epoch_ms)
        return await self._links.carry(step)

    def watch(self) -> AsyncWatch:
        """Return a watch, whose overviews are awaited. Each reads everything."""
        return AsyncWatch(self)

    async def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        return await self._links.carry(steps.queues(self._keys, self._now_s()))

    async def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id."""
        return await self._links.carry(steps.heartbeats(self._keys))

    async def worker_observations(
        self, worker_ids: Sequence[str] | None = None
    ) -> list[WorkerObservation]:
        """Return what workers run; see `Client.worker_observations`."""
        return await self._links.carry(steps.observations(self._keys, worker_ids))

    async def cron(self) -> list[CronEntry]:
        """Return the cron entries that pools have declared, by name and spec."""
        return await self._links.carry(survey_steps.cron_entries(self._keys, self._now_s()))

    async def deaths(self, periods_s: Collection[float]) -> dict[float, int]:
        """Return how many jobs died in some periods; see `Client.deaths`."""
        return await self._links.carry(survey_steps.deaths(self._keys, periods_s, self._now_s()))

    # Pages and walks.

    async def jobs(
        self, place: Place, start: int = 0, count: int = PAGE, *, reverse: bool = False
    ) -> Page[WaitingJob]:
        """Return some jobs of a place; see `Client.jobs`."""
        step = walk_steps.part(self._keys, place, start, count, reverse=reverse)
        return await self._links.carry(step)

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> AsyncIterator[Batch[WaitingJob]]:
        """Walk a whole place, batch by batch; see `Client.walk`."""
        check_place(place)
        check_whole("size", size, 1, MOST_AT_ONCE)
        return self._each(walk_steps.batches(self._keys, place, size, reverse=reverse))

    async def queued_jobs(self, name: str, page: int = 1) -> Page[QueuedJob]:
        """Return a page of a queue, the job that runs next first."""
        return await self._links.carry(steps.queued_page(self._keys, name, page, PAGE))

    async def scheduled_jobs(self, page: int = 1) -> Page[ScheduledJob]:
        """Return a page of the scheduled set, the earliest due first."""
        return await self._links.carry(walk_steps.page_of(self._keys, "scheduled", page, PAGE))

    async def retry_jobs(self, page: int = 1) -> Page[RetryJob]:
        """Return a page of the retry set, the earliest due first."""
        return await self._links.carry(walk_steps.page_of(self._keys, "retry", page, PAGE))

    async def dead_jobs(self, page: int = 1) -> Page[DeadJob]:
        """Return a page of the dead set, oldest first, as the original does."""
        return await self._links.carry(walk_steps.page_of(self._keys, "dead", page, PAGE))

    def iter_queued_jobs(self, name: str) -> AsyncIterator[QueuedJob]:
        """Walk a queue, the job that runs next first; see `Client.iter_queued_jobs`."""
        return self._each(steps.queue_singly(self._keys, name, WALK))

    def iter_scheduled_jobs(self) -> AsyncIterator[ScheduledJob]:
        """Walk the scheduled set, the earliest due first."""
        return self._each(walk_steps.singly(self._keys, "scheduled", WALK))

    def iter_retry_jobs(self) -> AsyncIterator[RetryJob]:
        """Walk the retry set, the earliest due first."""
        return self._each(walk_steps.singly(self._keys, "retry", WALK))

    def iter_dead_jobs(self) -> AsyncIterator[DeadJob]:
        """Walk the dead set, oldest first."""
        return self._each(walk_steps.singly(self._keys, "dead", WALK))

    # One job.

    async def find(self, job_id: str) -> Found | None:
        """Find a job by its id; None if there is no such job; see `Client.find`."""
        return await self._links.carry(steps.find(self._keys, job_id))

    async def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return the facts that decide whether a job runs; see `Client.circumstances`."""
        step = circumstance_steps.around(self._keys, placed, self._now_s(), seen)
        return await self._links.carry(step)

    # History.

    def history(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        name: str | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[HistoryRecord]:
        """Walk the executions in history, the newest first; see `Client.history`."""
        query = HistoryQuery(since, until, name, outcome, limit)
        return self._each(query.walk(self._keys))

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> AsyncIterator[Sequence[PackedHistory]]:
        """Walk the packed entries of history, the oldest first; see `Client.packed_history`."""
        query = HistoryQuery(since, None, None, None, None)
        return self._each(packed(self._keys, after, query.since_ms))

    async def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return a sample of the last executions, the newest first, in one round trip."""
        check_whole("entries", entries, 1, MOST_AT_ONCE)
        query = HistoryQuery(None, None, None, None, None)
        return await self._links.carry(query.newest(self._keys, entries))

    async def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job that history still has, the oldest first."""
        return await self._links.carry(of_job(self._keys, job_id))

    async def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many of them are left."""
        return await self._links.carry(steps.extent(self._keys))

    # Who did what.

    def acts(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        by: str | None = None,
        verb: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Act]:
        """Walk what people and programs have done, the newest first; see `Client.acts`."""
        return self._each(ActFilter(since, until, by, verb, limit).walk(self._keys))

    async def verify_acts(self) -> ActsVerdict:
        """Tell whether the record of acts is whole; see `Client.verify_acts`."""
        return await self._links.carry(verify(self._keys))
