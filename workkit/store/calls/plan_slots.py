"""Exchanges that plan cron slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "peer_planned_at",
    "plan_slots",
    "planned_until",
    "scheduled_between",
]


def planned_until(keys: Keys, fields: Sequence[str]) -> RoundTrip[list[int]]:
    """Read until when cron entries are planned, epoch seconds; 0 for a new entry."""
    return RoundTrip.one(
        ("HMGET", keys.periodic, *fields), lambda reply: [number(value) or 0 for value in reply]
    )


def peer_planned_at(keys: Keys) -> RoundTrip[int | None]:
    """Read when a Go pool last planned cron slots, by its clock; None if it never has."""

    def parse(replies: list[Any]) -> int | None:
        last = text(replies[0])
        ours, _, peer = text(replies[1]).partition(" ")
        return number(last if last and last != ours else peer)

    return RoundTrip(
        [("GET", keys.last_periodic_enqueue), ("GET", keys.periodic_peer)], parse, tolerant=True
    )


def scheduled_between(keys: Keys, after_s: int, before_s: int, most: int) -> RoundTrip[list[bytes]]:
    """Read the jobs scheduled between two times, both exclusive, epoch seconds."""
    command = (
        "ZRANGEBYSCORE", keys.scheduled, f"({after_s}", f"({before_s}", "LIMIT", 0, most,
    )  # fmt: skip
    return RoundTrip.one(command, list)


def plan_slots(
    keys: Keys,
    *,
    name: str,
    field: str,
    slots: Sequence[tuple[str, int, bytes]],
    until_s: int,
    now_s: int,
) -> RoundTrip[int]:
    """Schedule slots of one cron entry that no pool has scheduled yet.

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
