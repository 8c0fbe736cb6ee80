"""Round trips that recover the jobs of a dead pool and then remove the pool: reap, forget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.store import scripts
from workkit.store.calls.beat import Beat
from workkit.store.calls.layout import head, keys_and_args, rows
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "ReapArgs",
    "ReapRow",
    "Reaped",
    "Recoverable",
    "drop_ghosts",
    "forget",
    "held_counts",
    "in_progress",
    "read_reap",
    "reap",
    "reaped",
]


def in_progress(
    keys: Keys, pool_id: str, names: Sequence[str]
) -> RoundTrip[dict[str, list[bytes]]]:
    """Read the jobs that a pool holds, newest claim first; omits queues without a list."""
    commands = [("LRANGE", keys.queue(name, pool_id).inprogress, 0, -1) for name in names]

    def parse(replies: list[Any]) -> dict[str, list[bytes]]:
        return {
            name: reply
            for name, reply in zip(names, replies, strict=True)
            if isinstance(reply, list) and reply
        }

    return RoundTrip(commands, parse, tolerant=True)


def held_counts(keys: Keys, pool_id: str, names: Sequence[str]) -> RoundTrip[dict[str, int]]:
    """Read a pool's counts in `lock_info`; omits queues without a count."""
    commands = [("HGET", keys.queue(name, "").lock_info, pool_id) for name in names]

    def parse(replies: list[Any]) -> dict[str, int]:
        counts = {name: number(reply) for name, reply in zip(names, replies, strict=True)}
        return {name: count for name, count in counts.items() if count is not None}

    return RoundTrip(commands, parse, tolerant=True)


def drop_ghosts(
    keys: Keys, pool_id: str, name: str, ghosts: Sequence[bytes], count: int
) -> RoundTrip[int]:
    """Remove jobs that a stopped Go pool has run from its list.

    Args:
        keys: The namespace.
        pool_id: The pool, which has no heartbeat.
        name: The queue.
        ghosts: The entries.
        count: The pool's count in `lock_info`, as the caller read it.

    Returns:
        A round trip that gives how many it removed; -1 if the pool has changed.
    """
    queue = keys.queue(name, pool_id)
    key_list = (keys.pool(pool_id), queue.inprogress, queue.lock_info)
    return RoundTrip.one(call(scripts.DROP_GHOSTS, key_list, (pool_id, count, *ghosts)), int)


class Recoverable(NamedTuple):
    """A job of a dead pool.

    Attributes:
        raw: Its bytes.
        job_id: Its id; "" if its recoveries are not counted.
        dead: The bytes for the dead set after too many recoveries (or at once, if they are not
            counted).
        slot: The id of its cron slot; "" for other jobs.
        unique_key: The key to free if it is dead; "" if it is not unique.
        own_id: The id as JSON writes it, if this job owns that key only while the key's value is
            this job's payload; "" if this job owns the key unless it has begun once.
    """

    raw: bytes
    job_id: str
    dead: bytes
    slot: str = ""
    unique_key: str = ""
    own_id: str = ""


class ReapArgs(NamedTuple):
    """The arguments that a call of reap.lua begins with; a row for each job follows."""

    pool_id: str
    heartbeat_at: bytes
    now_s: int
    max_recoveries: int
    kept_s: int


class ReapRow(NamedTuple):
    """A job in a call of reap.lua: as `Recoverable`, with indexes of its keys (0 for none)."""

    raw: bytes
    job_id: str
    dead: bytes
    slot_at: int
    unique_at: int
    own_id: str


class Reaped(NamedTuple):
    """The outcome of one call of `reap`: a dead pool's jobs of one queue.

    Attributes:
        status: "ok", "alive" or "type".
        requeued: How many jobs went back to the queue.
        died: How many jobs went to the dead set.
        fates: One letter a job: "r" went back, "d" is dead, "-" the pool did not hold it any more.
    """

    status: str
    requeued: int = 0
    died: int = 0
    fates: str = ""


def reap(
    keys: Keys,
    pool_id: str,
    name: str,
    jobs: Sequence[Recoverable],
    *,
    heartbeat_at: str,
    now_s: int,
    max_recoveries: int,
) -> RoundTrip[Reaped]:
    """Give one queue's jobs of a dead pool back, newest claim first."""
    queue = keys.queue(name, pool_id)
    watched = heartbeat_at.encode("utf-8", "surrogateescape")
    args: list[Any] = [*ReapArgs(pool_id, watched, now_s, max_recoveries, MARKS_KEPT_S)]
    named = [key for job in jobs for key in (_slot_key(keys, job), job.unique_key.encode()) if key]
    at = {key: index for index, key in enumerate(dict.fromkeys(named), 1)} | {b"": 0}
    for job in jobs:
        slot, unique = at[_slot_key(keys, job)], at[job.unique_key.encode()]
        args += ReapRow(job.raw, job.job_id, job.dead, slot, unique, job.own_id)
    key_list = (
        keys.pool(pool_id), keys.dead, keys.recoveries,
        queue.jobs, queue.inprogress, queue.lock, queue.lock_info, keys.begun,
        *dict.fromkeys(named),
    )  # fmt: skip
    return RoundTrip.one(call(scripts.REAP, key_list, args), reaped)


def read_reap(command: Command) -> list[ReapRow]:
    """Return the jobs of a call of reap.lua."""
    _, args = keys_and_args(command)
    return rows(ReapRow, head(ReapArgs, args)[1])


def reaped(reply: Any) -> Reaped:
    """Read the reply of reap.lua."""
    status = reply[0].decode()
    if status != "ok":
        return Reaped(status)
    return Reaped(status, int(reply[1]), int(reply[2]), text(reply[3]))


def _slot_key(keys: Keys, job: Recoverable) -> bytes:
    return keys.slot(job.slot) if job.slot else b""


def forget(keys: Keys, pool_id: str, names: Sequence[str], beat: Beat) -> RoundTrip[int]:
    """Remove a dead pool that holds no job; gives how many it holds, or -1 if it came back."""
    workers = [keys.worker(worker_id) for worker_id in beat.worker_ids.split(",") if worker_id]
    key_list = [keys.worker_pools, keys.pool(pool_id)]
    for name in names:
        queue = keys.queue(name, pool_id)
        key_list += (queue.inprogress, queue.lock, queue.lock_info)
    key_list += workers
    args = [pool_id, beat.heartbeat_at.encode("utf-8", "surrogateescape"), len(names)]
    return RoundTrip.one(call(scripts.FORGET, key_list, args), int)
