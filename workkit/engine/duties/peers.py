"""Finds out which cron entries Go pools plan, from the scheduled jobs.

A Go pool does not declare its cron entries. It plans four minutes ahead, about every two minutes,
and writes down when. It leaves no mark on a slot. So a slot that is scheduled but that workkit has
not planned shows that a Go pool plans the entry.
"""

from __future__ import annotations

from typing import Final

from workkit.core import job as wire
from workkit.cron import Schedule
from workkit.cron.slots import slot_prefix
from workkit.errors import Undecodable
from workkit.store.calls import beat, plan_slots
from workkit.store.calls.beat import Beat
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["GO_HORIZON_S", "go_pools", "plans"]

#: How far ahead a Go pool plans, seconds.
GO_HORIZON_S: Final = 240
#: At most this many of the jobs that are scheduled in four minutes are read.
_MOST: Final = 5_000


def go_pools(keys: Keys) -> Step[list[Beat]]:
    """Return the heartbeats of all registered Go pools."""
    registered = yield from beat.registered(keys)
    beats = (yield from beat.heartbeats(keys, sorted(registered))) if registered else {}
    return [heartbeat for heartbeat in beats.values() if heartbeat.is_go]


def plans(
    keys: Keys, name: str, spec: str, schedule: Schedule, after_s: int, planned_at_s: int
) -> Step[bool | None]:
    """Tell whether Go pools plan a cron entry.

    Args:
        keys: The namespace.
        name: The name of its job.
        spec: Its spec.
        schedule: The parsed spec.
        after_s: The end of the slots that workkit has planned for it, or now, epoch seconds.
        planned_at_s: When a Go pool last planned, epoch seconds.

    Returns:
        Whether a Go pool plans it; None if the entry has no slot in that time.
    """
    before_s = planned_at_s + GO_HORIZON_S
    first_s = schedule.next_after(after_s)
    if schedule.is_interval and first_s is not None:
        first_s = after_s + (schedule.next_after(first_s) or 0) - first_s  # in any phase
    if first_s is None or first_s >= before_s:
        return None
    raws = yield from plan_slots.scheduled_between(keys, after_s, before_s, _MOST)
    prefix = slot_prefix(name, spec)
    ids = (_job_id(raw) for raw in raws)
    if any(each.startswith(prefix) and each.removeprefix(prefix).isdecimal() for each in ids):
        return True
    return None if len(raws) == _MOST else False


def _job_id(raw: bytes) -> str:
    try:
        return wire.read(raw).id
    except Undecodable:
        return ""
