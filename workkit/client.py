"""The read and repair model: what operators, the console and notebooks see and do.

Pools never use it. Junk in Redis never breaks a page: bytes that are no job are shown as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workkit import client_steps as steps
from workkit import repair_steps as repair
from workkit.clock import Clock, SystemClock
from workkit.history_reader import HistoryExtent, HistoryQuery, HistoryRecord
from workkit.job import Job
from workkit.records import (
    DeadJob,
    Found,
    Page,
    Queue,
    QueuedJob,
    RetryJob,
    ScheduledJob,
    WorkerObservation,
    WorkerPoolHeartbeat,
)
from workkit.store.keys import Keys
from workkit.store.link import carrier

__all__ = ["Client"]

#: Jobs on a page; as in the original.
PAGE: Final = 20
_WALK: Final = 500


class Client:
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

    def __init__(self, namespace: str, redis: object, *, clock: Clock | None = None) -> None:
        self._keys = Keys(namespace)
        self._links = carrier(redis)
        self._clock = clock or SystemClock()

    def close(self) -> None:
        """Close the connections; they open again when they are needed."""
        self._links.close()

    def _now_s(self) -> int:
        return self._clock.read().epoch_s

    # Queues and pools.

    def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        return self._links.run(steps.queues(self._keys, self._now_s()))

    def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id; one whose heartbeat is missing has zeros."""
        return self._links.run(steps.heartbeats(self._keys))

    def worker_observations(self) -> list[WorkerObservation]:
        """Return what every worker of every registered pool runs."""
        return self._links.run(steps.observations(self._keys))

    def pause(self, name: str) -> None:
        """Keep pools, Go ones as well, from taking jobs of a name. Running ones go on.

        Raises:
            InvalidName: The name cannot be one.
        """
        self._links.run(steps.pause(self._keys, name))

    def unpause(self, name: str) -> bool:
        """Let pools take jobs of a name again.

        Returns:
            Whether it was paused.

        Raises:
            InvalidName: The name cannot be one.
        """
        return self._links.run(steps.unpause(self._keys, name))

    # Pages.

    def queued_jobs(self, name: str, page: int = 1) -> Page[QueuedJob]:
        """Return a page of a queue, the job that runs next first.

        Args:
            name: The job's name.
            page: 1 for the first.

        Raises:
            InvalidName: The name cannot be one.
            InvalidOption: `page` is no page.
        """
        return self._links.run(steps.queued_page(self._keys, name, page, PAGE))

    def scheduled_jobs(self, page: int = 1) -> Page[ScheduledJob]:
        """Return a page of the scheduled set, the earliest due first."""
        raw = self._links.run(steps.set_page(self._keys, "scheduled", page, PAGE))
        return Page([ScheduledJob(at, job) for at, job in raw.jobs], raw.total)

    def retry_jobs(self, page: int = 1) -> Page[RetryJob]:
        """Return a page of the retry set, the earliest due first."""
        raw = self._links.run(steps.set_page(self._keys, "retry", page, PAGE))
        return Page([RetryJob(at, job) for at, job in raw.jobs], raw.total)

    def dead_jobs(self, page: int = 1) -> Page[DeadJob]:
        """Return a page of the dead set, the longest dead first, as the original does."""
        raw = self._links.run(steps.set_page(self._keys, "dead", page, PAGE))
        return Page([DeadJob(at, job) for at, job in raw.jobs], raw.total)

    def iter_queued_jobs(self, name: str) -> Iterator[QueuedJob]:
        """Walk a queue, the job that runs next first.

        Jobs that move meanwhile may be missed or come twice.
        """
        start = 0
        while batch := self._links.run(steps.queued(self._keys, name, start, _WALK))[1]:
            yield from batch
            start += len(batch)

    def iter_scheduled_jobs(self) -> Iterator[ScheduledJob]:
        """Walk the scheduled set, the earliest due first."""
        return (ScheduledJob(at, job) for at, job in self._walk("scheduled"))

    def iter_retry_jobs(self) -> Iterator[RetryJob]:
        """Walk the retry set, the earliest due first."""
        return (RetryJob(at, job) for at, job in self._walk("retry"))

    def iter_dead_jobs(self) -> Iterator[DeadJob]:
        """Walk the dead set, the longest dead first."""
        return (DeadJob(at, job) for at, job in self._walk("dead"))

    def _walk(self, name: steps.SetName) -> Iterator[tuple[int, Job]]:
        start = 0
        while batch := self._links.run(steps.read_set(self._keys, name, start, _WALK))[1]:
            yield from batch
            start += len(batch)

    # One job.

    def find(self, job_id: str) -> Found | None:
        """Look for a job by its id, everywhere.

        Redis has no index of ids, so this reads every queue and set, page by page: seconds for a
        million jobs, without blocking anybody.

        Returns:
            Where it is, or None.
        """
        return self._links.run(steps.find(self._keys, job_id))

    def delete_queued_job(self, name: str, job_id: str) -> None:
        """Delete a job from its queue, and free its unique key.

        Raises:
            NotDeleted: It is not in the queue.
        """
        self._links.run(repair.delete_queued(self._keys, name, job_id))

    def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete a job from the scheduled set, and free its unique key.

        Args:
            run_at: When it is due, epoch seconds.
            job_id: Its id.

        Raises:
            NotDeleted: There is none with that time and id.
        """
        self._links.run(repair.delete_member(self._keys, "scheduled", run_at, job_id))

    def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete a job from the retry set.

        Args:
            retry_at: When it is due, epoch seconds.
            job_id: Its id.

        Raises:
            NotDeleted: There is none with that time and id.
        """
        self._links.run(repair.delete_member(self._keys, "retry", retry_at, job_id))

    def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete a job from the dead set.

        Args:
            died_at: When it died, epoch seconds.
            job_id: Its id.

        Raises:
            NotDeleted: There is none with that time and id.
        """
        self._links.run(repair.delete_member(self._keys, "dead", died_at, job_id))

    def retry_dead_job(self, died_at: int, job_id: str) -> None:
        """Put a dead job back into its queue, as if it had never failed.

        A unique job takes its key again; where a newer job holds it, it runs without being unique.
        Bytes that are no job go back to where they came from, unchanged.

        Args:
            died_at: When it died, epoch seconds.
            job_id: Its id.

        Raises:
            NotRetried: There is none with that time and id, or its queue has a wrong type.
        """
        self._links.run(repair.retry_dead(self._keys, died_at, job_id, self._now_s()))

    # All at once.

    def retry_all_dead_jobs(self) -> int:
        """Put every job that is dead now back to work, in bounded batches.

        Jobs that die again meanwhile are left for the next call. Members that are no jobs and
        cannot be restored stay where they are.

        Returns:
            How many were put back.
        """
        return self._links.run(repair.retry_all_dead(self._keys, self._now_s()))

    def delete_all_dead_jobs(self) -> int:
        """Delete every job that is dead now, in bounded batches.

        Returns:
            How many were deleted.
        """
        return self._links.run(repair.delete_all_dead(self._keys, self._now_s()))

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
        """Walk what ran, the newest first, page by page.

        Args:
            since: Finished at or after, epoch seconds.
            until: Finished before, epoch seconds.
            name: Only jobs of this name.
            outcome: Only this outcome, see `workkit.history.Record`.
            limit: At most this many.

        Raises:
            InvalidOption: A filter makes no sense.
        """
        query = HistoryQuery(since, until, name, outcome, limit)
        return query.walk(self._links.run, self._keys)

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job that history still has, the oldest first."""
        query = HistoryQuery(None, None, None, None, None)
        walk = query.walk(self._links.run, self._keys)
        return [record for record in walk if record.job_id == job_id][::-1]

    def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many the cap has left."""
        return self._links.run(steps.extent(self._keys))
