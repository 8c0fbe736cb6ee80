"""Round trips that record who did what, and read it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workkit.core.lifetimes import ACTS_KEPT
from workkit.errors import ServerRefused
from workkit.store import scripts
from workkit.store.calls.pages import stream_range
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "ActEntry",
    "ActRow",
    "ActsHead",
    "act_args",
    "act_keys",
    "check",
    "head",
    "read",
    "record",
]

_FORMAT: Final = "1"


class ActEntry(NamedTuple):
    """An act to record.

    Attributes:
        body: The act as JSON.
        at_ms: The server's time, epoch milliseconds.
    """

    body: bytes
    at_ms: int


class ActRow(NamedTuple):
    """One entry of the record.

    Attributes:
        entry_id: Its id in the stream.
        number: Its number in the chain, from 1; 0 if the entry was not written by workkit.
        before: The digest of the entry before it.
        link: Its own digest.
        result: What its script found; "" if the script says nothing.
        body: The act as JSON.
    """

    entry_id: str
    number: int
    before: bytes
    link: bytes
    result: bytes
    body: bytes

    def own(self) -> bytes:
        """Return the digest of its content, as `parts/acts.lua` computes it."""
        content = b"\n".join((self.before, b"%d" % self.number, self.result, self.body))
        return hashlib.sha1(content, usedforsecurity=False).hexdigest().encode()


class ActsHead(NamedTuple):
    """The ends of the chain.

    Attributes:
        number: The number of the newest entry; 0 without one.
        link: Its digest.
        base: The number of the newest entry that was trimmed; 0 without one.
        base_link: Its digest.
        lost: How many entries had gone before the entries around them were trimmed.
        resumed: The first entry after this record itself had gone; 0 if that never happened.
    """

    number: int
    link: bytes
    base: int
    base_link: bytes
    lost: int
    resumed: int


def act_keys(keys: Keys) -> list[bytes]:
    """Return the keys that a script needs to record an act."""
    return [keys.acts, keys.acts_head]


def act_args(entry: ActEntry) -> list[Any]:
    """Return the arguments that a script needs to record an act."""
    return [entry.at_ms, ACTS_KEPT, entry.body]


def check(keys: Keys, reply: Any) -> Any:
    """Return the reply of a script that records an act.

    Raises:
        ServerRefused: A key of the record has a wrong type. Nothing was done.
    """
    if reply == b"t":
        key, ends = (each.decode("utf-8", "replace") for each in act_keys(keys))
        raise ServerRefused(
            "WRONGTYPE",
            f"the key {key!r} or {ends!r} has a wrong type; 'workkit doctor --repair' renames it",
            key,
        )
    return reply


def record(keys: Keys, entry: ActEntry) -> RoundTrip[None]:
    """Record an act, or how it ended."""
    command = call(scripts.ACT, act_keys(keys), act_args(entry))
    return RoundTrip.one(command, lambda reply: check(keys, reply) and None)


def read(
    keys: Keys, low: str, high: str, count: int, *, newest_first: bool
) -> RoundTrip[list[ActRow]]:
    """Read entries of the record.

    Args:
        keys: The namespace.
        low: Lowest id, "-" for the first; "(" in front excludes it.
        high: Highest id, "+" for the last; "(" in front excludes it.
        count: At most this many.
        newest_first: The order.
    """
    command = stream_range(keys.acts, low, high, count, newest_first=newest_first)
    return RoundTrip.one(command, lambda reply: [_row(*each) for each in reply])


def _row(entry_id: bytes, fields: Sequence[Any]) -> ActRow:
    found = dict(pairs(fields))
    ours = text(found.get(b"v")) == _FORMAT
    return ActRow(
        text(entry_id),
        max((ours and number(found.get(b"n"))) or 0, 0),
        found.get(b"p", b""),
        found.get(b"l", b""),
        found.get(b"r", b""),
        found.get(b"b", b""),
    )


def head(keys: Keys) -> RoundTrip[ActsHead]:
    """Read the ends of the chain."""

    def parse(reply: Any) -> ActsHead:
        found = dict(pairs(reply))
        return ActsHead(
            number(found.get(b"n")) or 0,
            found.get(b"l", b""),
            number(found.get(b"base")) or 0,
            found.get(b"base_l", b""),
            number(found.get(b"lost")) or 0,
            number(found.get(b"resumed")) or 0,
        )

    return RoundTrip.one(("HGETALL", keys.acts_head), parse)
