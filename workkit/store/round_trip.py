"""What the engine says to Redis: one round trip as a value.

Engine code contains no socket. It yields an `RoundTrip` and is resumed with what came back; who
carries it out (a thread, an event loop, the simulator) is not its business. An exchange is iterable
so that it is typed at the place where it is used::

    def count_due(keys: Keys, now_s: int) -> Step[int]:
        due = yield from RoundTrip.one(("ZCOUNT", keys.retry, "-inf", now_s), int)
        return due
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from workkit.errors import ServerError
from workkit.store.scripts import Script

__all__ = ["CONFIRMING", "PING", "Command", "RoundTrip", "Step", "call", "ping"]

R = TypeVar("R")
T = TypeVar("T")

#: A command is a tuple whose first element is a verb or a script; see `call`.
Command: TypeAlias = tuple[Any, ...]

#: A piece of engine logic: yields exchanges, is resumed with their replies, returns a result. A
#: `ServerError` is thrown in at the yield where the exchange failed.
Step: TypeAlias = "Generator[RoundTrip[Any], list[Any], R]"

#: Verbs that wait for what the connection has written before to be safe.
CONFIRMING: Final = frozenset({"WAIT", "WAITAOF"})


class RoundTrip(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """One round trip.

    Attributes:
        commands: What is sent, in one go.
        parse: Makes the result from the list of replies, one a command.
        tolerant: Hand error replies to `parse` as `ServerRefused` values instead of raising.
        meanwhile: What there is to do while the server works, called between sending and reading.
            A driver that has nothing to wait for may leave it out.
    """

    commands: Sequence[Command]
    parse: Callable[[list[Any]], R]
    tolerant: bool = False
    meanwhile: Callable[[], None] | None = None

    @classmethod
    def one(cls, command: Command, parse: Callable[[Any], R]) -> RoundTrip[R]:
        """Make an exchange of one command, whose only reply is parsed."""
        return cls((command,), lambda replies: parse(replies[0]))

    def __iter__(self) -> Generator[RoundTrip[Any], list[Any], R]:
        """Yield this exchange and return its parsed result.

        Raises:
            ServerError: Thrown in by the driver, or the first error reply.
        """
        replies = yield self
        if not self.tolerant:
            for reply in replies:
                if isinstance(reply, ServerError):
                    raise reply
        return self.parse(replies)


#: What asks the server whether it answers, and ends no watch.
PING: Final[tuple[Command, ...]] = (("PING",),)


def ping() -> RoundTrip[None]:
    """Ask the server whether it answers."""
    return RoundTrip(PING, lambda _: None)


def call(script: Script, keys: Sequence[Any], args: Sequence[Any] = ()) -> Command:
    """Make the command that runs a script.

    Args:
        script: The script.
        keys: Every key that it touches.
        args: Its other arguments.
    """
    return (script, len(keys), *keys, *args)
