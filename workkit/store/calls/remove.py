"""Exchanges that change what waits: delete, revive, pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from workkit.core.lifetimes import UNIQUE_LIVES_S
from workkit.errors import ServerRefused
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Removal",
    "Revival",
    "Trash",
    "pause",
    "remove",
    "revive",
    "unpause",
]


class Removal(NamedTuple):
    """A job to delete.

    Attributes:
        raw: Its bytes.
        unique_key: The key that may have to be freed; "" for none.
        rule: "free" (the job has never begun, the key is its own) or "own" (free it only if its
            value names the job).
        mark: Its id; for "own" as JSON writes it.
    """

    raw: bytes
    unique_key: str
    rule: Literal["free", "own"]
    mark: str


class Trash(NamedTuple):
    """Where deleted and retried jobs are kept, so that it can be undone.

    Attributes:
        operation: The id of the operation; "" keeps nothing.
        kept_s: For how long, seconds.
    """

    operation: str = ""
    kept_s: int = 0


_NO_TRASH: Final = Trash()


def remove(
    keys: Keys,
    key: bytes,
    kind: Literal["list", "zset"],
    jobs: Sequence[Removal],
    *,
    trash: Trash = _NO_TRASH,
    now_s: int = 0,
) -> RoundTrip[list[bool]]:
    """Delete jobs from a queue or a set; says, a job, whether it was there.

    Args:
        keys: The namespace.
        key: The queue or the set.
        kind: Which of them it is.
        jobs: What to delete.
        trash: Where to keep it.
        now_s: Epoch seconds, for the trash.
    """
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    at = {unique: i for i, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [kind, trash.kept_s, now_s]
    for job in jobs:
        args += (job.raw, at[job.unique_key], job.rule, job.mark)
    trashed = keys.trashed(trash.operation)
    key_list = [key, keys.begun, trashed, *(unique.encode() for unique in uniques)]
    return RoundTrip.one(call(scripts.REMOVE, key_list, args), _bits)


class Revival(NamedTuple):
    """A dead or waiting job to put to work.

    Attributes:
        raw: The member of the set.
        new: The bytes to run.
        plain: The bytes to run if its unique key is held by another job; b"" if the key is not its
            business.
        queue: Its queue; "" to put it into the scheduled or retry set `target`.
        target: The key it goes to.
        unique_key: Its unique key; "" for none.
        value: What the key is to hold.
        job_id: Its id; a mark that it has begun is removed.
    """

    raw: bytes
    new: bytes
    plain: bytes
    queue: str
    target: bytes
    unique_key: str = ""
    value: bytes = b"1"
    job_id: str = ""


def revive(
    keys: Keys,
    source: bytes,
    jobs: Sequence[Revival],
    now_s: int,
    *,
    trash: Trash = _NO_TRASH,
) -> RoundTrip[str]:
    """Put jobs of a set to work; says, a job, "1" revived, "0" not there, "t" wrong type.

    Args:
        keys: The namespace.
        source: The set.
        jobs: What to put to work.
        now_s: Epoch seconds.
        trash: Where to remember how they were.
    """
    targets = list(dict.fromkeys((job.target, job.queue) for job in jobs))
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    target_at = {target: at for at, target in enumerate(targets, 1)}
    unique_at = {unique: at for at, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [now_s, len(targets), UNIQUE_LIVES_S, trash.kept_s]
    args += (queue for _, queue in targets)
    for job in jobs:
        args += (
            job.raw, job.new, job.plain,
            target_at[job.target, job.queue], unique_at[job.unique_key], job.value, job.job_id,
        )  # fmt: skip
    key_list = [
        source, keys.known_jobs, keys.begun, keys.trashed(trash.operation),
        *(target for target, _ in targets), *(unique.encode() for unique in uniques),
    ]  # fmt: skip
    return RoundTrip.one(call(scripts.REVIVE, key_list, args), lambda reply: reply.decode())


def pause(keys: Keys, name: str) -> RoundTrip[None]:
    """Pause a queue, for Go pools as well."""
    return RoundTrip.one(("SET", keys.paused(name), "1"), lambda _: None)


def unpause(keys: Keys, name: str) -> RoundTrip[bool]:
    """Let a queue go on; says whether it was paused."""
    return RoundTrip.one(("DEL", keys.paused(name)), bool)


def _bits(reply: bytes) -> list[bool]:
    if reply == b"t":
        raise ServerRefused("WRONGTYPE", "the key of the trash has a wrong type; move it")
    return [bit == ord("1") for bit in reply]
