"""Round trips that move due jobs from the scheduled and retry sets to their queues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.errors import ServerError
from workkit.store import scripts
from workkit.store.calls.layout import head, keys_and_args, rows
from workkit.store.calls.span import LOWEST, SpanArgs, span
from workkit.store.keys import Keys
from workkit.store.replies import pairs, text
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "BATCH_BYTES",
    "Due",
    "MoveArgs",
    "MoveResult",
    "MoveRow",
    "declared",
    "due",
    "heads",
    "move",
    "read_move",
]

#: About how many bytes of jobs one step of the requeuer reads; the move script gets twice as many.
BATCH_BYTES: Final = 4 * 1024 * 1024


def due(
    key: bytes, now_s: int, *, offset: int, count: int, size: int = BATCH_BYTES
) -> RoundTrip[list[tuple[bytes, float]]]:
    """Read a page of due jobs with their due times (epoch seconds), earliest first.

    Args:
        key: The set.
        now_s: Epoch seconds.
        offset: How many jobs to skip.
        count: How many jobs at most.
        size: Stop after this many bytes.
    """
    args = SpanArgs(LOWEST, now_s, offset, count, size)

    def parse(reply: Any) -> list[tuple[bytes, float]]:
        return list(zip(reply[::2], map(float, reply[1::2]), strict=True))

    return RoundTrip.one(span(key, args), parse)


def heads(sources: Sequence[bytes]) -> RoundTrip[list[float | None]]:
    """Read when the first job of each set is due, epoch seconds.

    Args:
        sources: The sets.

    Returns:
        A round trip that gives infinity for an empty set, and None if the key has a wrong type.
    """

    def parse(replies: list[Any]) -> list[float | None]:
        return [_first_score(reply) for reply in replies]

    commands = [("ZRANGE", key, 0, 0, "WITHSCORES") for key in sources]
    return RoundTrip(commands, parse, tolerant=True)


def _first_score(reply: Any) -> float | None:
    if isinstance(reply, ServerError):
        if getattr(reply, "code", "") == "WRONGTYPE":
            return None
        raise reply
    if not reply:
        return math.inf
    # RESP3 sends pairs, RESP2 a flat list.
    return float(reply[0][1] if isinstance(reply[0], list) else reply[1])


class Due(NamedTuple):
    """A due job on its way to its queue.

    Attributes:
        raw: The member of the sorted set.
        new: The bytes for the queue, or for the dead set.
        queue: Its queue; "" to bury it.
        slot: The id of its cron slot; "" for other jobs.
        retired: The field of its cron entry, if no pool declares that entry any more.
        due_s: When such a slot is due, epoch seconds.
        seen: When a pool last declared its entry, as the caller read it.
    """

    raw: bytes
    new: bytes
    queue: str
    slot: str
    retired: str = ""
    due_s: int = 0
    seen: str = ""


class MoveArgs(NamedTuple):
    """The arguments that a call of move.lua begins with; names of queues follow, then rows."""

    now_s: int
    queues: int
    kept_s: int


class MoveRow(NamedTuple):
    """A job in a call of move.lua.

    Attributes:
        raw: The member of the sorted set.
        new: The bytes for the queue, or for the dead set.
        queue_at: Which of the named queues is its queue, from 1 on; 0 to bury it.
        slot_at: Which of the keys behind the queues is its slot, from 1 on; 0 for other jobs.
        retired: Due time, last declaration and field of a slot to take back, or "".
    """

    raw: bytes
    new: bytes
    queue_at: int
    slot_at: int
    retired: str


class MoveResult(NamedTuple):
    """The outcome of a batch; see move.lua. `taken` has the places of slots, from 1 on."""

    moved: int
    buried: int
    dropped: int
    left: int
    taken: list[int]


def declared(keys: Keys) -> RoundTrip[dict[str, str]]:
    """Read when a pool last declared each cron entry, by that pool's clock."""
    return RoundTrip.one(
        ("HGETALL", keys.periodic_seen),
        lambda reply: {text(field): text(value) for field, value in pairs(reply)},
    )


def move(keys: Keys, source: bytes, jobs: Sequence[Due], now_s: int) -> RoundTrip[MoveResult]:
    """Move due jobs into their queues, each at most once."""
    queues = list(dict.fromkeys(job.queue for job in jobs if job.queue))
    slots = list(dict.fromkeys(job.slot for job in jobs if job.slot))
    queue_at = {name: at for at, name in enumerate(queues, 1)} | {"": 0}
    slot_at = {slot: at for at, slot in enumerate(slots, 1)} | {"": 0}
    args: list[Any] = [*MoveArgs(now_s, len(queues), MARKS_KEPT_S), *queues]
    for job in jobs:
        retired = f"{job.due_s} {job.seen} {job.retired}" if job.retired else ""
        args += MoveRow(job.raw, job.new, queue_at[job.queue], slot_at[job.slot], retired)
    key_list = [
        source, keys.known_jobs, keys.dead, keys.periodic, keys.periodic_seen,
                *(keys.jobs(name) for name in queues), *(keys.slot(slot) for slot in slots),
    ]  # fmt: skip
    return RoundTrip.one(call(scripts.MOVE, key_list, args), MoveResult._make)


def read_move(command: Command) -> list[MoveRow]:
    """Return the jobs of a call of move.lua."""
    _, args = keys_and_args(command)
    fixed, rest = head(MoveArgs, args)
    return rows(MoveRow, rest[int(fixed.queues) :])
