"""The original's Enqueuer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.parity.gopeer import scripts
from tests.parity.gopeer.endpoint import GoEndpoint
from tests.parity.gopeer.records import GoJobRecord, GoScheduledJob

if TYPE_CHECKING:
    import random  # noqa: TID251 -- a type: the test brings the dice
    from collections.abc import Callable

    from redis import Redis

    Args = dict[str, Any] | None

#: How long an enqueuer believes that a name is still in the set of known jobs.
KNOWN_JOB_TTL_S = 300


class GoEnqueuer(GoEndpoint):
    """Enqueues as a Go process does.

    Every method raises ``GoEncodeError`` for args that Go could not write, and ``RedisError``
    where Redis fails.
    """

    def __init__(
        self, redis: Redis, namespace: str, *, now: Callable[[], int], rng: random.Random
    ) -> None:
        """Start with no name known; for the arguments see ``GoEndpoint``."""
        super().__init__(redis, namespace, now=now, rng=rng)
        self._known_until: dict[str, int] = {}

    def enqueue(self, name: str, args: Args = None) -> GoJobRecord:
        """Put a job at the end of its queue.

        The queue is written before the set of known jobs: when the second fails, so does the
        call, with the job enqueued.

        Args:
            name: The job's name.
            args: The job's args.

        Returns:
            The job.
        """
        job = self._new_job(name, args)
        self._wire.do("LPUSH", self.keys.queue(name), job.raw)
        self._remember(name)
        return job

    def enqueue_in(self, name: str, seconds: int, args: Args = None) -> GoScheduledJob:
        """Schedule a job.

        Args:
            name: The job's name.
            seconds: How long from now it is due.
            args: The job's args.

        Returns:
            The job and its time.
        """
        job = self._new_job(name, args)
        run_at = self._wire.now() + seconds
        self._wire.do("ZADD", self.keys.scheduled, run_at, job.raw)
        self._remember(name)
        return GoScheduledJob(run_at, job)

    def enqueue_unique(self, name: str, args: Args = None) -> GoJobRecord | None:
        """Enqueue a job unless one with the same name and args waits.

        Args:
            name: The job's name.
            args: The job's args, which also make it unique.

        Returns:
            The job, or ``None`` where it would have been a duplicate.
        """
        return self.enqueue_unique_by_key(name, args, None)

    def enqueue_unique_in(
        self, name: str, seconds: int, args: Args = None
    ) -> GoScheduledJob | None:
        """Schedule a job unless one with the same name and args waits.

        Args:
            name: The job's name.
            seconds: How long from now it is due.
            args: The job's args, which also make it unique.

        Returns:
            The job and its time, or ``None`` where it would have been a duplicate.
        """
        return self.enqueue_unique_in_by_key(name, seconds, args, None)

    def enqueue_unique_by_key(self, name: str, args: Args, key: Args) -> GoJobRecord | None:
        """Enqueue a job unless one with the same name and key waits; that one gets these args.

        Args:
            name: The job's name.
            args: The job's args.
            key: The key that makes it unique; ``None`` stands for the args.

        Returns:
            The job, or ``None`` where it would have been a duplicate.
        """
        job = self._new_unique_job(name, args, key)
        self._remember(name)
        reply = self._wire.script(
            scripts.ENQUEUE_UNIQUE,
            [self.keys.queue(name), job.unique_key],
            [job.raw, b"1" if key is None else job.raw],
        )
        return job if reply == b"ok" else None

    def enqueue_unique_in_by_key(
        self, name: str, seconds: int, args: Args, key: Args
    ) -> GoScheduledJob | None:
        """Schedule a job unless one with the same name and key waits; that one gets these args.

        Args:
            name: The job's name.
            seconds: How long from now it is due; the key lives for a day anyway.
            args: The job's args.
            key: The key that makes it unique; ``None`` stands for the args.

        Returns:
            The job and its time, or ``None`` where it would have been a duplicate.
        """
        job = self._new_unique_job(name, args, key)
        run_at = self._wire.now() + seconds
        self._remember(name)
        reply = self._wire.script(
            scripts.SCHEDULE_UNIQUE,
            [self.keys.scheduled, job.unique_key],
            [job.raw, b"1" if key is None else job.raw, run_at],
        )
        return GoScheduledJob(run_at, job) if reply == b"ok" else None

    def _new_job(self, name: str, args: Args) -> GoJobRecord:
        job = GoJobRecord(
            name=name, id=self._wire.new_id(), enqueued_at=self._wire.now(), args=args
        )
        job.raw = job.encode()
        return job

    def _new_unique_job(self, name: str, args: Args, key: Args) -> GoJobRecord:
        unique_key = self.keys.unique(name, args if key is None else key)
        job = self._new_job(name, args)
        job.unique, job.unique_key = True, unique_key
        job.raw = job.encode()
        return job

    def _remember(self, name: str) -> None:
        now = self._wire.now()
        if now >= self._known_until.get(name, now):
            self._wire.do("SADD", self.keys.known_jobs, name)
            self._known_until[name] = now + KNOWN_JOB_TTL_S
