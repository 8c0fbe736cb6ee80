"""The logic of enqueuing, without I/O: checks and encodes jobs, and makes the round trips.

Every error of the caller is raised before anything is sent.
"""

from __future__ import annotations

import datetime
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias, TypeVar

from workkit.core import gojson
from workkit.core import job as wire
from workkit.core.batching import batches
from workkit.core.call import Call
from workkit.core.clock import Clock, SystemClock
from workkit.core.entropy import Entropy
from workkit.core.job import Job
from workkit.core.lifetimes import UNIQUE_LIVES_S
from workkit.core.options import (
    LARGE_BYTES,
    MAX_JOB_BYTES,
    check_flag,
    check_job_bytes,
    check_sources,
    shown,
)
from workkit.core.probes import EVERYWHERE, Probe, Sends, Where, attached
from workkit.core.records import ScheduledJob
from workkit.enqueuer.observing import LISTENERS, enqueued
from workkit.errors import InvalidArgs, InvalidName, InvalidOption
from workkit.store.calls import enqueue
from workkit.store.keys import Keys, check_name
from workkit.store.round_trip import RoundTrip, Step

__all__ = ["Args", "EnqueueSteps", "Name", "Until", "key_of"]

_log = logging.getLogger("workkit")

Args: TypeAlias = Mapping[str, Any] | None
Name: TypeAlias = str | Call
Until: TypeAlias = Literal["start", "done"]
R = TypeVar("R")

#: A job scheduled further ahead counts as a mistake, such as milliseconds for seconds.
_MAX_DELAY_S: Final = 100 * 366 * 86_400
_RAW: Final = attrgetter("raw")


