"""Round trips of the doctor and the exporter: count locks, find large jobs, repair keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.packing import by_source
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Large",
    "LockTally",
    "free_unique",
    "know",
    "large",
    "locks",
    "return_ghost",
    "set_aside",
    "tallies",
    "tally",
]


#: Queues in one call of locks.lua: two to three milliseconds of the server.
_LOCKS: Final = 1_000


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
        A round trip that gives how many jobs it looked at (0 at the end) and the large jobs.
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


def locks(keys: Keys, names: Sequence[str]) -> RoundTrip[dict[str, LockTally]]:
    """Read the locks of queues and their `lock_info`; leaves out queues with keys of a wrong type.

    The in-progress lists are not read, so `held` is empty.
    """

    def parse(replies: list[Any]) -> dict[str, LockTally]:
        found: dict[str, LockTally] = {}
        for name, row in zip(names, (row for reply in replies for row in reply), strict=True):
            if row:
                lock, fields = row
                rows = zip(fields[::2], fields[1::2], strict=True)
                counts = {text(field): number(value) or 0 for field, value in rows}
                found[name] = LockTally(number(lock), counts, {})
        return found

    commands = []
    for start in range(0, len(names), _LOCKS):
        queues = [keys.queue(name, "") for name in names[start : start + _LOCKS]]
        key_list = [key for queue in queues for key in (queue.lock, queue.lock_info)]
        commands.append(by_source(call(scripts.LOCKS, key_list)))
    return RoundTrip(commands, parse)


def tallies(
    keys: Keys, pools: Mapping[str, Sequence[str]]
) -> RoundTrip[dict[str, LockTally | None]]:
    """Count the locks of many queues in one round trip, even if the server lacks the script.

    Args:
        keys: The namespace.
        pools: Queue -> the pools whose in-progress lists are counted.
    """
    trips = [tally(keys, name, pool_ids) for name, pool_ids in pools.items()]
    commands = [command for trip in trips for command in trip.commands]
    commands[:1] = map(by_source, commands[:1])  # it makes the others known

    def parse(replies: list[Any]) -> dict[str, LockTally | None]:
        return {
            name: trip.parse([reply])
            for name, trip, reply in zip(pools, trips, replies, strict=True)
        }

    return RoundTrip(commands, parse)


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
