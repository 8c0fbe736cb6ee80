"""The read and repair model: what operators, the console and notebooks see and do.

Pools never use it. Junk in Redis never breaks a page: bytes that are not a job are shown as such.
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
    """Looks into a namespace and mends it; safe to share among threads.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. The client opens connections of its own to that server.
        clock: Where times come from.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL.
        InvalidName: The namespace cannot be one.

    Every method raises `ServerError` if Redis does not answer or refuses.
    """

    # Queues.

    def pause(self, name: str) -> None:
        """Keep pools, Go ones as well, from taking jobs of a name. Running ones go on.

        Raises:
            InvalidName: The name cannot be one.
        """
        self._links.carry(steps.pause(self._keys, name))

    def unpause(self, name: str) -> bool:
        """Let pools take jobs of a name again.

        Returns:
            Whether it was paused.

        Raises:
            InvalidName: The name cannot be one.
        """
        return self._links.carry(steps.unpause(self._keys, name))

    # One job.

    def delete_queued_job(self, name: str, job_id: str) -> None:
        """Delete a job from its queue, and free its unique key.

        Raises:
            NotDeleted: It is not in the queue.
        """
        self._links.carry(repair.delete_queued(self._keys, name, job_id))

    def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete a job from the scheduled set, and free its unique key.

        Args:
            run_at: When it is due, epoch seconds.
            job_id: Its id.

        Raises:
            NotDeleted: There is none with that time and id.
        """
        self._links.carry(repair.delete_member(self._keys, "scheduled", run_at, job_id))

    def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete a job from the retry set.

        Args:
            retry_at: When it is due, epoch seconds.
            job_id: Its id.

        Raises:
            NotDeleted: There is none with that time and id.
        """
        self._links.carry(repair.delete_member(self._keys, "retry", retry_at, job_id))

    def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete a job from the dead set.

        Args:
            died_at: When it died, epoch seconds.
            job_id: Its id.

        Raises:
            NotDeleted: There is none with that time and id.
        """
        self._links.carry(repair.delete_member(self._keys, "dead", died_at, job_id))

    def retry_dead_job(self, died_at: int, job_id: str) -> None:
        """Put a dead job back into its queue, as if it had never failed.

        A unique job takes its key again; where a newer job holds it, it runs without being unique.
        Bytes that are not a job go back to where they came from, unchanged.

        Args:
            died_at: When it died, epoch seconds.
            job_id: Its id.

        Raises:
            NotRetried: There is none with that time and id, or its queue has a wrong type.
        """
        self._links.carry(repair.retry_dead(self._keys, died_at, job_id, self._now_s()))

    # All at once.

    @cached_property
    def actions(self) -> Actions:
        """Plans that delete or retry many jobs, with a trash from which that can be undone."""
        from workkit.admin.actions import Actions
        from workkit.core.entropy import Entropy

        return Actions(self._keys, self._links.carry, self, self._clock, Entropy())

    def retry_all_dead_jobs(self) -> int:
        """Put every job that is dead now back to work, in bounded batches.

        Jobs that die again meanwhile are left for the next call. Members that are not jobs and
        cannot be restored stay where they are.

        Returns:
            How many were put back.
        """
        return self._links.carry(repair.retry_all_dead(self._keys, self._now_s()))

    def delete_all_dead_jobs(self) -> int:
        """Delete every job that is dead now, in bounded batches.

        Returns:
            How many were deleted.
        """
        return self._links.carry(repair.delete_all_dead(self._keys, self._now_s()))
