"""Reads the facts that decide whether one job runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workkit.admin.explain import Circumstances
from workkit.admin.steps.reads import heartbeats, observe_queues
from workkit.core.job import Job
from workkit.core.records import Overview, Placed, QueuedJob
from workkit.errors import InvalidArgs
from workkit.store.calls import beat, survey
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["around", "unique_key_of"]

_SETS: Final[dict[str, Callable[[Keys], bytes]]] = {
    "scheduled": lambda keys: keys.scheduled,
    "retry": lambda keys: keys.retry,
    "dead": lambda keys: keys.dead,
}


def unique_key_of(keys: Keys, job: Job) -> str:
    """Return a job's unique key; "" if it is not unique or its args cannot be part of a key."""
    if not job.unique or job.undecodable:
        return ""
    try:
        return keys.unique_of(job)
    except InvalidArgs:
        return ""


def around(
    keys: Keys, placed: Placed, now_s: int, seen: Overview | None = None
) -> Step[Circumstances]:
    """Read a job's queue, the holders of its lock, all pools, its unique key, and its place.

    Args:
        keys: The namespace.
        placed: The job.
        now_s: Epoch seconds.
        seen: An overview that was read just now. With it, one round trip is enough.
    """
    name = placed.job.name
    if seen is not None:
        queue = next((queue for queue in seen.queues if queue.job_name == name), None)
        beats = seen.pools
    else:
        known = name in (yield from beat.known_jobs(keys))
        queue = (yield from observe_queues(keys, [name], now_s))[0] if known else None
        beats = yield from heartbeats(keys)
    place = _SETS[placed.place](keys) if placed.place in _SETS else None
    unique_key = unique_key_of(keys, placed.job)
    found = yield from survey.standing(keys, name, unique_key, place, placed.job.raw)
    ahead = placed.position if isinstance(placed, QueuedJob) else None
    return Circumstances(
        now_s, queue, found.holders, beats, found.unique_holder, ahead, found.there
    )
