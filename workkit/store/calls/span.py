"""The call that reads members of a sorted set by score."""

from __future__ import annotations

from typing import Final, NamedTuple

from workkit.store import scripts
from workkit.store.calls.layout import head, keys_and_args
from workkit.store.round_trip import Command, call

__all__ = ["LOWEST", "SpanArgs", "read_span", "span"]

#: The lowest score.
LOWEST: Final = "-inf"


class SpanArgs(NamedTuple):
    """The arguments of the script, in its order.

    Attributes:
        low: Lowest score, as ZRANGEBYSCORE takes it.
        high: Highest score.
        offset: How many members to skip.
        most: How many members at most.
        size: Stop after this many bytes.
    """

    low: float | str
    high: float | str
    offset: int
    most: int
    size: int


def span(key: bytes, args: SpanArgs) -> Command:
    """Make the call."""
    return call(scripts.SPAN, [key], args)


def read_span(command: Command) -> tuple[bytes, SpanArgs]:
    """Read a call back: its key and its arguments."""
    keys, args = keys_and_args(command)
    return keys[0], head(SpanArgs, args)[0]
