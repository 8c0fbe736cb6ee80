"""What a loop asks of whoever drives it: exchanges, watches and waits.

A loop of the engine is a routine: a generator that yields these and is resumed when they are done.
Threads carry it out with a connection and a pipe, the simulator in virtual time; what it does with
a reply, an error or a quiet minute is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from workkit.store.connections.link import Link
from workkit.store.round_trip import RoundTrip

__all__ = ["Alarm", "ChangeListener", "Routine", "Wait", "WatchRequest", "carry_out"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until the loop's alarm is raised or the time is up.

    Attributes:
        for_s: At most this long, seconds.
        listen: Whether an announcement of the server ends the wait too.
    """

    for_s: float
    listen: bool = False


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """Read something and have the server announce its next change.

    The answer is what the exchange says; None where the server does not announce changes.
    """

    exchange: RoundTrip[Any]


#: A loop. A `ServerError` is thrown in where an exchange, a watch or a wait failed.
Routine: TypeAlias = Generator[RoundTrip[Any] | WatchRequest | Wait, Any, None]


class Alarm(Protocol):
    """What ends a wait from elsewhere."""

    def wake(self) -> None:
        """End the wait that is under way or announced; from any thread."""
        ...

    def arm(self) -> None:
        """Announce a wait. The caller then looks once more for work, and only then waits."""
        ...

    def disarm(self) -> None:
        """End a wait."""
        ...


class ChangeListener(Protocol):
    """A connection on which the server can announce changes."""

    @property
    def armed(self) -> bool:
        """Whether the watch still stands: nothing announced, nothing sent since."""
        ...

    def take_announced(self) -> list[bytes]:
        """Return the keys whose change was announced since the last call; a hint, not a list."""
        ...


def carry_out(routine: Generator[Any, Any, R], link: Link, wait: Callable[[Wait], object]) -> R:
    """Carry out a routine on this thread, to its end.

    Args:
        routine: The routine.
        link: The connection.
        wait: Waits; what it returns is the answer.

    Returns:
        What the routine returns.
    """
    answer: Any = None
    try:
        request = next(routine)
        while True:
            try:
                if type(request) is Wait:
                    answer = wait(request)
                elif type(request) is WatchRequest:
                    answer = link.arm(request.exchange)
                elif request.meanwhile is None:
                    answer = link.send(request.commands)
                else:
                    answer = link.send(request.commands, request.meanwhile)
            except Exception as error:  # noqa: BLE001 - the routine knows what to do, bugs included
                request = routine.throw(error)
            else:
                request = routine.send(answer)
    except StopIteration as stop:
        result: R = stop.value
        return result
