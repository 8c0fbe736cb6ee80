"""What passes between a supervisor and one of its processes: a socket pair, a line a message.

The supervisor alone holds its end, so its death, however it comes, is the end of the stream. A
process is told where its end is by an environment variable, which it removes at once: what the
user's handlers start is not supervised.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, MutableMapping
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = [
    "ALIVE",
    "ALIVE_S",
    "READY",
    "ChildReport",
    "Inherited",
    "Lines",
    "Order",
    "announce",
    "inherited",
]

#: "retire": take no more jobs and end when the last is done, however long it takes. "return": give
#: unfinished jobs back and end.
Order: TypeAlias = Literal["retire", "return"]

#: Said once by a process whose pool has started.
READY: Final = "ready"

#: Said again and again from then on, by the thread that looks after the pool.
ALIVE: Final = "alive"
#: How often, seconds.
ALIVE_S: Final = 2.0

_VARIABLE: Final = "_WORKKIT_SUPERVISED"
_CHUNK: Final = 4096


class ChildReport(NamedTuple):
    """How much a process has done and takes.

    Attributes:
        jobs: Jobs run since its start.
        rss_bytes: Its resident memory.
    """

    jobs: int
    rss_bytes: int

    @classmethod
    def read(cls, line: str) -> ChildReport:
        """Read a report from a line."""
        jobs, rss_bytes = line.split()
        return cls(int(jobs), int(rss_bytes))

    def __str__(self) -> str:
        return f"{self.jobs} {self.rss_bytes}"


class Inherited(NamedTuple):
    """What a process is given.

    Attributes:
        channel: Its end of the socket pair.
        slot: Its number among those that run beside it, from 1.
    """

    channel: socket.socket
    slot: int


def announce(channel: socket.socket, slot: int) -> dict[str, str]:
    """Return the environment variable by which a process finds its end of the channel."""
    return {_VARIABLE: f"{channel.fileno()}:{slot}"}


def inherited(environment: MutableMapping[str, str] = os.environ) -> Inherited | None:
    """Take what the supervisor left in the environment; None if there is none."""
    value = environment.pop(_VARIABLE, None)
    if value is None:
        return None
    number, _, slot = value.partition(":")
    os.set_inheritable(int(number), False)
    return Inherited(socket.socket(fileno=int(number)), int(slot))


class Lines:
    """Makes lines of what arrives in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, channel: socket.socket) -> Iterator[str] | None:
        """Receive once; the lines that are complete, or None at the end of the stream.

        Raises:
            BlockingIOError: The channel does not block, and there is nothing.
        """
        try:
            received = channel.recv(_CHUNK)
        except ConnectionError:
            return None
        if not received:
            return None
        *lines, self._rest = (self._rest + received).split(b"\n")
        return (line.decode() for line in lines)
