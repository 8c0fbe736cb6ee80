"""Exchanges that change what waits: delete, revive, pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from workkit.store.exchange import Exchange, call
from workkit.store.keys import Keys
from workkit.store.scripts import script

__all__ = ["Removal", "Revival", "pause", "remove", "revive", "unpause"]

_UNIQUE_LIVES_S = 86_400


class Removal(NamedTuple):
    """A job to delete.

    Attributes:
        raw: Its bytes.
        unique_key: The key that may have to be freed; "" for none.
        rule: "free" (the job has never begun, the key is its own) or "own" (free it only if its
            value names the job).
        mark: Its id for "free", how its payload begins for "own".
    """

    raw: bytes
    unique_key: str
    rule: Literal["free", "own"]
    mark: str


def remove(
    keys: Keys, key: bytes, kind: Literal["list", "zset"], jobs: Sequence[Removal]
) -> Exchange[list[bool]]:
    """Delete jobs from a queue or a set; says, a job, whether it was there."""
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    at = {unique: i for i, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [kind]
    for job in jobs:
        args += (job.raw, at[job.unique_key], job.rule, job.mark)
    key_list = [key, keys.begun, *(unique.encode() for unique in uniques)]
    return Exchange.one(call(script("remove"), key_list, args), _bits)


class Revival(NamedTuple):
    """A dead job to put back to work.

    Attributes:
        raw: The member of the dead set.
        new: The bytes to run.
        plain: The bytes to run if its unique key is held by another job; b"" if it is not unique.
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


def revive(keys: Keys, jobs: Sequence[Revival], now_s: int) -> Exchange[str]:
    """Put dead jobs back to work; says, a job, "1" revived, "0" not there, "t" wrong type."""
    targets = list(dict.fromkeys((job.target, job.queue) for job in jobs))
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    target_at = {target: at for at, target in enumerate(targets, 1)}
    unique_at = {unique: at for at, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [now_s, len(targets), _UNIQUE_LIVES_S, *(queue for _, queue in targets)]
    for job in jobs:
        args += (
            job.raw, job.new, job.plain,
            target_at[job.target, job.queue], unique_at[job.unique_key], job.value, job.job_id,
        )  # fmt: skip
    key_list = [
        keys.dead, keys.known_jobs, keys.begun,
        *(target for target, _ in targets), *(unique.encode() for unique in uniques),
    ]  # fmt: skip
    return Exchange.one(call(script("revive"), key_list, args), lambda reply: reply.decode())


def pause(keys: Keys, name: str) -> Exchange[None]:
    """Pause a queue, for Go pools as well."""
    return Exchange.one(("SET", keys.paused(name), "1"), lambda _: None)


def unpause(keys: Keys, name: str) -> Exchange[bool]:
    """Let a queue go on; says whether it was paused."""
    return Exchange.one(("DEL", keys.paused(name)), bool)


def _bits(reply: bytes) -> list[bool]:
    return [bit == ord("1") for bit in reply]
