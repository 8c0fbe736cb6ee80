"""Exchanges about pools: register, beat, leave, watch, reap, recount, observe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text, texts
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Beat",
    "LockState",
    "Reaped",
    "Recoverable",
    "beat",
    "drop_ghosts",
    "forget",
    "heartbeats",
    "held_counts",
    "held_locks",
    "in_progress",
    "known_jobs",
    "lease",
    "leave",
    "lift_limit",
    "locks",
    "observe",
    "reap",
    "recount",
    "register",
    "registered",
    "scan_in_progress",
    "trim_history",
    "written_limits",
]

Fields = Mapping[str, str | int | bytes]


def _beat_arguments(
    keys: Keys, pool_id: str, fields: Fields, limits: Mapping[str, int]
) -> tuple[list[bytes], list[Any]]:
    key_list = [keys.worker_pools, keys.pool(pool_id), keys.limits]
    key_list += [keys.queue(name, pool_id).max_concurrency for name in limits]
    args: list[Any] = [pool_id, len(limits)]
    for name, limit in limits.items():
        args += (name, limit)
    for field, value in fields.items():
        args += (field, value)
    return key_list, args


def register(
    keys: Keys, pool_id: str, fields: Fields, limits: Mapping[str, int], names: Iterable[str]
) -> RoundTrip[None]:
    """Enter a pool into the namespace: its heartbeat, its limits, its job names."""
    key_list, args = _beat_arguments(keys, pool_id, fields, limits)
    at, known = 2 + 2 * len(limits), list(names)
    args = [*args[:at], len(known), *known, *args[at:]]
    command = call(scripts.REGISTER, [*key_list, keys.known_jobs], args)
    return RoundTrip.one(command, lambda _: None)


def beat(keys: Keys, pool_id: str, fields: Fields, limits: Mapping[str, int]) -> RoundTrip[bool]:
    """Say that the pool is alive; False if its heartbeat is gone."""
    key_list, args = _beat_arguments(keys, pool_id, fields, limits)
    return RoundTrip.one(call(scripts.BEAT, key_list[1:], args[1:]), bool)


def leave(keys: Keys, pool_id: str, queues: Sequence[str]) -> RoundTrip[int]:
    """Take the pool out of the namespace; gives the number of jobs it still holds, if any."""
    key_list = [keys.worker_pools, keys.pool(pool_id)]
    for name in queues:
        queue = keys.queue(name, pool_id)
        key_list += (queue.inprogress, queue.lock_info)
    return RoundTrip.one(call(scripts.LEAVE, key_list, [pool_id]), int)


def registered(keys: Keys) -> RoundTrip[set[str]]:
    """Read the ids of all registered pools."""
    return RoundTrip.one(("SMEMBERS", keys.worker_pools), texts)


def known_jobs(keys: Keys) -> RoundTrip[set[str]]:
    """Read the names of all jobs that were ever enqueued."""
    return RoundTrip.one(("SMEMBERS", keys.known_jobs), texts)


class Beat(NamedTuple):
    """What the duties need of a heartbeat; "" for what is missing.

    Attributes:
        heartbeat_at: As it was written.
        job_names: Joined with commas.
        limits: Declared limits as JSON; "" for a Go pool.
        worker_ids: Joined with commas.
        started_at: Epoch seconds, as text.
    """

    heartbeat_at: str
    job_names: str
    limits: str
    worker_ids: str
    started_at: str = ""

    @property
    def is_go(self) -> bool:
        """Whether it is that of a pool of the original."""
        return bool(self.heartbeat_at) and not self.limits


def heartbeats(keys: Keys, pool_ids: Sequence[str]) -> RoundTrip[dict[str, Beat]]:
    """Read heartbeats; one of a wrong type reads as missing."""

    def parse(replies: list[Any]) -> dict[str, Beat]:
        return {
            pool_id: Beat(_exact(reply[0]), *map(text, reply[1:]))
            if isinstance(reply, list)
            else Beat("", "", "", "")
            for pool_id, reply in zip(pool_ids, replies, strict=True)
        }

    commands = [("HMGET", keys.pool(pool_id), *Beat._fields) for pool_id in pool_ids]
    return RoundTrip(commands, parse, tolerant=True)


def _exact(value: Any) -> str:
    """Read a string of which each byte counts, since it is compared with what stands in Redis."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


