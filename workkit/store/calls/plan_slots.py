"""Round trips that plan cron slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workkit.core.lifetimes import MARKS_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "PlanArgs",
    "PlanKeys",
    "peer_planned_at",
    "plan_slots",
    "planned_until",
    "scheduled_between",
]


class PlanKeys(NamedTuple):
    """The keys that a call of plan_slots.lua begins with; the keys of the slots follow."""

    scheduled: bytes
    known_jobs: bytes
    periodic: bytes
    last_periodic_enqueue: bytes
    periodic_seen: bytes
    periodic_peer: bytes

    @property
    def written_always(self) -> tuple[bytes, ...]:
        """The keys that the script writes even if no slot is new."""
        return (
            self.periodic, self.last_periodic_enqueue, self.periodic_seen, self.periodic_peer,
        )  # fmt: skip


class PlanArgs(NamedTuple):
    """The arguments that it begins with; due time and job of each slot follow."""

    name: str
    field: str
    until_s: int
    now_s: int
    kept_s: int


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
        A round trip that gives how many were new.
    """
    fixed = PlanKeys(*(getattr(keys, key) for key in PlanKeys._fields))
    key_list = [*fixed, *(keys.slot(slot_id) for slot_id, _, _ in slots)]
    args: list[Any] = [*PlanArgs(name, field, until_s, now_s, MARKS_KEPT_S)]
    for _, due_at_s, raw in slots:
        args += (due_at_s, raw)
    return RoundTrip.one(call(scripts.PLAN_SLOTS, key_list, args), int)
