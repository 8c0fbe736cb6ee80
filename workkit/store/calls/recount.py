"""Round trips about the locks and limits of queues: read, recount, lift_limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "LockState",
    "held_locks",
    "lease",
    "lift_limit",
    "locks",
    "recount",
    "scan_in_progress",
    "written_limits",
]


class LockState(NamedTuple):
    """The present lock of one queue.

    Attributes:
        lock: The counter; None if it is not a number.
        info: Pool id -> count.
    """

    lock: int | None
    info: dict[str, int | None]


def locks(keys: Keys, names: Sequence[str]) -> RoundTrip[dict[str, LockState]]:
    """Read the locks of queues; a key of a wrong type reads as empty."""
    commands: list[tuple[Any, ...]] = []
    for name in names:
        queue = keys.queue(name, "")
        commands += (("GET", queue.lock), ("HGETALL", queue.lock_info))

    def parse(replies: list[Any]) -> dict[str, LockState]:
        states = {}
        for at, name in enumerate(names):
            lock, info = replies[2 * at], replies[2 * at + 1]
            counter = number(lock) if isinstance(lock, bytes) else 0
            states[name] = LockState(counter, {text(k): number(v) for k, v in pairs(info)})
        return states

    return RoundTrip(commands, parse, tolerant=True)


def held_locks(keys: Keys, names: Sequence[str]) -> RoundTrip[list[str]]:
    """Read which queues have a lock that is not 0; a lock of a wrong type reads as 0."""
    command = ("MGET", *(keys.queue(name, "").lock for name in names))
    return RoundTrip.one(
        command,
        lambda reply: [n for n, lock in zip(names, reply, strict=True) if lock not in {None, b"0"}],
    )


def scan_in_progress(keys: Keys, cursor: int) -> RoundTrip[tuple[int, list[tuple[str, str]]]]:
    """Walk the keyspace one step for in-progress lists.

    Returns:
        A round trip that gives the next cursor (0: the walk is complete) and the job names and pool
        ids of the lists that were found.
    """
    command = ("SCAN", cursor, "MATCH", keys.inprogress_pattern(), "COUNT", 2_000)

    def parse(reply: Any) -> tuple[int, list[tuple[str, str]]]:
        found = (keys.parse_inprogress(key) for key in reply[1])
        return int(reply[0]), [item for item in found if item is not None]

    return RoundTrip.one(command, parse)


def recount(
    keys: Keys, name: str, pools: Mapping[str, str]
) -> RoundTrip[tuple[int, int, int] | None]:
    """Recompute a queue's lock.

    Args:
        keys: The namespace.
        name: The queue.
        pools: Pool id -> "ours", "peer" or "none"; see recount.lua.

    Returns:
        A round trip that gives the lock before and after and the number of stale fields dropped;
        None if `lock_info` holds a pool that is not in `pools`.
    """
    queue = keys.queue(name, "")
    key_list = [queue.lock, queue.lock_info]
    args: list[Any] = []
    for pool_id, kind in pools.items():
        key_list.append(keys.queue(name, pool_id).inprogress)
        args += (pool_id, kind)

    def parse(reply: Any) -> tuple[int, int, int] | None:
        return None if reply[0] == b"changed" else (int(reply[0]), int(reply[1]), int(reply[2]))

    return RoundTrip.one(call(scripts.RECOUNT, key_list, args), parse)


def written_limits(keys: Keys) -> RoundTrip[dict[str, str]]:
    """Read the concurrency limits that workkit pools have written."""
    return RoundTrip.one(
        ("HGETALL", keys.limits), lambda reply: {text(k): text(v) for k, v in pairs(reply)}
    )


def lift_limit(keys: Keys, name: str, limit: str) -> RoundTrip[bool]:
    """Remove a limit that no pool declares any more, unless it has changed."""
    key_list = (keys.limits, keys.queue(name, "").max_concurrency)
    return RoundTrip.one(call(scripts.LIFT_LIMIT, key_list, (name, limit)), bool)


def lease(keys: Keys, pool_id: str, duty: str, lives_ms: int) -> RoundTrip[bool]:
    """Take a lease on a duty that one pool does for all; gives whether the pool has it."""
    command = ("SET", keys.lease(duty), pool_id, "NX", "PX", lives_ms)
    return RoundTrip.one(command, lambda reply: reply is not None)