class LockState(NamedTuple):
    """One queue's lock as it stands.

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
    """Read which queues have a lock that is not free; one of a wrong type reads as free."""
    command = ("MGET", *(keys.queue(name, "").lock for name in names))
    return RoundTrip.one(
        command,
        lambda reply: [n for n, lock in zip(names, reply, strict=True) if lock not in {None, b"0"}],
    )


def in_progress(
    keys: Keys, pool_id: str, names: Sequence[str]
) -> RoundTrip[dict[str, list[bytes]]]:
    """Read what a pool holds, newest claim first, queues without a list left out."""
    commands = [("LRANGE", keys.queue(name, pool_id).inprogress, 0, -1) for name in names]

    def parse(replies: list[Any]) -> dict[str, list[bytes]]:
        return {
            name: reply
            for name, reply in zip(names, replies, strict=True)
            if isinstance(reply, list) and reply
        }

    return RoundTrip(commands, parse, tolerant=True)


def held_counts(keys: Keys, pool_id: str, names: Sequence[str]) -> RoundTrip[dict[str, int]]:
    """Read how many jobs a pool is counted for, queues without a count left out."""
    commands = [("HGET", keys.queue(name, "").lock_info, pool_id) for name in names]

    def parse(replies: list[Any]) -> dict[str, int]:
        counts = {name: number(reply) for name, reply in zip(names, replies, strict=True)}
        return {name: count for name, count in counts.items() if count is not None}

    return RoundTrip(commands, parse, tolerant=True)


def drop_ghosts(
    keys: Keys, pool_id: str, name: str, ghosts: Sequence[bytes], count: int
) -> RoundTrip[int]:
    """Remove what a Go pool that has stopped has run from its list.

    Args:
        keys: The namespace.
        pool_id: The pool, which has no heartbeat.
        name: The queue.
        ghosts: The entries.
        count: How many jobs the pool was found to be counted for.

    Returns:
        An exchange that gives how many were there; -1 if the pool is not as it was found.
    """
    queue = keys.queue(name, pool_id)
    key_list = (keys.pool(pool_id), queue.inprogress, queue.lock_info)
    return RoundTrip.one(call(scripts.DROP_GHOSTS, key_list, (pool_id, count, *ghosts)), int)


class Recoverable(NamedTuple):
    """A job of a dead pool.

    Attributes:
        raw: Its bytes.
        job_id: Its id; "" if it is not counted.
        dead: What to put into the dead set if this was one recovery too many (or, uncounted, at
            once).
        slot: The id of its cron slot; "" for other jobs.
        unique_key: The key that is to be free if it is dead; "" if it is not unique.
        own_id: The id as JSON writes it if that key is this job's only where its value is this
            job's payload; "" if it is this job's unless the job has begun once.
    """

    raw: bytes
    job_id: str
    dead: bytes
    slot: str = ""
    unique_key: str = ""
    own_id: str = ""


class Reaped(NamedTuple):
    """What became of a dead pool's jobs of one queue.

    Attributes:
        status: "ok", "alive" or "type".
        requeued: How many went back.
        died: How many are dead.
        fates: One letter a job: "r" went back, "d" is dead, "-" was not there any more.
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
    args: list[Any] = [pool_id, watched, now_s, max_recoveries, MARKS_KEPT_S]
    named = [key for job in jobs for key in (_slot_key(keys, job), job.unique_key.encode()) if key]
    at = {key: index for index, key in enumerate(dict.fromkeys(named), 1)} | {b"": 0}
    for job in jobs:
        slot, unique = at[_slot_key(keys, job)], at[job.unique_key.encode()]
        args += (job.raw, job.job_id, job.dead, slot, unique, job.own_id)
    key_list = (
        keys.pool(pool_id), keys.dead, keys.recoveries,
        queue.jobs, queue.inprogress, queue.lock, queue.lock_info, keys.begun,
        *dict.fromkeys(named),
    )  # fmt: skip

    def parse(reply: Any) -> Reaped:
        status = reply[0].decode()
        if status != "ok":
            return Reaped(status)
        return Reaped(status, int(reply[1]), int(reply[2]), text(reply[3]))

    return RoundTrip.one(call(scripts.REAP, key_list, args), parse)


