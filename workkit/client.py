"""Reads and changes a namespace, for operators, the console and notebooks. Pools do not use it.

Malformed payloads do not break a page: it returns them as jobs with `undecodable`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from workkit.admin.live import LiveReader
from workkit.admin.steps import reads as steps
from workkit.admin.steps import repair

if TYPE_CHECKING:
    from workkit.admin.actions import Actions

__all__ = ["Client"]


class Client(LiveReader):
    """Reads a namespace, and deletes, retries and pauses. Threads may share it.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. `Client` opens its own connections to that server.
        clock: The source of the time.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL.
        InvalidName: The namespace is not valid.

    Every method raises `ServerError` if Redis does not answer or refuses.
    """

    # Queues.

    def pause(self, name: str) -> None:
        """Stop all pools, also Go pools, from taking jobs of a name. Running jobs continue.

        Raises:
            InvalidName: The name is not valid.
        """
        self._links.carry(steps.pause(self._keys, name))

    def unpause(self, name: str) -> bool:
        """Let pools take jobs of a name again.

        Returns:
            Whether it was paused.

        Raises:
            InvalidName: The name is not valid.
        """
        return self._links.carry(steps.unpause(self._keys, name))

    # One job.

    def delete_queued_job(self, name: str, job_id: str) -> None:
        """Delete a job from its queue, and free its unique key.

        Raises:
            NotDeleted: The queue has no job with this id.
        """
        self._links.carry(repair.delete_queued(self._keys, name, job_id))

    def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete a job from the scheduled set, and free its unique key.

        Args:
            run_at: When the job is due, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._links.carry(repair.delete_member(self._keys, "scheduled", run_at, job_id))

    def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete a job from the retry set.

        Args:
            retry_at: When the job is due, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._links.carry(repair.delete_member(self._keys, "retry", retry_at, job_id))

    def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete a job from the dead set.

        Args:
            died_at: When the job died, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._links.carry(repair.delete_member(self._keys, "dead", died_at, job_id))

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
        self._links.carry(repair.retry_dead(self._keys, died_at, job_id, self._now_s()))

    # All at once.

    @cached_property
    def actions(self) -> Actions:
        """Bulk actions: plans that delete or retry many jobs, and undo."""
        from workkit.admin.actions import Actions
        from workkit.core.entropy import Entropy

        return Actions(self._keys, self._links.carry, self, self._clock, Entropy())

    def retry_all_dead_jobs(self) -> int:
        """Retry every job that is dead now, in bounded batches.

        Jobs that die again during the call are left for the next call. Malformed payloads that
        cannot be restored stay in the dead set.

        Returns:
            The number of retried jobs.
        """
        return self._links.carry(repair.retry_all_dead(self._keys, self._now_s()))

    def delete_all_dead_jobs(self) -> int:
        """Delete every job that is dead now, in bounded batches.

        Returns:
            The number of deleted jobs.
        """
        return self._links.carry(repair.delete_all_dead(self._keys, self._now_s()))
