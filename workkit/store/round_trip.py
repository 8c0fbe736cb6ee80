"""One round trip to Redis, as a value.

Engine code contains no socket. It yields a `RoundTrip` and is resumed with the replies. It does not
depend on the driver that carries it out: a thread, an event loop or the simulator. A round trip is
iterable, so that `yield from` returns a typed result::

    def count_due(keys: Keys, now_s: int) -> Step[int]:
        due = yield from RoundTrip.one(("ZCOUNT", keys.retry, "-inf", now_s), int)
        return due
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from workkit.errors import ServerError, ServerRefused
from workkit.store.scripts import Script

__all__ = ["CONFIRMING", "PING", "Command", "RoundTrip", "Step", "call", "ping", "together"]

R = TypeVar("R")
T = TypeVar("T")

#: A command is a tuple whose first element is a verb or a script; see `call`.
Command: TypeAlias = tuple[Any, ...]

#: A piece of engine logic: it yields round trips, is resumed with their replies, and returns a
#: result. The driver throws a `ServerError` in at the yield whose round trip failed.
Step: TypeAlias = "Generator[RoundTrip[Any], list[Any], R]"

#: Verbs that wait until the connection's earlier writes are safe.
CONFIRMING: Final = frozenset({"WAIT", "WAITAOF"})


class RoundTrip(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """One round trip.

    Attributes:
        commands: The commands, sent in one write.
        parse: Makes the result from the list of replies, one a command.
        tolerant: Give error replies to `parse` as `ServerRefused` values instead of raising.
        meanwhile: Work to do while the server works; the driver calls it between sending and
            reading. A driver that does not wait may skip it.
    """

    commands: Sequence[Command]
    parse: Callable[[list[Any]], R]
    tolerant: bool = False
    meanwhile: Callable[[], None] | None = None

    @classmethod
    def one(cls, command: Command, parse: Callable[[Any], R]) -> RoundTrip[R]:
        """Make a round trip of one command; `parse` gets its only reply."""
        return cls((command,), lambda replies: parse(replies[0]))

    def __iter__(self) -> Generator[RoundTrip[Any], list[Any], R]:
        """Yield this round trip and return its parsed result.

        Raises:
            ServerError: Thrown in by the driver, or the first error reply.
        """
        replies = yield self
        if not self.tolerant:
            _check(self.commands, replies)
        return self.parse(replies)


#: Asks the server whether it answers; it does not end a watch.
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


def together(*parts: RoundTrip[Any]) -> RoundTrip[list[Any]]:
    """Make one round trip of several; gives the results of all of them, in order.

    Args:
        *parts: Round trips that do not depend on each other.
    """

    def parse(replies: list[Any]) -> list[Any]:
        results, start = [], 0
        for part in parts:
            own = replies[start : start + len(part.commands)]
            start += len(own)
            if not part.tolerant:
                _check(part.commands, own)
            results.append(part.parse(own))
        return results

    return RoundTrip([command for part in parts for command in part.commands], parse, tolerant=True)


def _check(commands: Sequence[Command], replies: Sequence[Any]) -> None:
    """Raise the first error reply. One about a key of a wrong type names the key."""
    for command, reply in zip(commands, replies, strict=False):
        if isinstance(reply, ServerError):
            raise _named(command, reply)


def _named(command: Command, error: ServerError) -> ServerError:
    verb, *rest = command
    if not (isinstance(error, ServerRefused) and error.code == "WRONGTYPE"):
        return error
    if not (isinstance(verb, str) and rest and isinstance(rest[0], (bytes, str))):
        return error  # of a script, which may be about any of its keys
    key = rest[0] if isinstance(rest[0], str) else rest[0].decode("utf-8", "replace")
    return ServerRefused(
        error.code,
        f"Redis refused: WRONGTYPE: the key {key!r} has another type than {verb} needs; "
        "'workkit doctor --repair' renames it",
        key,
    )