def _slot_key(keys: Keys, job: Recoverable) -> bytes:
    return keys.slot(job.slot) if job.slot else b""


def trim_history(keys: Keys, before_ms: int) -> RoundTrip[None]:
    """Delete history that was written before a time; a key of a wrong type is left alone."""
    command = ("XTRIM", keys.history, "MINID", before_ms)
    return RoundTrip((command,), lambda _: None, tolerant=True)


def forget(keys: Keys, pool_id: str, names: Sequence[str], beat: Beat) -> RoundTrip[int]:
    """Remove a dead pool that holds nothing; gives what it holds, or -1 if it came back."""
    workers = [keys.worker(worker_id) for worker_id in beat.worker_ids.split(",") if worker_id]
    key_list = [keys.worker_pools, keys.pool(pool_id)]
    for name in names:
        queue = keys.queue(name, pool_id)
        key_list += (queue.inprogress, queue.lock, queue.lock_info)
    key_list += workers
    args = [pool_id, beat.heartbeat_at.encode("utf-8", "surrogateescape"), len(names)]
    return RoundTrip.one(call(scripts.FORGET, key_list, args), int)


def recount(
    keys: Keys, name: str, pools: Mapping[str, str]
) -> RoundTrip[tuple[int, int, int] | None]:
    """Recompute a queue's lock.

    Args:
        keys: The namespace.
        name: The queue.
        pools: Pool id -> "ours", "peer" or "none"; see recount.lua.

    Returns:
        An exchange that gives the lock before and after and the number of stale fields dropped;
        None if the pools have changed meanwhile.
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
    """Remove a limit that nobody declares any more, unless it was rewritten."""
    key_list = (keys.limits, keys.queue(name, "").max_concurrency)
    return RoundTrip.one(call(scripts.LIFT_LIMIT, key_list, (name, limit)), bool)


def lease(keys: Keys, pool_id: str, duty: str, lives_ms: int) -> RoundTrip[bool]:
    """Take on a duty that one pool of the namespace does for all, for a while."""
    command = ("SET", keys.lease(duty), pool_id, "NX", "PX", lives_ms)
    return RoundTrip.one(command, lambda reply: reply is not None)


def scan_in_progress(keys: Keys, cursor: int) -> RoundTrip[tuple[int, list[tuple[str, str]]]]:
    """Walk the keyspace one step for in-progress lists.

    Returns:
        An exchange that gives the next cursor (0: the walk is complete) and the job names and pool
        ids of the lists that were found.
    """
    command = ("SCAN", cursor, "MATCH", keys.inprogress_pattern(), "COUNT", 2_000)

    def parse(reply: Any) -> tuple[int, list[tuple[str, str]]]:
        found = (keys.parse_inprogress(key) for key in reply[1])
        return int(reply[0]), [item for item in found if item is not None]

    return RoundTrip.one(command, parse)


def observe(
    keys: Keys, running: Mapping[str, Fields], idle: Iterable[str], keep_s: int
) -> RoundTrip[None]:
    """Write what workers run, and clear those that run nothing.

    Args:
        keys: The namespace.
        running: Worker id -> fields of its observation.
        idle: Ids of workers that are done.
        keep_s: Seconds after which an observation that nobody renews disappears.
    """
    commands: list[tuple[Any, ...]] = []
    if gone := [keys.worker(worker_id) for worker_id in idle]:
        commands.append(("DEL", *gone))
    for worker_id, fields in running.items():
        flat = [item for pair in fields.items() for item in pair]
        key = keys.worker(worker_id)
        commands += (("DEL", key), ("HSET", key, *flat), ("EXPIRE", key, keep_s))
    return RoundTrip(commands, lambda _: None)
