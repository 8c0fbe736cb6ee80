"""The enqueuer for asyncio."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from copy import copy
from typing import Self, overload

from workkit.core.call import Call
from workkit.core.job import Job
from workkit.core.records import ScheduledJob
from workkit.enqueuer.base import BaseEnqueuer
from workkit.enqueuer.capturing import AsyncCapturable
from workkit.enqueuer.durability import Confirming, Durability
from workkit.enqueuer.steps import Args, Name, Until, key_of
from workkit.store.connections.aio_shared import shared_async_carrier
from workkit.store.connections.target import RedisLike

__all__ = ["AsyncEnqueuer"]


class AsyncEnqueuer(BaseEnqueuer[AsyncCapturable]):
    """Enqueues jobs from asyncio, with the methods of `Enqueuer`, awaited.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client (sync or asyncio) or a URL.
        clock: The source of times.
        entropy: The source of ids.
        allow_huge_integers: As for `Enqueuer`.
        max_job_bytes: As for `Enqueuer`.
        max_connections: As for `Enqueuer`.
    """

    def _connect(self, redis: RedisLike, namespace: str, most: int) -> AsyncCapturable:
        return AsyncCapturable(shared_async_carrier(redis, namespace, most))

    @overload
    async def enqueue(self, call: Call, /) -> Job: ...
    @overload
    async def enqueue(self, name: str, args: Args = None) -> Job: ...
    async def enqueue(self, name: Name, args: Args = None) -> Job:
        """Put a job into its queue; see `Enqueuer.enqueue`."""
        return await self._links.carry(self._steps.enqueue(name, args))

    async def enqueue_many(self, jobs: Iterable[Call | tuple[str, Args]]) -> list[Job]:
        """Put many jobs into their queues; see `Enqueuer.enqueue_many`."""
        return await self._links.carry(self._steps.enqueue_many(jobs))

    @overload
    async def enqueue_in(self, call: Call, /, seconds: float) -> ScheduledJob: ...
    @overload
    async def enqueue_in(self, name: str, seconds: float, args: Args = None) -> ScheduledJob: ...
    async def enqueue_in(self, name: Name, seconds: float, args: Args = None) -> ScheduledJob:
        """Schedule a job; see `Enqueuer.enqueue_in`."""
        return await self._links.carry(self._steps.schedule(name, self._steps.after(seconds), args))

    @overload
    async def enqueue_at(self, call: Call, /, when: datetime.datetime | float) -> ScheduledJob: ...
    @overload
    async def enqueue_at(
        self, name: str, when: datetime.datetime | float, args: Args = None
    ) -> ScheduledJob: ...
    async def enqueue_at(
        self, name: Name, when: datetime.datetime | float, args: Args = None
    ) -> ScheduledJob:
        """Schedule a job for a point in time; see `Enqueuer.enqueue_at`."""
        return await self._links.carry(self._steps.schedule(name, self._steps.at(when), args))

    @overload
    async def enqueue_unique(self, call: Call, /, *, until: Until = "start") -> Job | None: ...
    @overload
    async def enqueue_unique(
        self, name: str, args: Args = None, *, until: Until = "start"
    ) -> Job | None: ...
    async def enqueue_unique(
        self, name: Name, args: Args = None, *, until: Until = "start"
    ) -> Job | None:
        """Put a job into its queue unless one is waiting; see `Enqueuer.enqueue_unique`."""
        return await self._links.carry(self._steps.unique(name, args, until=until))

    @overload
    async def enqueue_unique_in(
        self, call: Call, /, seconds: float, *, until: Until = "start"
    ) -> ScheduledJob | None: ...
    @overload
    async def enqueue_unique_in(
        self, name: str, seconds: float, args: Args = None, *, until: Until = "start"
    ) -> ScheduledJob | None: ...
    async def enqueue_unique_in(
        self, name: Name, seconds: float, args: Args = None, *, until: Until = "start"
    ) -> ScheduledJob | None:
        """Schedule a job unless one is waiting; see `Enqueuer.enqueue_unique_in`."""
        due_s = self._steps.after(seconds)
        return await self._links.carry(self._steps.unique_in(name, due_s, args, until=until))

    @overload
    async def enqueue_unique_by_key(self, call: Call, /, *, key: Args) -> Job | None: ...
    @overload
    async def enqueue_unique_by_key(self, name: str, args: Args, key: Args) -> Job | None: ...
    async def enqueue_unique_by_key(
        self, name: Name, args: Args = None, key: Args = None
    ) -> Job | None:
        """Put a job into its queue or update it; see `Enqueuer.enqueue_unique_by_key`."""
        args, key = key_of(name, args, key)
        return await self._links.carry(self._steps.unique(name, args, key=key, by_key=True))

    @overload
    async def enqueue_unique_in_by_key(
        self, call: Call, /, seconds: float, *, key: Args
    ) -> ScheduledJob | None: ...
    @overload
    async def enqueue_unique_in_by_key(
        self, name: str, seconds: float, args: Args, key: Args
    ) -> ScheduledJob | None: ...
    async def enqueue_unique_in_by_key(
        self, name: Name, seconds: float, args: Args = None, key: Args = None
    ) -> ScheduledJob | None:
        """Schedule a job or update it; see `Enqueuer.enqueue_unique_in_by_key`."""
        args, key = key_of(name, args, key)
        due_s = self._steps.after(seconds)
        return await self._links.carry(
            self._steps.unique_in(name, due_s, args, key=key, by_key=True)
        )

    def durably(self, replicas: int = 1, *, fsync: bool = False, timeout: float = 1.0) -> Self:
        """Return an enqueuer that waits for replicas or the disk; see `Enqueuer.durably`."""
        wanted = Durability(self._steps.keys, replicas, fsync, timeout)
        other = copy(self)
        vars(other)["_links"] = Confirming(self._links, wanted)
        return other

    async def close(self) -> None:
        """Close each connection when the calls on it are answered. A later call opens one again."""
        await self._links.close()

    async def __aenter__(self) -> Self:
        """Return the enqueuer; the end of the block closes its connections."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()
