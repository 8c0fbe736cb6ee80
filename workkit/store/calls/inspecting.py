"""Exchanges of the doctor: what the server says of itself, all keys with their types, locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workkit.errors import ServerError
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Large", "LockTally", "free_unique", "info", "know", "large", "return_ghost", "scan",
    "server_time", "set_aside", "setting", "tally", "types",
]  # fmt: skip


def info(*sections: str) -> RoundTrip[dict[str, str]]:
    """Read what the server says of itself: field -> value."""

    def parse(reply: Any) -> dict[str, str]:
        lines = text(reply).splitlines() if isinstance(reply, bytes) else []
        pairs = (line.partition(":") for line in lines if not line.startswith("#"))
        return {field: value for field, found, value in pairs if found}

    return RoundTrip.one(("INFO", *sections), parse)


def server_time() -> RoundTrip[int]:
    """Read the server's clock, epoch ms."""
    return RoundTrip.one(("TIME",), lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)


def setting(name: str) -> RoundTrip[str | None]:
    """Read a setting of the server; None if it is not told."""

    def parse(replies: list[Any]) -> str | None:
        reply = replies[0]
        if isinstance(reply, ServerError) or not reply:
            return None
        value = reply.get(name.encode()) if isinstance(reply, dict) else reply[1]
        return text(value)

    return RoundTrip([("CONFIG", "GET", name)], parse, tolerant=True)


class Large(NamedTuple):
    """A large job.

    Attributes:
        size: Its bytes.
        beginning: The first 400 of them.
    """

    size: int
    beginning: bytes


def large(key: bytes, start: int, least: int, *, queue: bool) -> RoundTrip[tuple[int, list[Large]]]:
    """Find large jobs in a part of a queue or a sorted set.

    Args:
        key: The queue, or the set.
        start: Position to begin at.
        least: Bytes from which a job is large.
        queue: Whether it is a queue.

    Returns:
        An exchange that gives how many jobs were looked at, 0 at the end, and the large ones.
    """

    def parse(reply: Any) -> tuple[int, list[Large]]:
        return int(reply[0]), [Large(*row) for row in zip(reply[1::2], reply[2::2], strict=True)]

    arguments = ["list" if queue else "zset", start, least]
    return RoundTrip.one(call(scripts.LARGE, [key], arguments), parse)


def scan(keys: Keys, cursor: int) -> RoundTrip[tuple[int, list[bytes]]]:
    """Walk all keys of the namespace one step; the next cursor is 0 at the end."""
    command = ("SCAN", cursor, "MATCH", keys.everything_pattern(), "COUNT", 1_000)
    return RoundTrip.one(command, lambda reply: (int(reply[0]), list(reply[1])))


def types(found: Sequence[bytes]) -> RoundTrip[dict[bytes, str]]:
    """Read the types of keys; "none" for one that has gone."""
    return RoundTrip(
        [("TYPE", key) for key in found],
        lambda replies: {key: text(kind) for key, kind in zip(found, replies, strict=True)},
    )


class LockTally(NamedTuple):
    """One queue's lock and what is really in progress, read at one moment.

    Attributes:
        lock: The counter; None if it is not a number.
        info: Pool id -> how many it is said to hold.
        held: Pool id -> how many it holds.
    """

    lock: int | None
    info: Mapping[str, int]
    held: Mapping[str, int]


def tally(keys: Keys, name: str, pool_ids: Sequence[str]) -> RoundTrip[LockTally | None]:
    """Count one queue's lock; None if a key of it has a wrong type."""
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
    """Rename a key that has a wrong type; says whether it still had it and the name was free."""
    return RoundTrip.one(call(scripts.SET_ASIDE, [key, to], [wrong]), bool)


def free_unique(key: bytes, value: bytes) -> RoundTrip[bool]:
    """Delete a unique key that still has a value."""
    return RoundTrip.one(call(scripts.FREE_UNIQUE, [key], [value]), bool)


def return_ghost(keys: Keys, pool_id: str, name: str, raw: bytes) -> RoundTrip[bool]:
    """Put what a pool is said to hold back to the front of its queue; says whether it was there."""
    queue = keys.queue(name, pool_id)
    key_list = [queue.jobs, queue.inprogress, queue.lock, queue.lock_info]
    return RoundTrip.one(call(scripts.RETURN_GHOST, key_list, [pool_id, raw]), bool)


def know(keys: Keys, name: str) -> RoundTrip[None]:
    """Add a name to the known jobs."""
    return RoundTrip.one(("SADD", keys.known_jobs, name), lambda _: None)
