"""Says how a job is deleted, and how a dead one comes back, without I/O."""

from __future__ import annotations

from typing import Any

from workkit.admin.steps.job_state import unique_key_of
from workkit.core import job as wire
from workkit.core.job import Job
from workkit.core.undecodable import restore_undecodable
from workkit.store.calls import pages
from workkit.store.calls.remove import Removal
from workkit.store.calls.revive import Revival
from workkit.store.keys import Keys

__all__ = ["removal", "revival"]


def removal(keys: Keys, job: Job) -> Removal:
    """Return how to delete a job and free its unique key.

    A job that has run freed its key when it began, so the key may belong to a newer job. Then
    the script frees the key only if it names this job.
    """
    unique_key = unique_key_of(keys, job)
    if wire.has_run(job) or job.unique_until == "done":
        return Removal(job.raw, job.id, unique_key, "own", wire.id_text(job))
    return Removal(job.raw, job.id, unique_key, "free", job.id)


def revival(keys: Keys, job: Job, now_s: int) -> Revival | None:
    """Return how to retry a dead job; None for a malformed payload."""
    if job.undecodable:
        return None
    original = restore_undecodable(job)
    if original is not None:
        origin = str((job.args or {}).get("from", job.name))
        if origin in {"scheduled", "retry"} and job.name == origin:
            name: Any = origin
            return Revival(job.raw, original, b"", "", pages.set_key(keys, name))
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
