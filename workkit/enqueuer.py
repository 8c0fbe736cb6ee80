"""Enqueuing jobs, from threads (`Enqueuer`) and from asyncio (`AsyncEnqueuer`).

Everything a caller can get wrong is found before anything is sent.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

from workkit import gojson
from workkit import job as wire
from workkit.clock import Clock, SystemClock
from workkit.entropy import Entropy
from workkit.errors import InvalidArgs, InvalidOption
from workkit.job import Job
from workkit.records import ScheduledJob
from workkit.store import enqueuing as store
from workkit.store.aio import async_carrier
from workkit.store.exchange import Step
from workkit.store.keys import Keys, check_name
from workkit.store.link import carrier

__all__ = ["AsyncEnqueuer", "Enqueuer"]

T = TypeVar("T")

Args: TypeAlias = Mapping[str, Any] | None
Until: TypeAlias = Literal["start", "done"]

#: A unique key outlives the time at which its job is due by a day; as in the original.
_UNIQUE_LIVES_S: Final = 86_400
#: Scheduling further ahead than this is taken for a mistake, such as milliseconds for seconds.
_MAX_DELAY_S: Final = 100 * 366 * 86_400


class _Planner:
    """The logic of enqueuing: checks, encodes, and says what Redis is to do."""

    def __init__(self, namespace: str, clock: Clock, entropy: Entropy) -> None:
        self._keys = Keys(namespace)
        self._clock = clock
        self._entropy = entropy
        self._names: set[str] = set()

    def enqueue(self, name: str, args: Args) -> Step[Job]:
        job = self._job(name, args)
        yield from store.enqueue(self._keys, {job.name: [job.raw]})
        return job

    def enqueue_many(self, jobs: Iterable[tuple[str, Args]]) -> Step[list[Job]]:
        made: list[Job] = []
        for at, item in enumerate(jobs):
            try:
                name, args = item
            except (TypeError, ValueError):
                raise InvalidArgs(f"job {at}: expected a pair (name, args), got {item!r}") from None
            try:
                made.append(self._job(name, args))
            except ValueError as error:
                raise type(error)(f"job {at}: {error}") from None
        for start in range(0, len(made), store.MAX_BATCH):
            batches: dict[str, list[bytes]] = {}
            for job in made[start : start + store.MAX_BATCH]:
                batches.setdefault(job.name, []).append(job.raw)
            yield from store.enqueue(self._keys, batches)
        return made

    def schedule(self, name: str, run_at_s: int, args: Args) -> Step[ScheduledJob]:
        job = self._job(name, args)
        yield from store.schedule(self._keys, job.name, run_at_s, job.raw)
        return ScheduledJob(run_at_s, job)

    def unique(
        self,
        name: str,
        args: Args,
        *,
        key: Args = None,
        by_key: bool = False,
        until: Until = "start",
        run_at_s: int | None = None,
    ) -> Step[Job | None]:
        if until not in {"start", "done"}:
            raise InvalidOption(f'until must be "start" or "done", not {until!r}')
        name = self._check(name)
        args_json = gojson.encode_args(args)
        try:
            key_json = gojson.encode_args(key) if by_key else args_json
        except InvalidArgs as error:
            raise InvalidArgs(str(error).replace("args", "key", 1)) from None
        unique_key = self._keys.unique(name, key_json)
        now_s = self._clock.read().epoch_s
        raw = wire.encode(
            name, self._entropy.identifier(), now_s, args_json,
            unique_key=unique_key, unique_until=until,
        )  # fmt: skip
        delay_s = max(run_at_s - now_s, 0) if run_at_s is not None else 0
        accepted = yield from store.enqueue_unique(
            self._keys,
            name,
            raw,
            unique_key=unique_key.encode(),
            # "1" is what the original writes where args and key are the same. The payload itself
            # lets a later call replace it, or says whose key it is until the job is done.
            value=raw if by_key or until == "done" else b"1",
            replaces=by_key,
            lives_s=delay_s + _UNIQUE_LIVES_S,
            run_at_s=run_at_s,
        )
        return wire.decode(raw) if accepted else None

    def unique_in(
        self, name: str, run_at_s: int, args: Args, **options: Any
    ) -> Step[ScheduledJob | None]:
        job = yield from self.unique(name, args, run_at_s=run_at_s, **options)
        return None if job is None else ScheduledJob(run_at_s, job)

    def after(self, seconds: float) -> int:
        """Return the time some seconds from now, epoch seconds."""
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, (int, float))
            or not 0 <= seconds <= _MAX_DELAY_S
        ):
            raise InvalidOption(f"seconds must be a number from 0 up to a century, not {seconds!r}")
        return math.ceil(self._clock.read().epoch_ms / 1000 + seconds)

    def at(self, when: datetime.datetime | float) -> int:
        """Return a point in time as epoch seconds."""
        if isinstance(when, datetime.datetime):
            if when.tzinfo is None:
                raise InvalidOption(
                    f"when must be a datetime with a time zone or epoch seconds; {when!r} has none"
                )
            when = when.timestamp()
        if (
            isinstance(when, bool)
            or not isinstance(when, (int, float))
            or not 0 <= when <= self._clock.read().epoch_s + _MAX_DELAY_S
        ):
            raise InvalidOption(
                f"when must be a datetime with a time zone or epoch seconds, not {when!r}"
            )
        return math.ceil(when)

    def _job(self, name: str, args: Args) -> Job:
        name = self._check(name)
        args_json = gojson.encode_args(args)
        job_id, now_s = self._entropy.identifier(), self._clock.read().epoch_s
        raw = wire.encode(name, job_id, now_s, args_json)
        return Job(name, job_id, now_s, dict(args) if args is not None else None, raw=raw)

    def _check(self, name: str) -> str:
        if type(name) is not str or name not in self._names:
            name = check_name(name)
            self._names.add(name)
        return name


class Enqueuer:
    """Enqueues jobs; safe to share among threads.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL. The enqueuer opens connections of its own to that server.
        clock: Where times come from.
        entropy: Where ids come from.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL.
        InvalidName: The namespace cannot be one.

    Every method raises `InvalidName` or `InvalidArgs` before anything is sent, `ServerRefused` if
    Redis said no (nothing was enqueued), and `ServerUnavailable` if it did not answer: then a job
    may have been enqueued, and enqueuing again may run a plain job twice, a unique one not.
    """

    def __init__(
        self,
        namespace: str,
        redis: object,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        self._planner = _Planner(namespace, clock or SystemClock(), entropy or Entropy())
        self._links = carrier(redis)

    def enqueue(self, name: str, args: Args = None) -> Job:
        """Put a job into its queue.

        Args:
            name: The job's name.
            args: A mapping with string keys and JSON values. Handlers see ints of any size exactly.

        Returns:
            The job.
        """
        return self._links.run(self._planner.enqueue(name, args))

    def enqueue_many(self, jobs: Iterable[tuple[str, Args]]) -> list[Job]:
        """Put many jobs into their queues, a round trip a thousand.

        Args:
            jobs: Pairs of name and args. All are checked before the first is sent.

        Returns:
            The jobs, in the same order.
        """
        return self._links.run(self._planner.enqueue_many(jobs))

    def enqueue_in(self, name: str, seconds: float, args: Args = None) -> ScheduledJob:
        """Schedule a job.

        Args:
            name: The job's name.
            seconds: How long from now; the job is due at the next whole second.
            args: As for `enqueue`.

        Returns:
            The job and when it is due.
        """
        return self._links.run(self._planner.schedule(name, self._planner.after(seconds), args))

    def enqueue_at(
        self, name: str, when: datetime.datetime | float, args: Args = None
    ) -> ScheduledJob:
        """Schedule a job for a point in time.

        Args:
            name: The job's name.
            when: A datetime with a time zone, or epoch seconds. One in the past is due at once.
            args: As for `enqueue`.

        Returns:
            The job and when it is due.
        """
        return self._links.run(self._planner.schedule(name, self._planner.at(when), args))

    def enqueue_unique(self, name: str, args: Args = None, *, until: Until = "start") -> Job | None:
        """Put a job into its queue unless one with the same name and args is waiting.

        Args:
            name: The job's name.
            args: As for `enqueue`.
            until: "start" lets the next one in once processing begins, as the original does;
                "done" only once the job has succeeded or died, retries included. Either way the
                key expires a day after the job is due. Go pools release at the start.

        Returns:
            The job, or None if one was waiting.
        """
        return self._links.run(self._planner.unique(name, args, until=until))

    def enqueue_unique_in(
        self, name: str, seconds: float, args: Args = None, *, until: Until = "start"
    ) -> ScheduledJob | None:
        """Schedule a job unless one with the same name and args is waiting.

        Args:
            name: The job's name.
            seconds: How long from now.
            args: As for `enqueue`.
            until: As for `enqueue_unique`.

        Returns:
            The job and when it is due, or None if one was waiting.
        """
        due_s = self._planner.after(seconds)
        return self._links.run(self._planner.unique_in(name, due_s, args, until=until))

    def enqueue_unique_by_key(self, name: str, args: Args, key: Args) -> Job | None:
        """Put a job into its queue, or hand its args to the one that waits under the same key.

        Args:
            name: The job's name.
            args: As for `enqueue`. The newest args are those that run.
            key: A mapping; jobs with the same name and key are the same.

        Returns:
            The job, or None if one was waiting and has taken over the args (unless it was enqueued
            with ``until="done"``, which keeps its own).
        """
        return self._links.run(self._planner.unique(name, args, key=key, by_key=True))

    def enqueue_unique_in_by_key(
        self, name: str, seconds: float, args: Args, key: Args
    ) -> ScheduledJob | None:
        """Schedule a job, or hand its args to the one that waits under the same key.

        Args:
            name: The job's name.
            seconds: How long from now; a job that waits keeps its own time.
            args: As for `enqueue`. The newest args are those that run.
            key: As for `enqueue_unique_by_key`.

        Returns:
            The job and when it is due, or None if one was waiting and has taken over the args.
        """
        due_s = self._planner.after(seconds)
        return self._links.run(self._planner.unique_in(name, due_s, args, key=key, by_key=True))

    def close(self) -> None:
        """Close the connections; they open again when they are needed."""
        self._links.close()


class AsyncEnqueuer:
    """Enqueues jobs from asyncio; the methods are those of `Enqueuer`, awaited.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client (sync or asyncio) or a URL.
        clock: Where times come from.
        entropy: Where ids come from.
    """

    def __init__(
        self,
        namespace: str,
        redis: object,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        self._planner = _Planner(namespace, clock or SystemClock(), entropy or Entropy())
        self._links = async_carrier(redis)

    async def enqueue(self, name: str, args: Args = None) -> Job:
        """Put a job into its queue; see `Enqueuer.enqueue`."""
        return await self._links.run(self._planner.enqueue(name, args))

    async def enqueue_many(self, jobs: Iterable[tuple[str, Args]]) -> list[Job]:
        """Put many jobs into their queues; see `Enqueuer.enqueue_many`."""
        return await self._links.run(self._planner.enqueue_many(jobs))

    async def enqueue_in(self, name: str, seconds: float, args: Args = None) -> ScheduledJob:
        """Schedule a job; see `Enqueuer.enqueue_in`."""
        return await self._links.run(
            self._planner.schedule(name, self._planner.after(seconds), args)
        )

    async def enqueue_at(
        self, name: str, when: datetime.datetime | float, args: Args = None
    ) -> ScheduledJob:
        """Schedule a job for a point in time; see `Enqueuer.enqueue_at`."""
        return await self._links.run(self._planner.schedule(name, self._planner.at(when), args))

    async def enqueue_unique(
        self, name: str, args: Args = None, *, until: Until = "start"
    ) -> Job | None:
        """Put a job into its queue unless one is waiting; see `Enqueuer.enqueue_unique`."""
        return await self._links.run(self._planner.unique(name, args, until=until))

    async def enqueue_unique_in(
        self, name: str, seconds: float, args: Args = None, *, until: Until = "start"
    ) -> ScheduledJob | None:
        """Schedule a job unless one is waiting; see `Enqueuer.enqueue_unique_in`."""
        due_s = self._planner.after(seconds)
        return await self._links.run(self._planner.unique_in(name, due_s, args, until=until))

    async def enqueue_unique_by_key(self, name: str, args: Args, key: Args) -> Job | None:
        """Put a job into its queue or update it; see `Enqueuer.enqueue_unique_by_key`."""
        return await self._links.run(self._planner.unique(name, args, key=key, by_key=True))

    async def enqueue_unique_in_by_key(
        self, name: str, seconds: float, args: Args, key: Args
    ) -> ScheduledJob | None:
        """Schedule a job or update it; see `Enqueuer.enqueue_unique_in_by_key`."""
        due_s = self._planner.after(seconds)
        return await self._links.run(
            self._planner.unique_in(name, due_s, args, key=key, by_key=True)
        )

    async def close(self) -> None:
        """Close the connections; they open again when they are needed."""
        await self._links.close()
