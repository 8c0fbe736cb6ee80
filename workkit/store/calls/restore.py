"""Round trips that record bulk actions, list them, and undo them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.errors import ServerError
from workkit.store import scripts
from workkit.store.calls import acts
from workkit.store.calls.acts import ActEntry
from workkit.store.keys import Keys
from workkit.store.replies import pairs, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Entry",
    "Recall",
    "Restore",
    "entries",
    "forget",
    "forget_expired",
    "note",
    "operation",
    "operations",
    "recall",
    "restore",
]

_WORDS = 4


class Entry(NamedTuple):
    """One job in the trash.

    Attributes:
        entry: The whole element.
        mark: The fate of its unique key; see `remove.lua` and `revive.lua`.
        score: Its score; 0 for a job from a queue.
        at_s: When it was put there, epoch seconds.
        raw: Its bytes.
        value: The value that its unique key had.
    """

    entry: bytes
    mark: str
    score: float
    at_s: int
    raw: bytes
    value: bytes


def note(
    keys: Keys,
    operation_id: str,
    fields: Mapping[str, Any],
    now_s: int,
    kept_s: int,
    act: ActEntry,
) -> RoundTrip[None]:
    """Record an operation before it begins; a user can undo it for `kept_s` seconds."""
    args: list[Any] = [operation_id, now_s, kept_s, now_s + kept_s, *acts.act_args(act)]
    args += (part for pair in fields.items() for part in pair)
    key_list = [keys.trash, keys.operation(operation_id), *acts.act_keys(keys)]
    return RoundTrip.one(
        call(scripts.NOTE, key_list, args), lambda reply: acts.check(keys, reply) and None
    )


def forget_expired(keys: Keys, now_s: int) -> RoundTrip[list[str]]:
    """Drop expired operations; gives the others, the newest last."""
    return RoundTrip(
        (("ZREMRANGEBYSCORE", keys.trash, "-inf", now_s), ("ZRANGE", keys.trash, 0, -1)),
        lambda replies: [text(operation_id) for operation_id in replies[1]],
    )


def operations(
    keys: Keys, operation_ids: Sequence[str]
) -> RoundTrip[dict[str, tuple[dict[str, str], int]]]:
    """Read descriptions of operations, and how many of their jobs are in the trash."""
    commands: list[tuple[Any, ...]] = []
    for operation_id in operation_ids:
        commands += (
            ("HGETALL", keys.operation(operation_id)),
            ("LLEN", keys.trashed(operation_id)),
        )

    def parse(replies: list[Any]) -> dict[str, tuple[dict[str, str], int]]:
        found = {}
        for at, operation_id in enumerate(operation_ids):
            fields, count = replies[2 * at], replies[2 * at + 1]
            if fields and not isinstance(fields, ServerError):
                row = {text(name): text(value) for name, value in pairs(fields)}
                found[operation_id] = row, count if isinstance(count, int) else 0
        return found

    return RoundTrip(commands, parse, tolerant=True)


def operation(keys: Keys, operation_id: str) -> RoundTrip[dict[str, str]]:
    """Read the description of an operation; empty if it is unknown."""
    return RoundTrip.one(
        ("HGETALL", keys.operation(operation_id)),
        lambda reply: {text(name): text(value) for name, value in pairs(reply)},
    )


def entries(
    keys: Keys, operation_id: str, count: int, *, newest_first: bool
) -> RoundTrip[tuple[int, list[Entry]]]:
    """Read how many jobs of an operation are in the trash, and some of them."""
    key = keys.trashed(operation_id)

    def parse(replies: list[Any]) -> tuple[int, list[Entry]]:
        rows = reversed(replies[1]) if newest_first else replies[1]
        return int(replies[0]), [_entry(raw) for raw in rows]

    part = ("LRANGE", key, -count, -1) if newest_first else ("LRANGE", key, 0, count - 1)
    return RoundTrip([("LLEN", key), part], parse)


def _entry(element: bytes) -> Entry:
    mark, score, at_s, length, rest = element.split(b" ", _WORDS)
    end = int(length)
    return Entry(element, mark.decode(), float(score), int(at_s), rest[:end], rest[end:])


class Restore(NamedTuple):
    """A deleted job to put back.

    Attributes:
        entry: Its entry in the trash.
        plain: Its bytes without uniqueness.
        unique_key: The key to take again if it was freed; "" for none.
        value: The new value of the key.
        lives_s: How long the key lives, seconds.
        job_id: Its id.
    """

    entry: Entry
    plain: bytes
    unique_key: str
    value: bytes
    lives_s: int
    job_id: str


def restore(
    keys: Keys,
    operation_id: str,
    target: bytes,
    kind: Literal["list", "zset"],
    jobs: Sequence[Restore],
    now_s: int,
) -> RoundTrip[str]:
    """Put deleted jobs back; gives for each "1" done, "p" without its key, "0" not in the trash."""
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    at = {unique: i for i, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [kind, now_s, MARKS_KEPT_S]
    for job in jobs:
        entry = job.entry
        args += (
            entry.entry, entry.mark, repr(entry.score), entry.raw, job.plain,
            at[job.unique_key], job.value, job.lives_s, job.job_id,
        )  # fmt: skip
    key_list = [keys.trashed(operation_id), target, keys.begun, *(u.encode() for u in uniques)]
    return RoundTrip.one(call(scripts.RESTORE, key_list, args), lambda reply: reply.decode())


class Recall(NamedTuple):
    """A revived job to take back.

    Attributes:
        entry: Its entry in the trash.
        new: The bytes that were put into the target.
        target: The key to which it went.
        kind: The type of that key.
        unique_key: The key that it took; "" for none.
    """

    entry: Entry
    new: bytes
    target: bytes
    kind: Literal["list", "zset"]
    unique_key: str


def recall(keys: Keys, operation_id: str, source: bytes, jobs: Sequence[Recall]) -> RoundTrip[str]:
    """Take back jobs that have not begun; gives for each "1" it is back, "0" it has left."""
    targets = list(dict.fromkeys((job.target, job.kind) for job in jobs))
    uniques = list(dict.fromkeys(job.unique_key for job in jobs if job.unique_key))
    target_at = {target: at for at, target in enumerate(targets, 1)}
    unique_at = {unique: at for at, unique in enumerate(uniques, 1)} | {"": 0}
    args: list[Any] = [len(targets), *(kind for _, kind in targets)]
    for job in jobs:
        args += (
            job.entry.entry, repr(job.entry.score), job.entry.raw, job.new,
            target_at[job.target, job.kind], unique_at[job.unique_key],
        )  # fmt: skip
    key_list = [
        keys.trashed(operation_id), source,
        *(target for target, _ in targets), *(unique.encode() for unique in uniques),
    ]  # fmt: skip
    return RoundTrip.one(call(scripts.RECALL, key_list, args), lambda reply: reply.decode())


def forget(keys: Keys, operation_id: str) -> RoundTrip[None]:
    """Drop an operation whose jobs have all left the trash."""
    return RoundTrip(
        (
            ("UNLINK", keys.operation(operation_id), keys.trashed(operation_id)),
            ("ZREM", keys.trash, operation_id),
        ),
        lambda _: None,
    )
