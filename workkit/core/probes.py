"""Probes: what watches jobs where they are sent and where they run, such as tracing.

A probe is attached to one enqueuer, to one pool, or to the process. Nothing below it knows what it
does. Its errors are logged once and never reach the job. What hangs in it is interrupted or given
up as the handler would be. Without a probe, a job pays for one look.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from workkit.core import gojson
from workkit.core.clock import monotonic_s
from workkit.core.guarding import called, guarded, warn_once
from workkit.core.job import Job, Payload, has_run
from workkit.core.outcomes import Outcome
from workkit.errors import JobTimeout

__all__ = [
    "BAGGAGE",
    "EVERYWHERE",
    "NOWHERE",
    "Ended",
    "Incoming",
    "Probe",
    "Run",
    "Runs",
    "Send",
    "Sends",
    "Watch",
    "Where",
    "add_trace_source",
    "attach",
    "attached",
    "detach",
    "remove_trace_source",
    "trace_fields",
]

_log = logging.getLogger("workkit")

#: A list by its own standard, so that the values of several probes can be joined.
BAGGAGE: Final = "baggage"
#: Longer values of members are left out: they would be copied at each step of a job's life.
_MAX_MEMBER_CHARS: Final = 8_192
#: The names of the fields that workkit and the original read in a job's JSON.
_FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Payload))
#: More bytes than this are not added to a job.
_MAX_ADDED_BYTES: Final = 32_768


class Where(NamedTuple):
    """Where jobs go to or come from.

    Attributes:
        namespace: Prefix of all keys.
        address: The server's host name, or the path of its socket; "" if it is unknown.
        port: Its port; None for a socket, or if it is unknown.
    """

    namespace: str
    address: str = ""
    port: int | None = None


NOWHERE: Final = Where("")


class Watch(NamedTuple):
    """What watches the jobs of a pool.

    Attributes:
        probes: The probes.
        where: Where the jobs come from.
    """

    probes: tuple[Probe, ...]
    where: Where


class Send(Protocol):
    """One send of jobs, seen by one probe."""

    def members(self, at: int) -> Mapping[str, str]:
        """Return the members to add to the JSON of a job, by its position.

        Each handler of the job finds them again, also after retries. A send whose members are not
        texts, or have names of fields of jobs, adds none. Values of more than 8,192 characters are
        left out, and all of them where the job would become too long.
        """
        ...

    def ended(self, error: BaseException | None, *, accepted: bool) -> None:
        """The send has ended.

        Args:
            error: The error, or None.
            accepted: False if the job was a duplicate of a unique one, and was not enqueued.
        """
        ...


class Incoming(NamedTuple):
    """A job whose handler starts.

    Attributes:
        payload: Its fields.
        raw: Its bytes.
        recovered: How often it was recovered from dead pools.
        where: Where it comes from.
        started_ms: When the handler starts, epoch milliseconds.
    """

    payload: Payload
    raw: bytes
    recovered: int
    where: Where
    started_ms: int

    @property
    def again(self) -> bool:
        """Whether a handler has run it before, as far as the job tells."""
        return self.recovered > 0 or has_run(self.payload)


class Ended(NamedTuple):
    """How a handler has ended.

    Attributes:
        outcome: What becomes of the job.
        failed: Whether this counts as a failure of the handler.
        error: The exception, or None.
        error_text: It as it is stored; "" without one.
        run_s: How long the handler ran, seconds.
        at_s: When it ended, as `core.clock.monotonic_s` counts; None if it has just ended.
    """

    outcome: Outcome
    failed: bool
    error: BaseException | None
    error_text: str
    run_s: float
    at_s: float | None = None

    @property
    def ago_s(self) -> float:
        """How long ago the handler has ended, seconds: a probe may hear of it later."""
        return 0.0 if self.at_s is None else max(monotonic_s() - self.at_s, 0.0)


class Run(Protocol):
    """One execution of a job, seen by one probe."""

    def enter(self) -> object:
        """Prepare the context variables of the handler; called in its context.

        Returns:
            Anything that `leave` needs.
        """
        ...

    def leave(self, entered: Any) -> None:
        """Restore the context variables; called in the same context."""
        ...

    def ended(self, end: Ended) -> None:
        """The handler has ended; called once, from any thread. It may come before `leave`.

        While a pool runs, it is called on a thread of its own, where it may wait. If it hangs,
        further ends are not told.
        """
        ...


class Probe(Protocol):
    """Watches jobs."""

    def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> Send | None:
        """Jobs are about to be sent, in the calling context.

        Args:
            jobs: The jobs, at least one. Their bytes do not have the members yet.
            where: The server.
            many: Whether `enqueue_many` sends them.
        """
        ...

    def runs(self, job: Incoming) -> Run | None:
        """A handler is about to start."""
        ...


class Sends:
    """One send of jobs, seen by all probes.

    Args:
        probes: The probes.
        jobs: The jobs.
        where: The server.
        many: As for `Probe.sends`.
    """

    def __init__(
        self, probes: Sequence[Probe], jobs: Sequence[Job], where: Where, *, many: bool
    ) -> None:
        self._each: list[Send] = []
        for probe in probes:
            one = guarded(probe, "sends", jobs, where, many=many, through=JobTimeout)
            if one is not None:
                self._each.append(one)

    def marked(self, raw: bytes, at: int, most_bytes: int) -> bytes:
        """Return the bytes of a job with its members behind all others.

        Args:
            raw: The bytes.
            at: The job's position.
            most_bytes: How long a job may be. One that its members would make longer gets none.
        """
        found: dict[str, str] = {}
        for one in self._each:
            members = guarded(one, "members", at, through=JobTimeout, then=_usable)
            for name, value in members or ():
                if name not in found:
                    found[name] = value
                elif name == BAGGAGE and len(found[name]) + len(value) < _MAX_MEMBER_CHARS:
                    found[name] += f",{value}"
        added = b"".join(
            b",%b:%b" % (gojson.encode_text(name), gojson.encode_text(value))
            for name, value in found.items()
        )
        if len(added) > _MAX_ADDED_BYTES or len(raw) + len(added) > most_bytes:
            warn_once(
                "members that are too long",
                "a job of %d bytes is sent without the %d bytes that probes add, such as its "
                "trace: they are too many (logged once)",
                len(raw),
                len(added),
            )
            return raw
        return b"%b%b}" % (raw[:-1], added)

    def ended(self, error: BaseException | None, *, accepted: bool = True) -> None:
        """Tell the probes that the send has ended."""
        for one in self._each:
            guarded(one, "ended", error, accepted=accepted, through=JobTimeout)


def _usable(members: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Return the members that a job can take.

    Raises:
        TypeError: They are not texts by name.
        ValueError: One has the name of a field of jobs, which readers of the job would take for it.
    """
    usable = []
    for name, value in (members or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the member {name!r:.80} of a job must be a text: {value!r:.80}")
        if name.casefold() in _FIELDS:  # Go compares names without case
            raise ValueError(f"the member {name!r:.80} has the name of a field of jobs")
        if len(value) <= _MAX_MEMBER_CHARS:
            usable.append((name, value))
    return usable


class Runs:
    """One execution of a job, seen by all probes.

    Args:
        probes: The probes.
        job: The job.
    """

    __slots__ = ("_begins", "_each", "_is_over", "_job", "_lock", "_probes")

    def __init__(self, probes: Sequence[Probe], job: Incoming) -> None:
        self._lock = threading.Lock()
        self._probes = probes
        self._job = job
        self._begins = self._is_over = False
        self._each: tuple[Run, ...] = ()

    def run(self, function: Callable[..., object], *args: object) -> None:
        """Call a function in a context that the probes have prepared."""
        contextvars.copy_context().run(self._inside, function, args)

    def _inside(self, function: Callable[..., object], args: Sequence[object]) -> None:
        entered = self._enter()
        try:
            function(*args)
        finally:
            self._leave(entered)

    async def run_async(
        self, function: Callable[..., Coroutine[Any, Any, object]], *args: object
    ) -> None:
        """Await a function in the current context, which the probes have prepared."""
        entered = self._enter()
        try:
            await function(*args)
        finally:
            self._leave(entered)

    def _begin(self) -> tuple[Run, ...]:
        """Tell the probes; one that hangs here is interrupted or given up as the handler."""
        self._begins = True
        self._each = tuple(
            one
            for probe in self._probes
            if (one := guarded(probe, "runs", self._job, through=JobTimeout)) is not None
        )
        return self._each

    def _enter(self) -> list[tuple[Run, object]]:
        return [(one, guarded(one, "enter", through=JobTimeout)) for one in self._begin()]

    @staticmethod
    def _leave(entered: list[tuple[Run, object]]) -> None:
        for one, token in reversed(entered):
            guarded(one, "leave", token, through=JobTimeout)

    def ended(self, end: Ended) -> None:
        """Tell the probes how the handler has ended; only the first end counts."""
        with self._lock:
            is_over, self._is_over = self._is_over, True
        if is_over:
            return
        for one in self._each if self._begins else self._begin():
            guarded(one, "ended", end)


# Probes of the whole process.

#: The probes of the process; changed in place.
EVERYWHERE: Final[list[Probe]] = []
_TRACE_FIELDS: Final = ("trace_id", "span_id")
_trace_sources: tuple[Callable[[], Mapping[str, str]], ...] = ()
_lock: Final = threading.Lock()


def attach(probe: Probe) -> None:
    """Let a probe watch all enqueuers of the process, and the pools that start from now on."""
    with _lock:
        if probe not in EVERYWHERE:
            EVERYWHERE.append(probe)


def detach(probe: Probe) -> None:
    """Undo `attach`; running pools keep the probe until they stop."""
    with _lock:
        EVERYWHERE[:] = [each for each in EVERYWHERE if each is not probe]


def attached(own: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """Return the probes of one enqueuer or pool, then those of the process; one of each `kind`."""
    if not EVERYWHERE:
        return own
    kinds: dict[object, Probe] = {}
    for probe in (*own, *EVERYWHERE):
        kinds.setdefault(getattr(probe, "kind", id(probe)), probe)
    return tuple(kinds.values())


def add_trace_source(source: Callable[[], Mapping[str, str]]) -> None:
    """Let logs take ``trace_id`` and ``span_id`` from a function; the first with a trace wins."""
    global _trace_sources  # noqa: PLW0603 - those of the whole process
    with _lock:
        if source not in _trace_sources:
            _trace_sources = (*_trace_sources, source)


def remove_trace_source(source: Callable[[], Mapping[str, str]]) -> None:
    """Undo `add_trace_source`."""
    global _trace_sources  # noqa: PLW0603 - those of the whole process
    with _lock:
        _trace_sources = tuple(each for each in _trace_sources if each != source)


def trace_fields() -> Mapping[str, str]:
    """Return ``trace_id`` and ``span_id`` of the active span; empty without one."""
    for source in _trace_sources:
        found: Mapping[str, str] | None = called(_fields_of, source, through=JobTimeout)
        if found:
            return found
    return {}


def _fields_of(source: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Return the fields of a source: others must not take the place of what a record has."""
    found = source()
    return {name: found[name] for name in _TRACE_FIELDS if name in found} if found else {}
