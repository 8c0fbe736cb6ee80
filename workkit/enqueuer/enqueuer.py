"""The enqueuer for threads."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from copy import copy
from typing import Self, overload

from workkit.core.call import Call
from workkit.core.clock import monotonic_s
from workkit.core.job import Job
from workkit.core.records import ScheduledJob
from workkit.enqueuer.base import BaseEnqueuer
from workkit.enqueuer.capturing import Capturable
from workkit.enqueuer.durability import Confirming, Durability
from workkit.enqueuer.steps import Args, Name, Until, key_of
from workkit.store.connections.shared import shared_carrier
from workkit.store.connections.target import RedisLike

__all__ = ["Enqueuer"]


class Enqueuer(BaseEnqueuer[Capturable]):
    """Enqueues jobs; safe to share among threads.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. The enqueuer opens separate connections to that server.
        clock: The source of times.
        entropy: The source of ids.
        allow_huge_integers: Whether args may hold integers beyond a float's range (309 digits and
            more). Go cannot read such a job, and its pools would keep it in progress.
        max_job_bytes: A larger job is refused with `InvalidArgs`; 1 MiB by default. Jobs above
            10 KiB are logged as a warning, once per name.
        max_connections: How many connections concurrent calls share; 4 by default, and no more than
            the client may open. docs/reliability.md says how they share.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL, or another option is not valid.
        InvalidName: The namespace is not valid.

    Every method raises `InvalidName` or `InvalidArgs` before it sends anything. It raises
    `ServerRefused` if Redis refused (nothing was enqueued), and `ServerUnavailable` if Redis did
    not answer. In that case the job may have been enqueued; enqueuing it again may run a plain job
    twice, but not a unique one.
    """

    def _connect(self, redis: RedisLike, namespace: str, most: int) -> Capturable:
        carrier = shared_carrier(redis, namespace, most, monotonic_s)
        return Capturable(carrier)

    @overload
    def enqueue(self, call: Call, /) -> Job: ...
    @overload
    def enqueue(self, name: str, args: Args = None) -> Job: ...
    def enqueue(self, name: Name, args: Args = None) -> Job:
        """Put a job into its queue.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            args: A mapping with string keys and JSON values. Handlers see ints exactly.

        Returns:
            The job.
        """
        return self._links.carry(self._steps.enqueue(name, args))

    def enqueue_many(self, jobs: Iterable[Call | tuple[str, Args]]) -> list[Job]:
        """Put many jobs into their queues, one round trip per thousand.

        Args:
            jobs: Calls, or pairs of name and args. All are checked before the first is sent.

        Returns:
            The jobs, in the same order.
        """
        return self._links.carry(self._steps.enqueue_many(jobs))

    @overload
    def enqueue_in(self, call: Call, /, seconds: float) -> ScheduledJob: ...
    @overload
    def enqueue_in(self, name: str, seconds: float, args: Args = None) -> ScheduledJob: ...
    def enqueue_in(self, name: Name, seconds: float, args: Args = None) -> ScheduledJob:
        """Schedule a job.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            seconds: How long from now; the job is due at the next whole second.
            args: As for `enqueue`.

        Returns:
            The job and when it is due.
        """
        return self._links.carry(self._steps.schedule(name, self._steps.after(seconds), args))

    @overload
    def enqueue_at(self, call: Call, /, when: datetime.datetime | float) -> ScheduledJob: ...
    @overload
    def enqueue_at(
        self, name: str, when: datetime.datetime | float, args: Args = None
    ) -> ScheduledJob: ...
    def enqueue_at(
        self, name: Name, when: datetime.datetime | float, args: Args = None
    ) -> ScheduledJob:
        """Schedule a job for a point in time.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            when: A datetime with a time zone, or epoch seconds. A past time is due at once.
            args: As for `enqueue`.

        Returns:
            The job and when it is due.
        """
        return self._links.carry(self._steps.schedule(name, self._steps.at(when), args))

    @overload
    def enqueue_unique(self, call: Call, /, *, until: Until = "start") -> Job | None: ...
    @overload
    def enqueue_unique(
        self, name: str, args: Args = None, *, until: Until = "start"
    ) -> Job | None: ...
    def enqueue_unique(
        self, name: Name, args: Args = None, *, until: Until = "start"
    ) -> Job | None:
        """Put a job into its queue unless one with the same name and args is waiting.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            args: As for `enqueue`.
            until: "start" accepts the next job once this one begins, as the original does;
                "done" only once this one has succeeded or died, retries included. Either way the
                key expires a day after the job is due. Go pools release at the start.

        Returns:
            The job, or None if one was waiting.
        """
        return self._links.carry(self._steps.unique(name, args, until=until))

    @overload
    def enqueue_unique_in(
        self, call: Call, /, seconds: float, *, until: Until = "start"
    ) -> ScheduledJob | None: ...
    @overload
    def enqueue_unique_in(
        self, name: str, seconds: float, args: Args = None, *, until: Until = "start"
    ) -> ScheduledJob | None: ...
    def enqueue_unique_in(
        self, name: Name, seconds: float, args: Args = None, *, until: Until = "start"
    ) -> ScheduledJob | None:
        """Schedule a job unless one with the same name and args is waiting.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            seconds: How long from now.
            args: As for `enqueue`.
            until: As for `enqueue_unique`.

        Returns:
            The job and when it is due, or None if one was waiting.
        """
        due_s = self._steps.after(seconds)
        return self._links.carry(self._steps.unique_in(name, due_s, args, until=until))

    @overload
    def enqueue_unique_by_key(self, call: Call, /, *, key: Args) -> Job | None: ...
    @overload
    def enqueue_unique_by_key(self, name: str, args: Args, key: Args) -> Job | None: ...
    def enqueue_unique_by_key(self, name: Name, args: Args = None, key: Args = None) -> Job | None:
        """Put a job into its queue, or pass its args to the job that waits under the same key.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            args: As for `enqueue`. The newest args run.
            key: A mapping; jobs with the same name and key are the same.

        Returns:
            The job, or None if one was waiting and has taken over the args (a job enqueued with
            ``until="done"`` keeps its own args).
        """
        args, key = key_of(name, args, key)
        return self._links.carry(self._steps.unique(name, args, key=key, by_key=True))

    @overload
    def enqueue_unique_in_by_key(
        self, call: Call, /, seconds: float, *, key: Args
    ) -> ScheduledJob | None: ...
    @overload
    def enqueue_unique_in_by_key(
        self, name: str, seconds: float, args: Args, key: Args
    ) -> ScheduledJob | None: ...
    def enqueue_unique_in_by_key(
        self, name: Name, seconds: float, args: Args = None, key: Args = None
    ) -> ScheduledJob | None:
        """Schedule a job, or pass its args to the job that waits under the same key.

        Args:
            name: The job's name, or a `Call` in place of name and args.
            seconds: How long from now; a waiting job keeps its time.
            args: As for `enqueue`. The newest args run.
            key: As for `enqueue_unique_by_key`.

        Returns:
            The job and when it is due, or None if one was waiting and has taken over the args.
        """
        args, key = key_of(name, args, key)
        due_s = self._steps.after(seconds)
        return self._links.carry(self._steps.unique_in(name, due_s, args, key=key, by_key=True))

    def durably(self, replicas: int = 1, *, fsync: bool = False, timeout: float = 1.0) -> Self:
        """Return an enqueuer whose calls return only when the jobs are on replicas or on disk.

        It shares this one's connections; calls of both can be mixed, and closing one closes both.
        Calls that wait at the same time share a ``WAIT``, and plain calls are never behind it.
        docs/reliability.md describes the server settings that this needs.

        Args:
            replicas: How many replicas must have the job (``WAIT``). The job survives every
                failover if all replicas that may be promoted have it.
            fsync: Whether the master and those replicas must have it on disk (``WAITAOF``:
                Redis 7.2 or newer, or Valkey).
            timeout: Seconds to wait for them, at most 4, and less than `socket_timeout`.

        Returns:
            The enqueuer. Its methods raise `NotConfirmed` if too few confirmed in time: the job
            was enqueued and may still be lost, so enqueue again.
        """
        wanted = Durability(self._steps.keys, replicas, fsync, timeout)
        other = copy(self)
        vars(other)["_links"] = Confirming(self._links, wanted)
        return other

    def close(self) -> None:
        """Close each connection when the calls on it are answered. A later call opens one again."""
        self._links.close()

    def __enter__(self) -> Self:
        """Return the enqueuer; the end of the block closes its connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()
