"""Exchanges about jobs that wait for their time: the scheduled and the retry set, and cron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "Due",
    "MoveResult",
    "declared",
    "due",
    "move",
    "next_due",
    "plan_slots",
    "planned_until",
]


def due(key: bytes, now_s: int, *, offset: int, count: int) -> RoundTrip[list[bytes]]:
    """Read a page of due jobs, earliest first."""
    return RoundTrip.one(("ZRANGEBYSCORE", key, "-inf", now_s, "LIMIT", offset, count), list)


def next_due(keys: Keys) -> RoundTrip[float | None]:
    """Read the earliest score of both sets, epoch seconds."""

    def parse(replies: list[Any]) -> float | None:
        scores = [_first_score(reply) for reply in replies]
        known = [score for score in scores if score is not None]
        return min(known) if known else None

    return RoundTrip(
        [("ZRANGE", key, 0, 0, "WITHSCORES") for key in (keys.scheduled, keys.retry)],
        parse,
        tolerant=True,
    )


def _first_score(reply: Any) -> float | None:
    if not isinstance(reply, list) or not reply:
        return None
    # RESP3 sends pairs, RESP2 a flat list.
    return float(reply[0][1] if isinstance(reply[0], list) else reply[1])


class Due(NamedTuple):
    """A due job on its way to its queue.

    Attributes:
        raw: The member of the sorted set.
        new: The bytes for the queue, or for the dead set.
        queue: Its queue; "" to bury it.
        slot: The id of its cron slot; "" for other jobs.
        retract_s: When a slot that nobody declares any more was to run, epoch seconds; then `new`
            is the name of its entry. None for all others.
    """

    raw: bytes
    new: bytes
    queue: str
    slot: str
    retract_s: int | None = None


class MoveResult(NamedTuple):
    """What became of a batch; see move.lua."""

    moved: int
    buried: int
    dropped: int
    left: int


def move(keys: Keys, source: bytes, jobs: Sequence[Due], now_s: int) -> RoundTrip[MoveResult]:
    """Move due jobs into their queues, each at most once."""
    queues = list(dict.fromkeys(job.queue for job in jobs if job.queue))
    slots = list(dict.fromkeys(job.slot for job in jobs if job.slot))
    queue_at = {name: at for at, name in enumerate(queues, 1)} | {"": 0}
    slot_at = {slot: at for at, slot in enumerate(slots, 1)} | {"": 0}
    args: list[Any] = [now_s, len(queues), MARKS_KEPT_S, *queues]
    for job in jobs:
        retract = "" if job.retract_s is None else job.retract_s
        args += (job.raw, job.new, queue_at[job.queue], slot_at[job.slot], retract)
    key_list = [
        source, keys.known_jobs, keys.dead, keys.periodic,
                *(keys.jobs(name) for name in queues), *(keys.slot(slot) for slot in slots),
    ]  # fmt: skip
    return RoundTrip.one(
        call(scripts.MOVE, key_list, args), lambda reply: MoveResult(*map(int, reply))
    )


def planned_until(keys: Keys, fields: Sequence[str]) -> RoundTrip[list[int]]:
    """Read until when cron entries are planned, epoch seconds; 0 for one that is new."""
    return RoundTrip.one(
        ("HMGET", keys.periodic, *fields), lambda reply: [number(value) or 0 for value in reply]
    )


def declared(keys: Keys) -> RoundTrip[dict[str, str]]:
    """Read when each cron entry was last declared by a pool, as that pool's clock says."""
    return RoundTrip.one(
        ("HGETALL", keys.periodic_seen),
        lambda reply: {text(field): text(value) for field, value in pairs(reply)},
    )


def plan_slots(
    keys: Keys,
    *,
    name: str,
    field: str,
    slots: Sequence[tuple[str, int, bytes]],
    until_s: int,
    now_s: int,
) -> RoundTrip[int]:
    """Schedule slots of one cron entry that nobody has scheduled yet.

    Args:
        keys: The namespace.
        name: The job's name.
        field: The entry in the `periodic` hash.
        slots: Id, due time (epoch seconds) and job of each.
        until_s: The plan now reaches this far, epoch seconds.
        now_s: Epoch seconds.

    Returns:
        An exchange that gives how many were new.
    """
    key_list = [
        keys.scheduled, keys.known_jobs, keys.periodic,
        keys.last_periodic_enqueue, keys.periodic_seen,
        *(keys.slot(slot_id) for slot_id, _, _ in slots),
    ]  # fmt: skip
    args: list[Any] = [name, field, until_s, now_s, MARKS_KEPT_S]
    for _, due_at_s, raw in slots:
        args += (due_at_s, raw)
    return RoundTrip.one(call(scripts.PLAN_SLOTS, key_list, args), int)
