"""The reads of `Client`, without I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from workkit.admin.steps.history import HistoryExtent
from workkit.core import job as wire
from workkit.core.job import Job
from workkit.core.options import check_whole
from workkit.core.outcomes import TOTALS
from workkit.core.records import (
    Found,
    Page,
    Queue,
    QueuedJob,
    WorkerObservation,
    WorkerPoolHeartbeat,
)
from workkit.errors import (
    ServerRefused,
    Undecodable,
)
from workkit.store.calls import beat, pages, reap
from workkit.store.calls import queues as queue_calls
from workkit.store.calls.pages import SetName
from workkit.store.keys import Keys, check_stored_name
from workkit.store.replies import number
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk

__all__ = [
    "FOREVER",
    "SetName",
    "epoch",
    "extent",
    "find",
    "heartbeat_of",
    "heartbeats",
    "heartbeats_of",
    "observations",
    "observe_queues",
    "queue_singly",
    "queued",
    "queued_page",
    "queues",
    "read_job",
    "read_set",
    "set_page",
]

_BATCH: Final = 500
#: More pages than any list or set has.
_LAST_PAGE: Final = 10**12
#: Stands for a score beyond int64, also an infinite one, epoch seconds.
FOREVER: Final = 2**63 - 1
_TOTALS: Final = ("busy", *TOTALS, "abandoned")


def read_job(raw: bytes, name: str = "") -> Job:
    """Read a job. For a malformed payload, return a job whose `undecodable` says why.

    Args:
        raw: The payload.
        name: The name of a job with a malformed payload.
    """
    try:
        return wire.decode(raw)
    except Undecodable as error:
        return Job(name, "", 0, None, raw=raw, undecodable=str(error))


def _page_start(page: int, size: int) -> int:
    check_whole("page", page, 1, _LAST_PAGE)
    return (page - 1) * size


def epoch(score: float) -> int:
    """Return a score in whole seconds. One beyond int64 (never ours) becomes its nearest end."""
    if -FOREVER < score < FOREVER:
        return math.floor(score)
    return FOREVER if score > 0 else -FOREVER


# Queues and pools.


def queues(keys: Keys, now_s: int) -> Step[list[Queue]]:
    """Return all queues, by name."""
    return (yield from observe_queues(keys, sorted((yield from beat.known_jobs(keys))), now_s))


def observe_queues(keys: Keys, names: Sequence[str], now_s: int) -> Step[list[Queue]]:
    """Return some queues, in the order of their names."""
    if not names:
        return []
    states = yield from queue_calls.states(keys, names)
    found = []
    for state in states:
        waited_s = 0
        if state.oldest is not None:
            enqueued_at = read_job(state.oldest).enqueued_at
            waited_s = max(now_s - enqueued_at, 0) if enqueued_at else 0
        found.append(
            Queue(
                state.name, state.length, waited_s, state.paused, state.running,
                state.max_concurrency, state.broken,
            )
        )  # fmt: skip
    return found


def heartbeats(keys: Keys) -> Step[list[WorkerPoolHeartbeat]]:
    """Return all registered pools, by id."""
    return (yield from heartbeats_of(keys, sorted((yield from beat.registered(keys)))))


def heartbeats_of(keys: Keys, pool_ids: Sequence[str]) -> Step[list[WorkerPoolHeartbeat]]:
    """Return some pools, in the order of their ids."""
    if not pool_ids:
        return []
    rows = yield from pages.pools(keys, pool_ids)
    return [heartbeat_of(pool_id, rows[pool_id]) for pool_id in pool_ids]


def heartbeat_of(pool_id: str, row: dict[str, str]) -> WorkerPoolHeartbeat:
    """Return a pool from the fields of its hash; without any, its numbers are 0."""
    return WorkerPoolHeartbeat(
        pool_id,
        _int(row, "heartbeat_at"),
        _int(row, "started_at"),
        sorted(name for name in row.get("job_names", "").split(",") if name),
        _int(row, "concurrency"),
        row.get("host", ""),
        _int(row, "pid"),
        sorted(worker for worker in row.get("worker_ids", "").split(",") if worker),
        {name: _int(row, name) for name in _TOTALS if name in row},
        row.get("workkit", ""),
    )


def _int(row: dict[str, str], field: str) -> int:
    return number(row.get(field)) or 0


def observations(
    keys: Keys, worker_ids: Sequence[str] | None = None
) -> Step[list[WorkerObservation]]:
    """Return what workers run: the given ones, or all workers of all registered pools."""
    if worker_ids is None:
        worker_ids = [
            w for heartbeat in (yield from heartbeats(keys)) for w in heartbeat.worker_ids
        ]
    if not worker_ids:
        return []
    rows = yield from pages.observations(keys, worker_ids)
    return [_observation(worker_id, rows[worker_id]) for worker_id in worker_ids]


def _observation(worker_id: str, row: dict[str, str]) -> WorkerObservation:
    if not row:
        return WorkerObservation(worker_id)
    started_at, checkin_at = _int(row, "started_at"), _int(row, "checkin_at")
    # A Go worker overwrites the observation of its last job, but keeps that job's check-in.
    checked_in = checkin_at >= started_at
    return WorkerObservation(
        worker_id,
        is_busy=True,
        job_name=row.get("job_name", ""),
        job_id=row.get("job_id", ""),
        started_at=started_at,
        args_json=row.get("args", ""),
        checkin=row.get("checkin", "") if checked_in else "",
        checkin_at=checkin_at if checked_in else 0,
    )


# Pages.


def queued(keys: Keys, name: str, start: int, count: int) -> Step[tuple[int, list[QueuedJob]]]:
    """Return the length of a queue and some of its jobs."""
    total, raws = yield from pages.queued(keys.jobs(check_stored_name(name)), start, count)
    return total, [QueuedJob(start + at, read_job(raw, name)) for at, raw in enumerate(raws)]


def queue_singly(keys: Keys, name: str, size: int) -> Walk[QueuedJob, None]:
    """Walk a queue job by job, the job that runs next first.

    Args:
        keys: The namespace.
        name: The job's name.
        size: Jobs to read at once.
    """
    start = 0
    while batch := (yield from queued(keys, name, start, size))[1]:
        for job in batch:
            yield Item(job)
        start += len(batch)


def queued_page(keys: Keys, name: str, page: int, size: int) -> Step[Page[QueuedJob]]:
    """Return a page of a queue."""
    total, jobs = yield from queued(keys, name, _page_start(page, size), size)
    return Page(jobs, total)


def read_set(
    keys: Keys, name: SetName, start: int, count: int
) -> Step[tuple[int, list[tuple[int, Job]]]]:
    """Return the size of a sorted set and some of its jobs."""
    total, rows = yield from pages.members(pages.set_key(keys, name), start, count)
    return total, [(epoch(score), read_job(raw)) for raw, score in rows]


def set_page(keys: Keys, name: SetName, page: int, size: int) -> Step[Page[tuple[int, Job]]]:
    """Return a page of a sorted set."""
    total, jobs = yield from read_set(keys, name, _page_start(page, size), size)
    return Page(jobs, total)


# One job.


def find(keys: Keys, job_id: str) -> Step[Found | None]:
    """Find a job: among running jobs, in queues, then in the sets."""
    known = sorted((yield from beat.known_jobs(keys)))
    found = yield from _find_running(keys, known, job_id)
    found = found or (yield from _find_queued(keys, known, job_id))
    return found or (yield from _find_waiting(keys, job_id))


def _find_running(keys: Keys, known: Sequence[str], job_id: str) -> Step[Found | None]:
    for pool_id in sorted((yield from beat.registered(keys))):
        held = yield from reap.in_progress(keys, pool_id, known)
        for name, raws in held.items():
            for job in (read_job(raw, name) for raw in raws):
                if job.id == job_id:
                    return Found("running", job, pool_id=pool_id)
    return None


def _find_queued(keys: Keys, known: Sequence[str], job_id: str) -> Step[Found | None]:
    for name in known:
        try:
            job = yield from _find_in_queue(keys, name, job_id)
        except ServerRefused as error:
            if error.code != "WRONGTYPE":
                raise
            continue  # this key is not a list, so it holds no jobs
        if job is not None:
            return Found("queued", job)
    return None


def _find_in_queue(keys: Keys, name: str, job_id: str) -> Step[Job | None]:
    start, key = 0, keys.jobs(name)
    while rows := (yield from pages.page(key, start, _BATCH, queue=True))[1]:
        for job in (read_job(raw, name) for raw, _ in rows):
            if job.id == job_id:
                return job
        start += len(rows)
    return None


def _find_waiting(keys: Keys, job_id: str) -> Step[Found | None]:
    places: tuple[SetName, ...] = ("scheduled", "retry", "dead")
    for place in places:
        start = 0
        key = pages.set_key(keys, place)
        while rows := (yield from pages.page(key, start, _BATCH, queue=False))[1]:
            for raw, score in rows:
                job = read_job(raw)
                if job.id == job_id:
                    return Found(place, job, epoch(score))
            start += len(rows)
    return None


def extent(keys: Keys) -> Step[HistoryExtent]:
    """Return the size of history."""
    return HistoryExtent(*(yield from pages.history_extent(keys)))
