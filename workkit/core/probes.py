"""Probes: what watches jobs where they are sent and where they run, such as tracing.

A probe is attached to one enqueuer, to one pool, or to the process. Nothing below it knows what it
does. Its errors are logged once and never reach the job. Without a probe, a job pays for one look.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from workkit.core import gojson
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

        Each handler of the job finds them again, also after retries. Their names must not be those
        of other fields of a job.
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
    """

    outcome: Outcome
    failed: bool
    error: BaseException | None
    error_text: str
    run_s: float


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
        """The handler has ended; called once, from any thread. It may come before `leave`."""
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
            if (one := _guarded(probe.sends, jobs, where, many=many)) is not None:
                self._each.append(one)

    def marked(self, raw: bytes, at: int) -> bytes:
        """Return the bytes of a job with its members behind all others, by its position."""
        found: dict[str, str] = {}
        for one in self._each:
            for name, value in (_guarded(one.members, at) or {}).items():
                if name == BAGGAGE and name in found:
                    found[name] += f",{value}"
                else:
                    found.setdefault(name, value)
        members = [
            b",%b:%b" % (gojson.encode_text(name), gojson.encode_text(value))
            for name, value in found.items()
            if len(value) <= _MAX_MEMBER_CHARS
        ]
        return b"%b%b}" % (raw[:-1], b"".join(members))

    def ended(self, error: BaseException | None, *, accepted: bool = True) -> None:
        """Tell the probes that the send has ended."""
        for one in self._each:
            _guarded(one.ended, error, accepted=accepted)


class Runs:
    """One execution of a job, seen by all probes.

    Args:
        probes: The probes.
        job: The job.
    """

    __slots__ = ("_each", "_lock")

    def __init__(self, probes: Sequence[Probe], job: Incoming) -> None:
        self._lock = threading.Lock()
        self._each: tuple[Run, ...] | None = tuple(
            one for probe in probes if (one := _guarded(probe.runs, job)) is not None
        )

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

    def _enter(self) -> list[tuple[Run, object]]:
        return [(one, _guarded(one.enter)) for one in self._each or ()]

    @staticmethod
    def _leave(entered: list[tuple[Run, object]]) -> None:
        for one, token in reversed(entered):
            _guarded(one.leave, token)

    def ended(self, end: Ended) -> None:
        """Tell the probes how the handler has ended; only the first end counts."""
        with self._lock:
            each, self._each = self._each, None
        for one in each or ():
            _guarded(one.ended, end)


# Probes of the whole process.

#: The probes of the process; changed in place.
EVERYWHERE: Final[list[Probe]] = []
_trace_sources: tuple[Callable[[], Mapping[str, str]], ...] = ()
_lock: Final = threading.Lock()
#: Kinds of errors that are logged already.
_told: Final[set[tuple[str, type[BaseException]]]] = set()
_MOST_TOLD: Final = 1_000


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
    """Return the probes of one enqueuer or pool, and those of the process."""
    return tuple(dict.fromkeys((*own, *EVERYWHERE))) if EVERYWHERE else own


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
        found: Mapping[str, str] | None = _guarded(source)
        if found:
            return found
    return {}


def _guarded(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a probe; log its error once, and return None."""
    try:
        return function(*args, **options)
    except JobTimeout:
        raise  # the timeout of the handler on whose thread this runs
    except Exception as error:  # noqa: BLE001 - users' exporters, samplers and processors
        kind = (getattr(function, "__qualname__", ""), type(error))
        if kind not in _told and len(_told) < _MOST_TOLD:
            _told.add(kind)
            _log.warning(
                "%s of %s has failed, so telemetry is incomplete; jobs are not affected "
                "(logged once)",
                kind[0],
                getattr(function, "__module__", "?"),
                exc_info=True,
            )
        return None