class EnqueueSteps:
    """Makes the round trips of an enqueuer.

    Args:
        namespace: Prefix of all keys.
        clock: The source of times; None for the host's clock.
        entropy: The source of ids; None for the system's.
        max_job_bytes: A larger job is refused.
        allow_huge_integers: Whether args may hold integers that Go cannot read.

    Attributes:
        keys: The keys of the namespace.
        where: The server, for probes; None for steps that nobody carries out.
        probes: The probes of this enqueuer.

    Raises:
        InvalidOption: An option has a wrong type or is out of its range.
    """

    def __init__(
        self,
        namespace: str,
        clock: Clock | None,
        entropy: Entropy | None,
        max_job_bytes: int = MAX_JOB_BYTES,
        *,
        allow_huge_integers: bool = False,
    ) -> None:
        check_sources(clock, entropy)
        check_flag("allow_huge_integers", allow_huge_integers)
        self._max_bytes = check_job_bytes(max_job_bytes)
        self.keys = Keys(namespace)
        self._clock = clock if clock is not None else SystemClock()
        self._entropy = entropy if entropy is not None else Entropy()
        self._allow_huge_integers = allow_huge_integers
        self.where: Where | None = None
        self.probes: tuple[Probe, ...] = ()
        self._names: set[str] = set()
        self._large: set[str] = set()  # names with a logged warning of a large job

    def enqueue(self, name: Name, args: Args) -> Step[Job]:
        """Put a job into its queue."""
        job = self._job(name, args)
        sends = self._mark((job,)) if self.probes or EVERYWHERE else None
        trip = enqueue.enqueue_one(self.keys, job.name, job.raw)
        yield from trip if sends is None else _told(sends, trip)
        if LISTENERS:
            enqueued({job.name: 1})
        return job

    def enqueue_many(self, jobs: Iterable[Call | tuple[str, Args]]) -> Step[list[Job]]:
        """Put many jobs into their queues; all are checked before the first is sent."""
        made: list[Job] = []
        if isinstance(jobs, (str, bytes, Mapping)) or not isinstance(jobs, Iterable):
            raise InvalidArgs(
                f"enqueue_many takes an iterable of pairs (name, args), not {shown(jobs)}"
            )
        for at, item in enumerate(jobs):
            try:
                name, args = item
            except (TypeError, ValueError):
                raise InvalidArgs(
                    f"job {at}: expected a Call or a pair (name, args), got {shown(item)}"
                ) from None
            try:
                made.append(self._job(name, args))
            except ValueError as error:
                raise type(error)(f"job {at}: {error}") from None
        sends = self._mark(made, many=True) if made and (self.probes or EVERYWHERE) else None
        step = self._send_many(made)
        yield from step if sends is None else _told(sends, step)
        return made

    def _send_many(self, jobs: Sequence[Job]) -> Step[None]:
        for batch in batches(jobs, _RAW, enqueue.MAX_BATCH, enqueue.MAX_BATCH_BYTES):
            by_name: dict[str, list[bytes]] = {}
            for job in batch:
                by_name.setdefault(job.name, []).append(job.raw)
            yield from enqueue.enqueue(self.keys, by_name)
            if LISTENERS:
                enqueued({name: len(raws) for name, raws in by_name.items()})

    def schedule(self, name: Name, run_at_s: int, args: Args) -> Step[ScheduledJob]:
        """Put a job into the scheduled set."""
        job = self._job(name, args, queued=False)
        sends = self._mark((job,)) if self.probes or EVERYWHERE else None
        trip = enqueue.schedule(self.keys, job.name, run_at_s, job.raw)
        yield from trip if sends is None else _told(sends, trip)
        if LISTENERS:
            enqueued({job.name: 1})
        return ScheduledJob(run_at_s, job)

    def unique(
        self,
        name: Name,
        args: Args,
        *,
        key: Args = None,
        by_key: bool = False,
        until: Until = "start",
        run_at_s: int | None = None,
    ) -> Step[Job | None]:
        """Put a unique job into its queue or the scheduled set; return None if one was waiting."""
        if until not in ("start", "done"):
            raise InvalidOption(f'until must be "start" or "done", not {shown(until)}')
        if isinstance(name, Call):
            name, args = _parts(name, args)
        name = self._check(name)
        args_json = self._encode(args)
        try:
            key_json = self._encode(key) if by_key else args_json
        except InvalidArgs as error:
            raise InvalidArgs(str(error).replace("args", "key", 1)) from None
        unique_key = self.keys.unique(name, key_json)
        now = self._clock.read()
        now_s = now.epoch_s
        raw = wire.encode(
            name, self._entropy.identifier(), now_s, args_json,
            unique_key=unique_key, unique_until=until,
            enqueued_ms=now.epoch_ms if run_at_s is None else None,
        )  # fmt: skip
        if len(raw) > LARGE_BYTES:
            self._check_size(name, raw)
        sends = None
        if self.probes or EVERYWHERE:
            job = wire.decode(raw)
            sends = self._mark((job,))
            raw = job.raw
        delay_s = max(run_at_s - now_s, 0) if run_at_s is not None else 0
        trip = enqueue.enqueue_unique(
            self.keys,
            name,
            raw,
            unique_key=unique_key.encode(),
            # The original writes "1" if args and key are the same. The payload itself allows a
            # later call to replace it, or names the key's owner until the job is done.
            value=raw if by_key or until == "done" else b"1",
            replaces=by_key,
            lives_s=delay_s + UNIQUE_LIVES_S,
            run_at_s=run_at_s,
        )
        accepted = yield from trip if sends is None else _told(sends, trip)
        if LISTENERS and accepted:
            enqueued({name: 1})
        return wire.decode(raw) if accepted else None

    def unique_in(
        self, name: Name, run_at_s: int, args: Args, **options: Any
    ) -> Step[ScheduledJob | None]:
        """Put a unique job into the scheduled set; return None if one was waiting."""
        job = yield from self.unique(name, args, run_at_s=run_at_s, **options)
        return None if job is None else ScheduledJob(run_at_s, job)

    def after(self, seconds: float) -> int:
        """Return the time some seconds from now, epoch seconds."""
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, (int, float))
            or not 0 <= seconds <= _MAX_DELAY_S
        ):
            raise InvalidOption(
                f"seconds must be a number from 0 up to a century, not {shown(seconds)}"
            )
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
                "when must be a datetime with a time zone or epoch seconds up to a century ahead, "
                f"not {shown(when)}"
            )
        return math.ceil(when)

    def _job(self, name: Name, args: Args, *, queued: bool = True) -> Job:
        if isinstance(name, Call):
            name, args = _parts(name, args)
        name = self._check(name)
        args_json = self._encode(args)
        job_id, now = self._entropy.identifier(), self._clock.read()
        now_s = now.epoch_s
        raw = wire.encode(
            name, job_id, now_s, args_json, enqueued_ms=now.epoch_ms if queued else None
        )
        if len(raw) > LARGE_BYTES:
            self._check_size(name, raw)
        return Job(name, job_id, now_s, dict(args) if args is not None else None, raw=raw)

    def _mark(self, jobs: Sequence[Job], *, many: bool = False) -> Sends | None:
        """Tell the probes that jobs are about to be sent, and give the jobs their members."""
        if self.where is None:
            return None
        sends = Sends(attached(self.probes), jobs, self.where, many=many)
        for at, job in enumerate(jobs):
            job.raw = sends.marked(job.raw, at, self._max_bytes)
        return sends

    def _encode(self, args: Args) -> bytes:
        return gojson.encode_args(
            args,
            allow_huge_integers=self._allow_huge_integers,
            most_values=self._max_bytes,  # each takes at least one
        )

    def _check_size(self, name: str, raw: bytes) -> None:
        """Refuse a job that is too large; warn once per name of a large job."""
        if len(raw) > self._max_bytes:
            raise InvalidArgs(
                f"job {shown(name)} takes {len(raw)} bytes, more than "
                f"max_job_bytes={self._max_bytes}; "
                "store large data elsewhere and enqueue a reference to it"
            )
        if name not in self._large:
            self._large.add(name)
            _log.warning(
                "job %r takes %d bytes; each step of its life copies them, so store large data "
                "elsewhere and enqueue a reference to it (logged once per name)",
                name,
                len(raw),
            )

    def _check(self, name: str) -> str:
        if type(name) is not str or name not in self._names:
            if callable(getattr(name, "call", None)):
                raise InvalidName(f"{name!r} is a task; enqueue a call of it: task.call(...)")
            name = check_name(name)
            self._names.add(name)
        return name


def _told(sends: Sends, step: RoundTrip[R] | Step[R]) -> Step[R]:
    """Run a step; tell the probes how it has ended."""
    try:
        result = yield from step
    except BaseException as error:
        sends.ended(error)
        raise
    sends.ended(None, accepted=result is not False)
    return result


def _parts(call: Call, args: Args) -> tuple[str, Args]:
    """Return the name and the args of a call."""
    if args is not None:
        raise InvalidArgs(f"the call of {call.name!r} has its args; do not pass others beside it")
    return call.name, call.args


def key_of(name: Name, args: Args, key: Args) -> tuple[Args, Args]:
    """Return args and key of a unique job by key; behind a call, the key comes second."""
    if not isinstance(name, Call):
        return args, key
    if args is not None and key is not None:
        raise InvalidArgs(f"the call of {name.name!r} has its args; pass only the key beside it")
    return None, key if args is None else args
