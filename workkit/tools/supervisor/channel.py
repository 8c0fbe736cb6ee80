"""The channel between a supervisor and one of its processes: a socket pair, one line per message.

Only the supervisor holds its end, so its death ends the stream. An environment variable tells a
process the descriptor of its end. The process removes the variable at once, because programs that
the user's handlers start are not supervised.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, MutableMapping
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = [
    "ALIVE",
    "ALIVE_S",
    "COUNTS",
    "DISCOVER",
    "HEALTH",
    "READY",
    "UNLOADABLE",
    "WATCH",
    "ChildReport",
    "Inherited",
    "Lines",
    "Order",
    "announce",
    "inherited",
]

#: "retire": claim no more jobs and end when the last job ends, with no time limit. "return": give
#: unfinished jobs back and end.
Order: TypeAlias = Literal["retire", "return"]

#: Sent once by a process whose pool has started.
READY: Final = "ready"

#: Sent repeatedly from then on, by the thread that watches the pool.
ALIVE: Final = "alive"
#: How often, seconds.
ALIVE_S: Final = 2.0

#: Sent once by a process that cannot load the application; it ends by itself.
UNLOADABLE: Final = "unloadable"

#: Begins a message that names files which an edit may change, as a JSON array.
WATCH: Final = "watch "

#: Begins a message that names folders in which a new module is loaded too, as a JSON array.
DISCOVER: Final = "discover "

#: Begins a message with what the process has counted since the last one, see `Counts.dump`.
COUNTS: Final = "counts "

#: Begins a message with the health of the process's pool, the fields of `Health` as JSON.
HEALTH: Final = "health "

_VARIABLE: Final = "_WORKKIT_SUPERVISED"
_CHUNK: Final = 4096


class ChildReport(NamedTuple):
    """The number of finished jobs and the memory of a process.

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
    """The resources that a process inherits from its supervisor.

    Attributes:
        channel: Its end of the socket pair.
        slot: The number of its slot, from 1.
    """

    channel: socket.socket
    slot: int


def announce(channel: socket.socket, slot: int) -> dict[str, str]:
    """Return the environment variable that tells a process its end of the channel."""
    return {_VARIABLE: f"{channel.fileno()}:{slot}"}


def inherited(environment: MutableMapping[str, str] = os.environ) -> Inherited | None:
    """Remove and return the supervisor's entry in the environment; None if there is none."""
    value = environment.pop(_VARIABLE, None)
    if value is None:
        return None
    number, _, slot = value.partition(":")
    os.set_inheritable(int(number), False)
    return Inherited(socket.socket(fileno=int(number)), int(slot))


class Lines:
    """Splits a stream into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, channel: socket.socket) -> Iterator[str] | None:
        """Receive once; return the complete lines, or None at the end of the stream.

        Raises:
            BlockingIOError: The channel does not block, and no data is there.
        """
        try:
            received = channel.recv(_CHUNK)
        except ConnectionError:
            return None
        if not received:
            return None
        *lines, self._rest = (self._rest + received).split(b"\n")
        return (line.decode() for line in lines)
