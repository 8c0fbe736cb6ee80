"""Round trips that register a pool and keep it registered: register, beat, leave, observe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import SIGNATURES_KEPT_S
from workkit.store import scripts
from workkit.store.calls.publish import NO_SIGNATURES, Signatures
from workkit.store.keys import Keys
from workkit.store.replies import text, texts
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Beat",
    "BeatReply",
    "beat",
    "heartbeats",
    "known_jobs",
    "leave",
    "observe",
    "register",
    "registered",
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
    """Register a pool in the namespace: its heartbeat, its limits, its job names."""
    key_list, args = _beat_arguments(keys, pool_id, fields, limits)
    at, known = 2 + 2 * len(limits), list(names)
    args = [*args[:at], len(known), *known, *args[at:]]
    command = call(scripts.REGISTER, [*key_list, keys.known_jobs], args)
    return RoundTrip.one(command, lambda _: None)


class BeatReply(NamedTuple):
    """The reply to a heartbeat.

    Attributes:
        alive: Whether the pool is still registered; if not, nothing was written.
        unpublished: Whether its signatures are gone.
        asked: The ids of jobs for whose stacks somebody asks.
    """

    alive: bool
    unpublished: bool = False
    asked: Sequence[str] = ()


def beat(
    keys: Keys,
    pool_id: str,
    fields: Fields,
    limits: Mapping[str, int],
    signatures: Signatures = NO_SIGNATURES,
) -> RoundTrip[BeatReply]:
    """Write the pool's heartbeat and limits, and keep its signatures from expiring."""
    key_list, args = _beat_arguments(keys, pool_id, fields, limits)
    if signatures:
        key_list.append(keys.signatures(signatures.digest))
    command = call(scripts.BEAT, key_list[1:], [SIGNATURES_KEPT_S, *args[1:]])

    def parse(reply: list[Any]) -> BeatReply:
        if not reply[0]:
            return BeatReply(alive=False)
        asked = tuple(filter(None, text(reply[2]).split("\n")))
        return BeatReply(alive=True, unpublished=bool(reply[1]), asked=asked)

    return RoundTrip.one(command, parse)


def leave(keys: Keys, pool_id: str, queues: Sequence[str]) -> RoundTrip[int]:
    """Remove the pool from the namespace, unless it holds jobs; gives how many it holds."""
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
    """The fields of a heartbeat that the duties need; "" for a missing field.

    Attributes:
        heartbeat_at: The text in Redis, unchanged.
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
        """Whether a Go pool wrote it."""
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
    """Read a string and keep each byte: a script compares it with the value in Redis."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


def observe(
    keys: Keys, running: Mapping[str, Fields], idle: Iterable[str], keep_s: int
) -> RoundTrip[None]:
    """Write the jobs that workers run, and delete the observations of idle workers.

    Args:
        keys: The namespace.
        running: Worker id -> fields of its observation.
        idle: Ids of workers that run nothing any more.
        keep_s: Seconds after which an observation expires if the pool does not renew it.
    """
    commands: list[tuple[Any, ...]] = []
    if gone := [keys.worker(worker_id) for worker_id in idle]:
        commands.append(("DEL", *gone))
    for worker_id, fields in running.items():
        flat = [item for pair in fields.items() for item in pair]
        key = keys.worker(worker_id)
        commands += (("DEL", key), ("HSET", key, *flat), ("EXPIRE", key, keep_s))
    return RoundTrip(commands, lambda _: None)
