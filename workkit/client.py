"""Reads and changes a namespace, for operators, the console and notebooks. Pools do not use it.

Malformed payloads do not break a page: it returns them as jobs with `undecodable`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from workkit.admin.live import LiveReader
from workkit.admin.live_async import AsyncLiveReader
from workkit.core.actor import check_actor
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.options import check_sources
from workkit.store.connections.target import RedisLike

if TYPE_CHECKING:
    from workkit.admin.actions import Actions, AsyncActions

__all__ = ["AsyncClient", "Client"]


class Client(LiveReader):
    """Reads a namespace, and deletes, retries and pauses. Threads may share it.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. `Client` opens its own connections to that server.
        clock: The source of the time.
        entropy: Makes the ids of actions.
        actor: Who acts, for the record of acts; None for WORKKIT_ACTOR or the user of this process.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL, or another option is not valid.
        InvalidName: The namespace is not valid.

    Every method raises `ServerError` if Redis does not answer or refuses. `actions.undo` and
    `workkit undo` bring back deleted jobs for a day, and retried jobs that have not begun for an
    hour.
    """

    def __init__(
        self,
        namespace: str,
        redis: RedisLike,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        actor: str | None = None,
    ) -> None:
        super().__init__(namespace, redis, clock=clock)
        check_sources(clock, entropy)
        self._entropy = entropy if entropy is not None else Entropy()
        self._actor = check_actor(actor)

    # Queues.

    def pause(self, name: str) -> None:
        """Stop all pools, also Go pools, from taking jobs of a name. Running jobs continue.

        Raises:
            InvalidName: The name is not valid.
        """
        self._links.carry(self.actions.logic.log.pause(name, wanted=True))

    def unpause(self, name: str) -> bool:
        """Let pools take jobs of a name again.

        Returns:
            Whether it was paused.

        Raises:
            InvalidName: The name is not valid.
        """
        return self._links.carry(self.actions.logic.log.pause(name, wanted=False))

    # One job.

    def delete_queued_job(self, name: str, job_id: str) -> None:
        """Delete a job from its queue, and free its unique key.

        Raises:
            InvalidName: The name is not valid.
            NotDeleted: The queue has no job with this id.
        """
        self._links.carry(self.actions.logic.delete_queued(name, job_id))

    def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete a job from the scheduled set, and free its unique key.

        Args:
            run_at: When the job is due, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._links.carry(self.actions.logic.delete("scheduled", run_at, job_id))

    def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete a job from the retry set.

        Args:
            retry_at: When the job is due, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._links.carry(self.actions.logic.delete("retry", retry_at, job_id))

    def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete a job from the dead set.

        Args:
            died_at: When the job died, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._links.carry(self.actions.logic.delete("dead", died_at, job_id))

    def retry_dead_job(self, died_at: int, job_id: str) -> None:
        """Move a dead job to its queue, as if it had never failed.

        A unique job takes its key again. If a newer job holds the key, the retried job runs without
        being unique. A malformed payload goes back to its old place, unchanged.

        Args:
            died_at: When the job died, epoch seconds.
            job_id: The job's id.

        Raises:
            NotRetried: No job has this time and id, or the queue's key has a wrong type.
        """
        self._links.carry(self.actions.logic.retry_dead(died_at, job_id))

    # All at once.

    @cached_property
    def actions(self) -> Actions:
        """Acts on jobs by plans, and keeps the jobs in Redis, so that each action can be undone.

        Everything that this client deletes or retries goes through it.
        """
        from workkit.admin.actions import ActionLogic, Actions
        from workkit.admin.acts.recording import ActsLog

        log = ActsLog(self._keys, self._clock, self._entropy, self._actor)
        logic = ActionLogic(self._keys, self._clock, self._entropy, log)
        return Actions(logic, self._links.carry)

    def retry_all_dead_jobs(self) -> int:
        """Retry every job that is dead now, in bounded batches.

        Jobs that die again during the call are left for the next call. Malformed payloads that
        cannot be restored stay in the dead set, and so do members whose time is in the future.

        Returns:
            The number of retried jobs.
        """
        return self.actions.all_dead("retry")

    def delete_all_dead_jobs(self) -> int:
        """Delete every job that is dead now, in bounded batches.

        Members whose time is in the future stay where they are.

        Returns:
            The number of deleted jobs.
        """
        return self.actions.all_dead("delete")


class AsyncClient(AsyncLiveReader):
    """Reads a namespace, and deletes, retries and pauses, from asyncio.

    It has the methods of `Client`, awaited. Walks are async iterators, and the methods of `actions`
    are awaited as well. The tasks of one event loop may share it.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client (sync or asyncio) or a URL.
        clock: The source of the time.
        entropy: Makes the ids of actions.
        actor: Who acts, see `Client`.
    """

    def __init__(
        self,
        namespace: str,
        redis: RedisLike,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        actor: str | None = None,
    ) -> None:
        super().__init__(namespace, redis, clock=clock)
        check_sources(clock, entropy)
        self._entropy = entropy if entropy is not None else Entropy()
        self._actor = check_actor(actor)

    async def pause(self, name: str) -> None:
        """Stop all pools from taking jobs of a name; see `Client.pause`."""
        await self._links.carry(self.actions.logic.log.pause(name, wanted=True))

    async def unpause(self, name: str) -> bool:
        """Let pools take jobs of a name again; see `Client.unpause`."""
        return await self._links.carry(self.actions.logic.log.pause(name, wanted=False))

    async def delete_queued_job(self, name: str, job_id: str) -> None:
        """Delete a job from its queue; see `Client.delete_queued_job`."""
        await self._links.carry(self.actions.logic.delete_queued(name, job_id))

    async def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete a job from the scheduled set; see `Client.delete_scheduled_job`."""
        await self._links.carry(self.actions.logic.delete("scheduled", run_at, job_id))

    async def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete a job from the retry set; see `Client.delete_retry_job`."""
        await self._links.carry(self.actions.logic.delete("retry", retry_at, job_id))

    async def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete a job from the dead set; see `Client.delete_dead_job`."""
        await self._links.carry(self.actions.logic.delete("dead", died_at, job_id))

    async def retry_dead_job(self, died_at: int, job_id: str) -> None:
        """Move a dead job to its queue; see `Client.retry_dead_job`."""
        await self._links.carry(self.actions.logic.retry_dead(died_at, job_id))

    @cached_property
    def actions(self) -> AsyncActions:
        """Acts on jobs by plans, each of which can be undone; see `Client.actions`."""
        from workkit.admin.actions import ActionLogic, AsyncActions
        from workkit.admin.acts.recording import ActsLog

        log = ActsLog(self._keys, self._clock, self._entropy, self._actor)
        logic = ActionLogic(self._keys, self._clock, self._entropy, log)
        return AsyncActions(logic, self._links.carry)

    async def retry_all_dead_jobs(self) -> int:
        """Retry every job that is dead now; see `Client.retry_all_dead_jobs`."""
        return await self.actions.all_dead("retry")

    async def delete_all_dead_jobs(self) -> int:
        """Delete every job that is dead now; see `Client.delete_all_dead_jobs`."""
        return await self.actions.all_dead("delete")
