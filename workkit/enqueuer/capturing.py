"""Takes jobs away from enqueuers before they reach a server, for tests without one.

A capture sees each job as the bytes that would have gone to the server. It holds in the context in
which it was opened: in that thread or task, and in tasks and threads that copy the context. One
opened everywhere holds in the whole process.
"""

from __future__ import annotations

import threading
from collections.abc import Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

from workkit.errors import ServerError
from workkit.store.calls.enqueue import Written, read_written, without
from workkit.store.connections.aio import AsyncCarrier
from workkit.store.connections.links import Carrier
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["AsyncCapturable", "Capturable", "Capture", "captures", "capturing"]

R = TypeVar("R")


class Capture(Protocol):
    """Takes jobs in place of a server."""

    def wants(self, name: str) -> bool:
        """Tell whether it takes jobs of a name."""
        ...

    def take(self, job: Written) -> bool:
        """Take a job; return False if it is a duplicate of a unique job."""
        ...

    async def take_async(self, job: Written) -> bool:
        """Take a job on an event loop; as `take`."""
        ...


_HERE: Final[ContextVar[tuple[Capture, ...]]] = ContextVar("workkit_captures", default=())
_everywhere: tuple[Capture, ...] = ()
_lock: Final = threading.Lock()


@contextmanager
def capturing(capture: Capture, *, everywhere: bool = False) -> Iterator[None]:
    """Give a capture the jobs that it wants; the one that was opened last is asked first.

    Args:
        capture: The capture.
        everywhere: Whether it also takes the jobs of the rest of the process.
    """
    token = _HERE.set((capture, *_HERE.get()))
    if everywhere:
        _change_everywhere((capture,), ())
    try:
        yield
    finally:
        if everywhere:
            _change_everywhere((), (capture,))
        try:
            _HERE.reset(token)
        except ValueError:  # an async fixture leaves in another context than it has entered
            _HERE.set(tuple(each for each in _HERE.get() if each is not capture))


def _change_everywhere(added: tuple[Capture, ...], removed: tuple[Capture, ...]) -> None:
    global _everywhere  # noqa: PLW0603 - captures of the whole process
    with _lock:
        _everywhere = (*added, *(each for each in _everywhere if each not in removed))


def captures() -> tuple[Capture, ...]:
    """Return the captures of the calling code, the one to ask first at the front."""
    return (*_HERE.get(), *_everywhere) if _everywhere else _HERE.get()


def _taker(name: str, asked: tuple[Capture, ...]) -> Capture | None:
    return next((each for each in asked if each.wants(name)), None)


class Capturable:
    """The carrier of an enqueuer, below its captures.

    Args:
        carrier: Carries the jobs that no capture wants to the server.
    """

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    @property
    def label(self) -> str:
        """The server as it may be shown."""
        return self._carrier.label

    def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: What the step did not handle itself.
        """
        takers = captures()
        if not takers:
            return self._carrier.carry(step)
        work, answer = _diverted(step, takers), _Answer(None)
        while True:
            try:
                asked = answer.give_to(work)
            except StopIteration as stop:
                result: R = stop.value
                return result
            if isinstance(asked, _Taken):
                answer = _Answer(asked.capture.take(asked.job))
                continue
            try:
                answer = _Answer(self._carrier.carry(iter(asked)))
            except ServerError as error:
                answer = _Answer(error)

    def close(self) -> None:
        """Close open connections; the next step opens one again."""
        self._carrier.close()

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the carrier has."""
        return getattr(self._carrier, name)


class AsyncCapturable:
    """The same for an event loop.

    Args:
        carrier: Carries the jobs that no capture wants to the server.
    """

    def __init__(self, carrier: AsyncCarrier) -> None:
        self._carrier = carrier

    def carry(self, step: Step[R]) -> Coroutine[Any, Any, R]:
        """Carry out a step; as `Capturable.carry`."""
        takers = captures()
        return self._divert(step, takers) if takers else self._carrier.carry(step)

    async def _divert(self, step: Step[R], takers: tuple[Capture, ...]) -> R:
        work, answer = _diverted(step, takers), _Answer(None)
        while True:
            try:
                asked = answer.give_to(work)
            except StopIteration as stop:
                result: R = stop.value
                return result
            if isinstance(asked, _Taken):
                answer = _Answer(await asked.capture.take_async(asked.job))
                continue
            try:
                answer = _Answer(await self._carrier.carry(iter(asked)))
            except ServerError as error:
                answer = _Answer(error)

    async def close(self) -> None:
        """Close open connections; the next step opens one again."""
        await self._carrier.close()

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the carrier has."""
        return getattr(self._carrier, name)


class _Taken(NamedTuple):
    """A job for a capture."""

    capture: Capture
    job: Written


_Work: TypeAlias = "Generator[_Taken | RoundTrip[Any], Any, Any]"


class _Answer(NamedTuple):
    """What was asked for, or the error of the server."""

    value: Any

    def give_to(self, work: _Work) -> _Taken | RoundTrip[Any]:
        if isinstance(self.value, ServerError):
            return work.throw(self.value)
        return work.send(self.value)


def _diverted(step: Step[R], asked: tuple[Capture, ...]) -> _Work:
    """Run a step; yield its jobs for captures, and what is left of its round trips."""
    answer: Any = None
    while True:
        try:
            trip = step.throw(answer) if isinstance(answer, ServerError) else step.send(answer)
        except StopIteration as stop:
            return stop.value
        try:
            answer = yield from _divert(trip.commands, asked)
        except ServerError as error:
            answer = error


def _divert(commands: Sequence[Command], asked: tuple[Capture, ...]) -> _Work:
    """Return the replies of a round trip whose first command writes jobs."""
    first, *others = commands
    jobs = read_written(first)
    takers = {job.name: _taker(job.name, asked) for job in jobs}
    accepted = True
    for job in jobs:
        if (taker := takers[job.name]) is not None:
            accepted = yield _Taken(taker, job)
    taken = [name for name, taker in takers.items() if taker is not None]
    left = without(first, taken) if taken else first
    if left is None:
        return [int(accepted), *map(_confirmed, others)]
    replies = yield RoundTrip((left, *others), lambda replies: replies, tolerant=True)
    return replies


def _confirmed(command: Command) -> Any:
    """Return the reply of a server that has written everything everywhere."""
    if command[0] == "WAIT":
        return command[1]
    return [command[1], command[2]] if command[0] == "WAITAOF" else b"OK"
