"""Kinds of values of the server in memory, and how arguments are read."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import Final

from workkit.errors import ServerRefused

__all__ = [
    "OK", "PREFIX", "SortedSet", "Status", "Stream", "bound", "integer", "read_id", "refused",
    "span", "with_scores", "written",
]  # fmt: skip

#: What is put in front of a server's own words.
PREFIX: Final = "Redis refused: "
_NO_INTEGER: Final = "ERR value is not an integer or out of range"


class Status:
    """A reply such as OK.

    Args:
        text: What it says.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text


OK: Final = Status(b"OK")


class SortedSet:
    """Members by score, then by their bytes."""

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.order: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self.order)

    def rank(self, member: bytes) -> int | None:
        """Return how many members are before one; None if it is not there."""
        score = self.scores.get(member)
        return None if score is None else bisect_left(self.order, (score, member))

    def add(self, member: bytes, score: float) -> int:
        """Add or move a member; 1 if it is new."""
        new = self.remove(member) == 0
        self.scores[member] = score
        insort(self.order, (score, member))
        return int(new)

    def remove(self, member: bytes) -> int:
        """Remove a member; 1 if it was there."""
        score = self.scores.pop(member, None)
        if score is None:
            return 0
        del self.order[bisect_left(self.order, (score, member))]
        return 1


class Stream:
    """Entries by id."""

    def __init__(self) -> None:
        self.last = (0, 0)
        self.entries: list[tuple[tuple[int, int], list[bytes]]] = []

    def __len__(self) -> int:
        return len(self.entries)


def refused(message: str) -> ServerRefused:
    """Make an error reply of what a server would say."""
    return ServerRefused(message.partition(" ")[0], f"{PREFIX}{message}")


def integer(value: bytes, message: str = _NO_INTEGER) -> int:
    """Read an integer."""
    try:
        return int(value)
    except ValueError:
        raise refused(message) from None


def written(score: float) -> bytes:
    """Write a score as a server does."""
    return f"{score:.17g}".encode()


def span(length: int, start: bytes, stop: bytes) -> slice:
    """Read a range of ranks, whose ends both belong to it and may count from the back."""
    first, last = int(start), int(stop)
    first = max(first + length, 0) if first < 0 else first
    last = last + length if last < 0 else last
    return slice(first, last + 1)


def with_scores(found: list[tuple[float, bytes]], options: tuple[bytes, ...]) -> list[bytes]:
    """Return members, each with its score behind it if that was asked for."""
    if any(option.upper() == b"WITHSCORES" for option in options):
        return [item for score, member in found for item in (member, written(score))]
    return [member for _, member in found]


def bound(text: bytes, inwards: int) -> float:
    """Read a bound of scores; a bracket in front leaves out the bound itself."""
    if text[:1] == b"(":
        return math.nextafter(float(text[1:]), math.inf * inwards)
    return float(text)


def read_id(text: bytes, rest: int) -> tuple[int, int]:
    """Read the id of an entry, or a bound; `rest` stands for a second part that is missing."""
    if text in {b"-", b"+"}:
        return (0, 0) if text == b"-" else (2**64, 2**64)
    ms, _, number = text.partition(b"-")
    return int(ms), int(number) if number else rest
