"""Explains in words why a job is not running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workkit.admin.obstacles import obstacles
from workkit.core import liveness
from workkit.core.job import has_run, is_payload_of
from workkit.core.records import Placed, Queue, WorkerObservation, WorkerPoolHeartbeat
from workkit.core.text import age, clean, counted

__all__ = [
    "Circumstances",
    "is_silent",
    "pool_name",
    "pool_of",
    "recorded_circumstances",
    "why",
]

_NAMED: Final = 3


def is_silent(beat: WorkerPoolHeartbeat, now_s: float) -> bool:
    """Tell whether a pool's heartbeat is missing or old by this host's clock."""
    return liveness.is_silent(beat.heartbeat_at, now_s)


def pool_name(pool: WorkerPoolHeartbeat) -> str:
    """Return the name of a pool for people: host and process, or its id where these are missing."""
    return clean(f"{pool.host}:{pool.pid}") if pool.host else clean(pool.worker_pool_id)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts that decide whether a job runs, read at one time.

    Attributes:
        now_s: The time, epoch seconds.
        queue: The job's queue; None if its name is unknown.
        holders: Pool id → how many jobs of the queue the pool holds.
        pools: All registered pools.
        unique_holder: The value of the job's unique key: b"1", or the payload that will run. None
            if the job is not unique or the key is free.
        ahead: How many jobs of the queue run before it; None if unknown.
        there: Whether the job is still where its record says; None if unknown.
    """

    now_s: float
    queue: Queue | None
    holders: Mapping[str, int]
    pools: Sequence[WorkerPoolHeartbeat]
    unique_holder: bytes | None = None
    ahead: int | None = None
    there: bool | None = None


def pool_of(worker_id: str, pools: Iterable[WorkerPoolHeartbeat]) -> str:
    """Return the id of the pool of a worker; "" if none of these has it."""
    return next((pool.worker_pool_id for pool in pools if worker_id in pool.worker_ids), "")


def recorded_circumstances(
    placed: Placed,
    now_s: float,
    queues: Iterable[Queue],
    pools: Sequence[WorkerPoolHeartbeat],
    workers: Iterable[WorkerObservation],
) -> Circumstances:
    """Return the circumstances of a job in a file, which has no unique keys.

    Args:
        placed: The job.
        now_s: When the file was written, epoch seconds.
        queues: All queues.
        pools: All registered pools.
        workers: The workers that were seen.
    """
    name = placed.job.name
    held = Counter(
        pool_of(worker.worker_id, pools)
        for worker in workers
        if worker.is_busy and worker.job_name == name
    )
    queue = next((queue for queue in queues if queue.job_name == name), None)
    return Circumstances(now_s, queue, dict(held), pools, ahead=getattr(placed, "position", None))


def why(placed: Placed, around: Circumstances) -> list[str]:
    """Return the reasons why a job is not running, the strongest first.

    Args:
        placed: The record of the job.
        around: The facts that were read for it.

    Returns:
        Sentences without a full stop. Empty for a running job.
    """
    if placed.place == "running":
        return []
    if around.there is False:
        return [f"it is not in the {placed.place} set any more: it was moved, retried or deleted"]
    if placed.place == "dead":
        return list(_dead(placed, around))
    if placed.at is not None:
        return [*_waiting(placed, around), *_obstacles(placed, around)]
    found = list(_obstacles(placed, around))
    return found or [_next_in_line(around)]


def _dead(placed: Placed, around: Circumstances) -> Iterator[str]:
    job = placed.job
    if job.undecodable:
        yield f"its payload is malformed: {job.undecodable}"
        return
    ago = age(around.now_s - (placed.at or 0))
    times = "once" if job.fails == 1 else f"{job.fails} times"
    yield f"it died {ago} ago after it had failed {times}; it runs again only if you retry it"
    yield from _unique(placed, around)


def _waiting(placed: Placed, around: Circumstances) -> Iterator[str]:
    left_s = (placed.at or 0) - around.now_s
    if left_s > 0:
        event = "it is tried again" if placed.place == "retry" else "it is due"
        yield f"{event} in {age(left_s)}"
    elif all(is_silent(beat, around.now_s) for beat in around.pools):
        yield f"it was due {age(-left_s)} ago, and no live pool is there to move it to its queue"
    else:
        yield f"it was due {age(-left_s)} ago and is about to be moved to its queue"


def _obstacles(placed: Placed, around: Circumstances) -> Iterator[str]:
    queue, name = around.queue, placed.job.name
    if queue is not None:
        found = obstacles(queue, None)
        if "broken" in found:
            yield f"a key of queue {name!r} has a wrong type, so no pool takes jobs from it"
        if "paused" in found:
            yield f"queue {name!r} is paused"
        if "full" in found:
            held = _holders(around)
            yield (
                f"the limit of {name!r} is reached: {queue.running} of "
                f"{queue.max_concurrency} run{held}"
            )
    yield from _no_live_pool(name, around)
    yield from _unique(placed, around)


def _holders(around: Circumstances) -> str:
    """Name the pools that hold jobs, the largest number first."""
    beats = {beat.worker_pool_id: beat for beat in around.pools}
    held = sorted(around.holders.items(), key=lambda item: -item[1])
    named = [
        f"{count} on {beats[pool].host}:{beats[pool].pid}" if pool in beats
        else f"{count} by pool {pool}, which is gone"
        for pool, count in held[:_NAMED]
    ]  # fmt: skip
    if len(held) > _NAMED:
        named.append(f"{sum(count for _, count in held[_NAMED:])} elsewhere")
    return f" ({', '.join(named)})" if named else ""


def _no_live_pool(name: str, around: Circumstances) -> Iterator[str]:
    """Give the reason if no live pool would take the job."""
    knowing = [beat for beat in around.pools if name in beat.job_names]
    if not around.pools:
        yield "no pool is running"
    elif not knowing:
        yield f"no live pool handles jobs called {name!r}"
    elif all(is_silent(beat, around.now_s) for beat in knowing):
        newest = max(knowing, key=lambda beat: beat.heartbeat_at)
        ago = age(around.now_s - newest.heartbeat_at)
        yield (
            f"the pools that handle {name!r} send no heartbeats; the last was from "
            f"{newest.host}:{newest.pid}, {ago} ago"
        )


def _unique(placed: Placed, around: Circumstances) -> Iterator[str]:
    holder, job = around.unique_holder, placed.job
    if holder is None or not job.unique:
        return
    own = is_payload_of(holder, job.id) or (holder == b"1" and not has_run(job))
    if not own and placed.place in {"dead", "retry"}:
        yield "another job holds its unique key; if you retry it, it runs without being unique"
    elif not own:
        yield "its unique key holds a newer payload, which runs in its place"


def _next_in_line(around: Circumstances) -> str:
    if around.ahead:
        return (
            f"{counted(around.ahead, 'job of its queue runs', 'jobs of its queue run')} before it"
        )
    return "nothing holds it: a pool takes it as soon as a worker is free"
