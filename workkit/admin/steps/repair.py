"""The changes that `Client` makes, without I/O: delete jobs, retry dead jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.admin.steps.job_state import unique_key_of
from workkit.admin.steps.reads import FOREVER, read_job
from workkit.core import job as wire
from workkit.core.job import Job
from workkit.errors import NotDeleted, NotRetried
from workkit.store.calls import pages as reading
from workkit.store.calls import remove as changing
from workkit.store.calls.pages import SetName
from workkit.store.calls.remove import Removal, Revival
from workkit.store.keys import Keys, check_name
from workkit.store.round_trip import Step

__all__ = [
    "delete_all_dead",
    "delete_member",
    "delete_queued",
    "removal",
    "retry_all_dead",
    "retry_dead",
    "revival",
]

_BATCH: Final = 500


def removal(keys: Keys, job: Job) -> Removal:
    """Return how to delete a job and free its unique key.

    A job that has failed freed its key when it began, so the key may belong to a newer job. Then
    the script frees the key only if it names this job.
    """
    unique_key = unique_key_of(keys, job)
    if job.fails or job.unique_until == "done":
        return Removal(job.raw, unique_key, "own", wire.id_text(job))
    return Removal(job.raw, unique_key, "free", job.id)


def delete_queued(keys: Keys, name: str, job_id: str) -> Step[None]:
    """Delete a job from its queue."""
    key = keys.jobs(check_name(name))
    start = 0
    while rows := (yield from reading.page(key, start, _BATCH, queue=True))[1]:
        for job in (read_job(raw, name) for raw, _ in rows):
            if job.id == job_id and not job.undecodable:
                removed = yield from changing.remove(keys, key, "list", [removal(keys, job)])
                if removed[0]:
                    return
        start += len(rows)
    raise NotDeleted(f"queue {name!r} holds no job {job_id}; it may have been taken meanwhile")


def delete_member(keys: Keys, name: SetName, at_s: int, job_id: str) -> Step[None]:
    """Delete a job from a sorted set."""
    job = yield from _member(keys, name, at_s, job_id)
    if job is not None:
        key = reading.set_key(keys, name)
        removed = yield from changing.remove(keys, key, "zset", [removal(keys, job)])
        if removed[0]:
            return
    raise NotDeleted(f"the {name} set holds no job {job_id} at {at_s}")


def _member(keys: Keys, name: SetName, at_s: int, job_id: str) -> Step[Job | None]:
    """Find a member by score and id, page by page: thousands of members may have the same score."""
    key, offset = reading.set_key(keys, name), 0
    low, high = str(at_s), f"({at_s + 1}"
    if abs(at_s) >= FOREVER:
        low = high = "+inf" if at_s > 0 else "-inf"
    while rows := (yield from reading.members_at(key, low, high, offset=offset, count=_BATCH)):
        for raw, _ in rows:
            job = read_job(raw)
            if job.id == job_id and not job.undecodable:
                return job
        offset += len(rows)
    return None


# Dead jobs.


def revival(keys: Keys, job: Job, now_s: int) -> Revival | None:
    """Return how to retry a dead job; None for a malformed payload."""
    if job.undecodable:
        return None
    original = wire.restore_undecodable(job)
    if original is not None:
        origin = str((job.args or {}).get("from", job.name))
        if origin in {"scheduled", "retry"} and job.name == origin:
            name: Any = origin
            return Revival(job.raw, original, b"", "", reading.set_key(keys, name))
        return Revival(job.raw, original, b"", job.name, keys.jobs(job.name))
    fresh: dict[str, Any] = {
        "t": now_s, "t_ms": None, "fails": None, "failed_at": None, "err": None,
    }  # fmt: skip
    new = wire.splice(job.raw, **fresh)
    unique_key = unique_key_of(keys, job)
    if not unique_key:
        return Revival(job.raw, new, b"", job.name, keys.jobs(job.name))
    plain = wire.splice(new, unique=None, unique_key=None, unique_until=None)
    return Revival(
        job.raw,
        new,
        plain,
        job.name,
        keys.jobs(job.name),
        unique_key,
        new if job.unique_until == "done" else b"1",
        job.id,
    )


def retry_dead(keys: Keys, died_at_s: int, job_id: str, now_s: int) -> Step[None]:
    """Retry one dead job."""
    job = yield from _member(keys, "dead", died_at_s, job_id)
    comeback = revival(keys, job, now_s) if job is not None else None
    if comeback is None:
        raise NotRetried(f"the dead set holds no job {job_id} at {died_at_s}")
    outcome = yield from changing.revive(keys, keys.dead, [comeback], now_s)
    if outcome == "t":
        raise NotRetried(
            f"the key of queue {comeback.queue!r} has a wrong type; rename or delete it"
        )
    if outcome != "1":
        raise NotRetried(f"another client has retried or deleted job {job_id}")


def _dead_batch(keys: Keys, now_s: int, offset: int, left: int) -> Step[list[Job]]:
    rows = yield from reading.members_at(
        keys.dead, "-inf", f"({now_s + 1}", offset=offset, count=min(_BATCH, left)
    )
    return [read_job(raw) for raw, _ in rows]


def retry_all_dead(keys: Keys, now_s: int) -> Step[int]:
    """Retry all jobs that are dead now.

    Jobs that die during the call could make it endless. So it reads at most as many jobs as were
    dead at the start, and only jobs that had died by then.
    """
    left = yield from reading.size(keys.dead)
    revived = offset = 0
    while left > 0 and (jobs := (yield from _dead_batch(keys, now_s, offset, left))):
        left -= len(jobs)
        revivals = [r for r in (revival(keys, job, now_s) for job in jobs) if r is not None]
        outcome = (yield from changing.revive(keys, keys.dead, revivals, now_s)) if revivals else ""
        revived += outcome.count("1")
        offset += len(jobs) - len(revivals) + outcome.count("t")
    return revived


def delete_all_dead(keys: Keys, now_s: int) -> Step[int]:
    """Delete all jobs that are dead now, and malformed payloads in the dead set."""
    left = yield from reading.size(keys.dead)
    deleted = 0
    while left > 0 and (jobs := (yield from _dead_batch(keys, now_s, 0, left))):
        left -= len(jobs)
        deleted += yield from _remove_dead(keys, jobs)
    return deleted


def _remove_dead(keys: Keys, jobs: Sequence[Job]) -> Step[int]:
    removed = yield from changing.remove(
        keys, keys.dead, "zset", [removal(keys, job) for job in jobs]
    )
    return sum(removed)
