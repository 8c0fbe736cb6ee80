"""The logic of reading what decides whether one job runs, without I/O."""

from __future__ import annotations

from workkit.client_steps import heartbeats, observe_queues
from workkit.errors import InvalidArgs
from workkit.explain import Circumstances
from workkit.job import Job
from workkit.records import Placed, QueuedJob
from workkit.store import pools, reading
from workkit.store.exchange import Step
from workkit.store.keys import Keys

__all__ = ["around", "unique_key_of"]


def unique_key_of(keys: Keys, job: Job) -> str:
    """Return the key of a unique job; "" for others, and for one whose args no key can hold."""
    if not job.unique or job.undecodable:
        return ""
    try:
        return keys.unique_of(job)
    except InvalidArgs:
        return ""


def around(keys: Keys, placed: Placed, now_s: int) -> Step[Circumstances]:
    """Read the queue of a job, who holds its lock, all pools, and its unique key."""
    name = placed.job.name
    known = name in (yield from pools.known_jobs(keys))
    queue = (yield from observe_queues(keys, [name], now_s))[0] if known else None
    locks = yield from pools.locks(keys, [name])
    beats = yield from heartbeats(keys)
    unique_key = unique_key_of(keys, placed.job)
    holder = None
    if unique_key:
        holder = (yield from reading.unique_values([unique_key]))[unique_key]
    return Circumstances(
        now_s,
        queue,
        {pool_id: held for pool_id, held in locks[name].info.items() if held},
        beats,
        holder,
        placed.position if isinstance(placed, QueuedJob) else None,
    )
