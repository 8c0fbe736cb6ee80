"""Round trips that delete jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from workkit.errors import ServerRefused
from workkit.store import scripts
from workkit.store.calls.layout import head, keys_and_args, rows
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "NO_TRASH",
    "Removal",
    "RemoveArgs",
    "RemoveRow",
    "Trash",
    "read_remove",
    "remove",
]


class Removal(NamedTuple):
    """A job to delete.

    Attributes:
        raw: Its bytes.
        job_id: Its id.
        unique_key: The key that the deletion may free; "" for none.
        rule: "free" (free the key unless the job has begun once) or "own" (free it only if its
            value names the job).
        mark: Its id; for "own" as JSON writes it.
    """

    raw: bytes
    job_id: str
    unique_key: str
    rule: Literal["free", "own"]
    mark: str


class Trash(NamedTuple):
    """Where deleted and retried jobs are kept, so that a user can undo the operation.

    Attributes:
        operation: The id of the operation; "" keeps nothing.
        kept_s: How long they are kept, seconds.
    """

    operation: str = ""
    kept_s: int = 0


class RemoveArgs(NamedTuple):
    """The arguments that a call of remove.lua begins with; a row for each job follows."""

    kind: str
    kept_s: int
    now_s: int


class RemoveRow(NamedTuple):
    """A job in a call of remove.lua: as `Removal`, with the index of its key (0 for none)."""

    raw: bytes
    job_id: str
    unique_at: int
    rule: str
    mark: str


NO_TRASH: Final = Trash()


def remove(
    keys: Keys,
    key: bytes,
    kind: Literal["list", "zset"],
    jobs: Sequence[Removal],
    *,
    trash: Trash = NO_TRASH,
    now_s: int = 0,
) -> RoundTrip[list[bool]]:
    """Delete jobs from a queue or a set; gives for each job whether it was there.

    Args:
        keys: The namespace.
        key: The queue or the set.
        kind: The type of `key`.
        jobs: The jobs to delete.
        trash: Where to keep them.
        now_s: Epoch seconds, for the trash.
    """
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    at = {unique: i for i, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [*RemoveArgs(kind, trash.kept_s, now_s)]
    for job in jobs:
        args += RemoveRow(job.raw, job.job_id, at[job.unique_key], job.rule, job.mark)
    trashed = keys.trashed(trash.operation)
    key_list = [key, keys.begun, trashed, keys.recoveries, *(unique.encode() for unique in uniques)]
    return RoundTrip.one(call(scripts.REMOVE, key_list, args), _bits)


def read_remove(command: Command) -> list[RemoveRow]:
    """Return the jobs of a call of remove.lua."""
    _, args = keys_and_args(command)
    return rows(RemoveRow, head(RemoveArgs, args)[1])


def _bits(reply: bytes) -> list[bool]:
    if reply == b"t":
        raise ServerRefused("WRONGTYPE", "the key of the trash has a wrong type; move it")
    return [bit == ord("1") for bit in reply]
