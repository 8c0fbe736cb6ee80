"""Exchanges of the doctor: count locks, find large jobs, repair keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Large",
    "LockTally",
    "free_unique",
    "know",
    "large",
    "return_ghost",
    "set_aside",
    "tally",
]


class Large(NamedTuple):
    """A large job.

    Attributes:
        size: Its bytes.
        beginning: Its first 400 bytes.
    """

    size: int
    beginning: bytes


def large(key: bytes, start: int, least: int, *, queue: bool) -> RoundTrip[tuple[int, list[Large]]]:
    """Find large jobs in a part of a queue or a sorted set.

    Args:
        key: The queue, or the set.
        start: Position to begin at.
        least: Size in bytes from which a job is large.
        queue: Whether the key is a queue.

    Returns:
        An exchange that gives how many jobs it looked at (0 at the end) and the large jobs.
    """

    def parse(reply: Any) -> tuple[int, list[Large]]:
        return int(reply[0]), [Large(*row) for row in zip(reply[1::2], reply[2::2], strict=True)]

    arguments = ["list" if queue else "zset", start, least]
    return RoundTrip.one(call(scripts.LARGE, [key], arguments), parse)


class LockTally(NamedTuple):
    """One queue's lock and the lengths of its in-progress lists, read at one moment.

    Attributes:
        lock: The counter; None if it is not a number.
        info: Pool id -> its count in `lock_info`.
        held: Pool id -> the length of its in-progress list.
    """

    lock: int | None
    info: Mapping[str, int]
    held: Mapping[str, int]


def tally(keys: Keys, name: str, pool_ids: Sequence[str]) -> RoundTrip[LockTally | None]:
    """Count one queue's lock; gives None if one of its keys has a wrong type."""
    queue = keys.queue(name, "")
    lists = [keys.queue(name, pool_id).inprogress for pool_id in pool_ids]

    def parse(reply: Any) -> LockTally | None:
        if reply[0] == b"type":
            return None
        _, lock, fields, lengths = reply
        counts = {
            text(field): number(value) or 0
            for field, value in zip(fields[::2], fields[1::2], strict=True)
        }
        return LockTally(number(lock), counts, dict(zip(pool_ids, map(int, lengths), strict=True)))

    return RoundTrip.one(call(scripts.TALLY, [queue.lock, queue.lock_info, *lists]), parse)


def set_aside(key: bytes, to: bytes, wrong: str) -> RoundTrip[bool]:
    """Rename a key that has a wrong type; gives False if its type changed or the name is taken."""
    return RoundTrip.one(call(scripts.SET_ASIDE, [key, to], [wrong]), bool)


def free_unique(key: bytes, value: bytes) -> RoundTrip[bool]:
    """Delete a unique key unless its value has changed; gives whether it was deleted."""
    return RoundTrip.one(call(scripts.FREE_UNIQUE, [key], [value]), bool)


def return_ghost(keys: Keys, pool_id: str, name: str, raw: bytes) -> RoundTrip[bool]:
    """Put an entry that a pool does not run back to its queue; gives whether it was there."""
    queue = keys.queue(name, pool_id)
    key_list = [queue.jobs, queue.inprogress, queue.lock, queue.lock_info]
    return RoundTrip.one(call(scripts.RETURN_GHOST, key_list, [pool_id, raw]), bool)


def know(keys: Keys, name: str) -> RoundTrip[None]:
    """Add a name to the known jobs."""
    return RoundTrip.one(("SADD", keys.known_jobs, name), lambda _: None)
