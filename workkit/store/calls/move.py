"""Exchanges about jobs that wait for their time: the scheduled and the retry set, and cron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.errors import ServerError
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "BATCH_BYTES",
    "Due",
    "MoveResult",
    "declared",
    "due",
    "move",
    "next_due",
    "peer_planned_at",
    "plan_slots",
    "planned_until",
    "scheduled_between",
    "server_ms",
]


#: Bytes of jobs in one step of the requeuer, about: what moves them takes twice as many.
BATCH_BYTES: Final = 4 * 1024 * 1024


def due(
    key: bytes, now_s: int, *, offset: int, count: int, size: int = BATCH_BYTES
) -> RoundTrip[list[bytes]]:
    """Read a page of due jobs, earliest first.

    Args:
        key: The set.
        now_s: Epoch seconds.
        offset: How many to pass over.
        count: How many at most.
        size: At how many bytes to stop.
    """
    arguments = ["-inf", now_s, offset, count, size]
    return RoundTrip.one(call(scripts.SPAN, [key], arguments), lambda reply: reply[::2])


def server_ms() -> RoundTrip[int | None]:
    """Read the server's clock, epoch milliseconds; None if it does not tell."""

    def parse(replies: list[Any]) -> int | None:
        reply = replies[0]
        if isinstance(reply, ServerError):
            return None
        return int(reply[0]) * 1000 + int(reply[1]) // 1000

    return RoundTrip([("TIME",)], parse, tolerant=True)


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
        retired: The name of its entry, if it is a slot that no pool declares any more.
        due_s: When such a slot was to run, epoch seconds.
        seen: When its entry was last declared, as it was read.
    """

    raw: bytes
    new: bytes
    queue: str
    slot: str
    retired: str = ""
    due_s: int = 0
    seen: str = ""


class MoveResult(NamedTuple):
    """What became of a batch; see move.lua. `taken` has the places of slots, from 1 on."""

    moved: int
    buried: int
    dropped: int
    left: int
    taken: list[int]


def move(keys: Keys, source: bytes, jobs: Sequence[Due], now_s: int) -> RoundTrip[MoveResult]:
    """Move due jobs into their queues, each at most once."""
    queues = list(dict.fromkeys(job.queue for job in jobs if job.queue))
    slots = list(dict.fromkeys(job.slot for job in jobs if job.slot))
    queue_at = {name: at for at, name in enumerate(queues, 1)} | {"": 0}
    slot_at = {slot: at for at, slot in enumerate(slots, 1)} | {"": 0}
    args: list[Any] = [now_s, len(queues), MARKS_KEPT_S, *queues]
    for job in jobs:
        retired = f"{job.due_s} {job.seen} {job.retired}" if job.retired else ""
        args += (job.raw, job.new, queue_at[job.queue], slot_at[job.slot], retired)
    key_list = [
        source, keys.known_jobs, keys.dead, keys.periodic, keys.periodic_seen,
                *(keys.jobs(name) for name in queues), *(keys.slot(slot) for slot in slots),
    ]  # fmt: skip

    def parse(reply: Any) -> MoveResult:
        moved, buried, dropped, left, taken = reply
        return MoveResult(moved, buried, dropped, left, taken)

    return RoundTrip.one(call(scripts.MOVE, key_list, args), parse)


def planned_until(keys: Keys, fields: Sequence[str]) -> RoundTrip[list[int]]:
    """Read until when cron entries are planned, epoch seconds; 0 for one that is new."""
    return RoundTrip.one(
        ("HMGET", keys.periodic, *fields), lambda reply: [number(value) or 0 for value in reply]
    )


def peer_planned_at(keys: Keys) -> RoundTrip[int | None]:
    """Read when a Go pool last planned cron slots, as its clock said; None if none is known of."""

    def parse(replies: list[Any]) -> int | None:
        last = text(replies[0])
        ours, _, peer = text(replies[1]).partition(" ")
        return number(last if last and last != ours else peer)

    return RoundTrip(
        [("GET", keys.last_periodic_enqueue), ("GET", keys.periodic_peer)], parse, tolerant=True
    )


def scheduled_between(keys: Keys, after_s: int, before_s: int, most: int) -> RoundTrip[list[bytes]]:
    """Read what is scheduled between two times, both exclusive, epoch seconds."""
    command = (
        "ZRANGEBYSCORE", keys.scheduled, f"({after_s}", f"({before_s}", "LIMIT", 0, most,
    )  # fmt: skip
    return RoundTrip.one(command, list)


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
        keys.last_periodic_enqueue, keys.periodic_seen, keys.periodic_peer,
        *(keys.slot(slot_id) for slot_id, _, _ in slots),
    ]  # fmt: skip
    args: list[Any] = [name, field, until_s, now_s, MARKS_KEPT_S]
    for _, due_at_s, raw in slots:
        args += (due_at_s, raw)
    return RoundTrip.one(call(scripts.PLAN_SLOTS, key_list, args), int)
