"""Takes jobs away from enqueuers before they reach a server, for tests without one.

A capture sees each job as the bytes that would have gone to the server. It holds in the context in
which it was opened: in that thread or task, and in tasks and threads that copy the context. One
opened for all threads holds in the whole process.
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
from workkit.store.connections.link import Carrier
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["AsyncCapturable", "Capturable", "Capture", "capturing", "is_captured"]

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
def capturing(capture: Capture, *, threads: bool = False) -> Iterator[None]:
    """Give a capture the jobs that it wants; the one that was opened last is asked first.

    Args:
        capture: The capture.
        threads: Whether it also takes the jobs of threads that do not copy this context.
    """
    token = _HERE.set((capture, *_HERE.get()))
    if threads:
        _change_everywhere((capture,), ())
    try:
        yield
    finally:
        if threads:
            _change_everywhere((), (capture,))
        _HERE.reset(token)


def _change_everywhere(added: tuple[Capture, ...], removed: tuple[Capture, ...]) -> None:
    global _everywhere  # noqa: PLW0603 - captures of the whole process
    with _lock:
        _everywhere = (*added, *(each for each in _everywhere if each not in removed))


def _captures() -> tuple[Capture, ...]:
    return (*_HERE.get(), *_everywhere) if _everywhere else _HERE.get()


def is_captured(name: str) -> bool:
    """Tell whether a capture takes jobs of a name, which are enqueued here and now."""
    return _taker(name, _captures()) is not None


def _taker(name: str, captures: tuple[Capture, ...]) -> Capture | None:
    return next((each for each in captures if each.wants(name)), None)


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
        captures = _captures()
        if not captures:
            return self._carrier.carry(step)
        work, answer = _diverted(step, captures), _Answer(None)
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
        captures = _captures()
        return self._divert(step, captures) if captures else self._carrier.carry(step)

    async def _divert(self, step: Step[R], captures: tuple[Capture, ...]) -> R:
        work, answer = _diverted(step, captures), _Answer(None)
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


def _diverted(step: Step[R], captures: tuple[Capture, ...]) -> _Work:
    """Run a step; yield its jobs for captures, and what is left of its exchanges."""
    answer: Any = None
    while True:
        try:
            trip = step.throw(answer) if isinstance(answer, ServerError) else step.send(answer)
        except StopIteration as stop:
            return stop.value
        try:
            answer = yield from _divert(trip.commands, captures)
        except ServerError as error:
            answer = error


def _divert(commands: Sequence[Command], captures: tuple[Capture, ...]) -> _Work:
    """Return the replies of an exchange whose first command writes jobs."""
    first, *others = commands
    jobs = read_written(first)
    takers = {job.name: _taker(job.name, captures) for job in jobs}
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
