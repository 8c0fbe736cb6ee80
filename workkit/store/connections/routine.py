"""Requests of a loop to its driver: round trips, watches and waits.

A loop of the engine is a routine: a generator that yields these requests and is resumed when they
are done. A thread carries it out with a connection and a pipe; the simulator does so in virtual
time. So the logic of a loop exists once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
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
        listen: Whether an announcement of the server also ends the wait.
    """

    for_s: float
    listen: bool = False


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """Read keys, and ask the server to announce their next change.

    The answer is the result of the round trip; None if the server does not announce changes.

    Attributes:
        round_trip: Reads the keys.
        patient: Keys whose change does not end the watch on the others.
        again: Whether the round trip only reads patient keys again, while the watch goes on.
    """

    round_trip: RoundTrip[Any]
    patient: frozenset[bytes] = frozenset()
    again: bool = False


#: A loop. The driver throws a `ServerError` in if a round trip, a watch or a wait failed.
Routine: TypeAlias = Generator[RoundTrip[Any] | WatchRequest | Wait, Any, None]


class Alarm(Protocol):
    """Ends a wait from another thread."""

    def wake(self) -> None:
        """End the present or the announced wait; from any thread."""
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
        """Whether the watch is still active: nothing was announced or sent since.

        Patient keys do not count.
        """
        ...

    @property
    def stale(self) -> AbstractSet[bytes]:
        """The patient keys whose change was announced since they were read."""
        ...

    def take_announced(self) -> list[bytes]:
        """Return the keys whose change was announced since the last call, without patient ones.

        They are a hint, not a full list.
        """
        ...


def carry_out(routine: Generator[Any, Any, R], link: Link, wait: Callable[[Wait], object]) -> R:
    """Carry out a routine on this thread, to its end.

    Args:
        routine: The routine.
        link: The connection.
        wait: Waits; its result is the answer.

    Returns:
        The result of the routine.
    """
    answer: Any = None
    try:
        request = next(routine)
        while True:
            try:
                if type(request) is Wait:
                    answer = wait(request)
                elif type(request) is WatchRequest:
                    if request.again:
                        answer = link.read_again(request.round_trip)
                    else:
                        answer = link.arm(request.round_trip, request.patient)
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
