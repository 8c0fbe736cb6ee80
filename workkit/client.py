"""Reads and changes a namespace, for operators, the console and notebooks. Pools do not use it.

Malformed payloads do not break a page: it returns them as jobs with `undecodable`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from workkit.admin.live import LiveReader
from workkit.admin.steps import reads as steps
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.options import check_sources, check_time, shown
from workkit.core.records import Place
from workkit.errors import InvalidOption, NotDeleted, NotRetried
from workkit.store.connections.target import RedisLike
from workkit.store.keys import check_name

if TYPE_CHECKING:
    from workkit.admin.actions import Actions, Verb
    from workkit.core.job import Job
    from workkit.store.calls.pages import SetName

__all__ = ["Client"]


class _Acted(NamedTuple):
    """The result for one job. `job` is None if there is no such job."""

    job: Job | None
    done: bool = False
    refused: bool = False


class Client(LiveReader):
    """Reads a namespace, and deletes, retries and pauses. Threads may share it.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. `Client` opens its own connections to that server.
        clock: The source of the time.
        entropy: Makes the ids of actions.

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
    ) -> None:
        super().__init__(namespace, redis, clock=clock)
        check_sources(clock, entropy)
        self._entropy = entropy if entropy is not None else Entropy()

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
            InvalidName: The name is not valid.
            NotDeleted: The queue has no job with this id.
        """
        place = Place("queued", check_name(name))
        if not self._act("delete", place, job_id).done:
            raise NotDeleted(f"queue {name!r} holds no job {job_id}; a pool may have taken it")

    def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete a job from the scheduled set, and free its unique key.

        Args:
            run_at: When the job is due, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._delete("scheduled", run_at, job_id)

    def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete a job from the retry set.

        Args:
            retry_at: When the job is due, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._delete("retry", retry_at, job_id)

    def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete a job from the dead set.

        Args:
            died_at: When the job died, epoch seconds.
            job_id: The job's id.

        Raises:
            NotDeleted: No job has this time and id.
        """
        self._delete("dead", died_at, job_id)

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
        ended = self._act("retry", Place("dead"), job_id, died_at)
        if ended.job is None:
            raise NotRetried(f"the dead set holds no job {job_id} at {died_at}")
        if ended.refused:
            raise NotRetried(
                f"the key of queue {ended.job.name!r} has a wrong type; rename or delete it"
            )
        if not ended.done:
            raise NotRetried(f"job {job_id} was retried or deleted by somebody else")

    def _delete(self, kind: SetName, at_s: int, job_id: str) -> None:
        if not self._act("delete", Place(kind), job_id, at_s).done:
            raise NotDeleted(f"the {kind} set holds no job {job_id} at {at_s}")

    def _act(self, verb: Verb, place: Place, job_id: str, at_s: int | None = None) -> _Acted:
        if not isinstance(job_id, str):
            raise InvalidOption(f"a job's id is a string, not {shown(job_id)}")
        if at_s is not None:
            check_time("the time of a job", at_s)
        record = self.actions.pick(place, [job_id], at=at_s).get(job_id)
        if record is None:
            return _Acted(None)
        outcome = self.actions.apply(self.actions.plan_for(verb, place, [record]))
        return _Acted(record.job, bool(outcome.done), bool(outcome.refused))

    # All at once.

    @cached_property
    def actions(self) -> Actions:
        """Acts on jobs by plans, and keeps the jobs in Redis, so that each action can be undone.

        Everything that this client deletes or retries goes through it.
        """
        from workkit.admin.actions import Actions

        return Actions(self._keys, self._links.carry, self, self._clock, self._entropy)

    def retry_all_dead_jobs(self) -> int:
        """Retry every job that is dead now, in bounded batches.

        Jobs that die again during the call are left for the next call. Malformed payloads that
        cannot be restored stay in the dead set, and so do members whose time is in the future.

        Returns:
            The number of retried jobs.
        """
        return self._all_dead("retry")

    def delete_all_dead_jobs(self) -> int:
        """Delete every job that is dead now, in bounded batches.

        Members whose time is in the future stay where they are.

        Returns:
            The number of deleted jobs.
        """
        return self._all_dead("delete")

    def _all_dead(self, verb: Verb) -> int:
        plan = self.actions.plan(verb, Place("dead"), until=self._now_s())
        assert plan is not None  # noqa: S101 - nobody stops it
        return self.actions.apply(plan).done
