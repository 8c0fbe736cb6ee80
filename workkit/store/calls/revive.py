"""Round trips that put dead and waiting jobs into their queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import UNIQUE_LIVES_S
from workkit.store import scripts
from workkit.store.calls.layout import head, keys_and_args, rows
from workkit.store.calls.remove import NO_TRASH, Trash
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "Revival",
    "ReviveArgs",
    "ReviveRow",
    "read_revive",
    "revive",
]


class Revival(NamedTuple):
    """A dead, retried or scheduled job to put into its queue.

    Attributes:
        raw: The member of the set.
        new: The bytes to run.
        plain: The bytes to run if another job holds its unique key; b"" to leave the key alone.
        queue: Its queue; "" to put it into the scheduled or retry set `target`.
        target: The key to which it goes.
        unique_key: Its unique key; "" for none.
        value: The new value of the unique key.
        job_id: Its id; the script removes its mark in `begun`.
    """

    raw: bytes
    new: bytes
    plain: bytes
    queue: str
    target: bytes
    unique_key: str = ""
    value: bytes = b"1"
    job_id: str = ""


class ReviveArgs(NamedTuple):
    """The arguments that a call of revive.lua begins with; names of queues follow, then rows."""

    now_s: int
    targets: int
    lives_s: int
    kept_s: int


class ReviveRow(NamedTuple):
    """A job in a call of revive.lua: as `Revival`, with indexes of its keys (0 for none)."""

    raw: bytes
    new: bytes
    plain: bytes
    target_at: int
    unique_at: int
    value: bytes
    job_id: str


def revive(
    keys: Keys,
    source: bytes,
    jobs: Sequence[Revival],
    now_s: int,
    *,
    trash: Trash = NO_TRASH,
) -> RoundTrip[str]:
    """Revive jobs of a set; gives for each job "1" revived, "0" not there, "t" wrong type.

    Args:
        keys: The namespace.
        source: The set.
        jobs: The jobs to revive.
        now_s: Epoch seconds.
        trash: Where to keep them as they were.
    """
    targets = list(dict.fromkeys((job.target, job.queue) for job in jobs))
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    target_at = {target: at for at, target in enumerate(targets, 1)}
    unique_at = {unique: at for at, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [*ReviveArgs(now_s, len(targets), UNIQUE_LIVES_S, trash.kept_s)]
    args += (queue for _, queue in targets)
    for job in jobs:
        args += ReviveRow(
            job.raw, job.new, job.plain,
            target_at[job.target, job.queue], unique_at[job.unique_key], job.value, job.job_id,
        )  # fmt: skip
    key_list = [
        source, keys.known_jobs, keys.begun, keys.trashed(trash.operation),
        *(target for target, _ in targets), *(unique.encode() for unique in uniques),
    ]  # fmt: skip
    return RoundTrip.one(call(scripts.REVIVE, key_list, args), lambda reply: reply.decode())


def read_revive(command: Command) -> list[ReviveRow]:
    """Return the jobs of a call of revive.lua."""
    _, args = keys_and_args(command)
    fixed, rest = head(ReviveArgs, args)
    return rows(ReviveRow, rest[int(fixed.targets) :])
