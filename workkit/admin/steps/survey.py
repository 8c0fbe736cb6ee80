"""Reads the overview of a namespace and its cron entries, without I/O."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import islice
from typing import Final

from workkit import cron
from workkit.admin.steps.reads import epoch, heartbeats_of, observe_queues
from workkit.core.records import CronEntry, Overview
from workkit.cron import Schedule
from workkit.cron.slots import slot_id
from workkit.errors import InvalidSpec
from workkit.store.calls import survey
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["cron_entries", "deaths", "named", "overview", "past_slots"]

#: How many of an entry's next slots are returned.
_NEXT: Final = 5
#: How many of an entry's newest past slots are looked up.
_PAST: Final = 3
#: The search for past slots widens up to three days: slot states are kept that long.
_LOOK_BACK_S: Final = (60, 3_600, 86_400, 3 * 86_400)


def overview(keys: Keys, now_ms: int) -> Step[Overview]:
    """Read the overview of a namespace, always in three round trips."""
    now_s = now_ms // 1000
    found = yield from survey.survey(keys)
    queues = yield from observe_queues(keys, sorted(found.names), now_s)
    pools = yield from heartbeats_of(keys, sorted(found.pool_ids))
    scheduled, retry = found.next_scheduled, found.next_retry
    return Overview(
        now_ms / 1000,
        queues,
        pools,
        found.scheduled,
        found.retry,
        found.dead,
        None if scheduled is None else epoch(scheduled),
        None if retry is None else epoch(retry),
        found.executions,
    )


def deaths(keys: Keys, periods_s: Collection[float], now_s: int) -> Step[dict[float, int]]:
    """Return how many jobs died in each of some periods up to now, and are still dead."""
    if not periods_s:
        return {}
    each = sorted(periods_s)
    since_s = [now_s - int(period_s) for period_s in each]
    died = yield from survey.died_since(keys, since_s, now_s)
    return dict(zip(each, died, strict=True))


def cron_entries(keys: Keys, now_s: int) -> Step[list[CronEntry]]:
    """Return the cron entries that pools have declared, by name and spec."""
    seen, planned = yield from survey.cron_entries(keys)
    declared = sorted((*named(field), field) for field in seen | planned)
    slots = {field: past_slots(name, spec, now_s) for name, spec, field in declared}
    ids = [slot for found in slots.values() for slot in found]
    states = dict(zip(ids, (yield from survey.slot_states(keys, ids)) if ids else [], strict=True))
    entries = []
    for name, spec, field in declared:
        last = next((slot for slot in slots[field] if states[slot]), None)
        entries.append(
            CronEntry(
                name,
                spec,
                seen.get(field, 0),
                planned.get(field, 0),
                _next_slots(spec, now_s),
                slots[field][last] if last else None,
                states[last].partition(":")[0] if last else "",
            )
        )
    return entries


def named(field: str) -> tuple[str, str]:
    """Return the name and spec of an entry's field. A field that is not ours becomes the name."""
    try:
        name, spec = map(str, json.loads(field))
        f"{name}{spec}".encode()  # an escape for half a character has no form in a key
        return name, spec
    except (ValueError, TypeError):
        return field, ""


def _schedule(spec: str) -> Schedule | None:
    try:
        return cron.parse(spec)
    except InvalidSpec:
        return None


def _next_slots(spec: str, now_s: int) -> tuple[int, ...]:
    schedule = _schedule(spec)
    return tuple(islice(schedule.upcoming(now_s, now_s + 2**40), _NEXT)) if schedule else ()


def past_slots(name: str, spec: str, now_s: int) -> dict[str, int]:
    """Return ids and times (epoch seconds) of the newest slots before now, the newest first."""
    schedule = _schedule(spec)
    if schedule is None:
        return {}
    times: list[int] = []
    for back_s in _LOOK_BACK_S:
        times = list(schedule.upcoming(now_s - back_s, now_s))[-_PAST:]
        if len(times) == _PAST:
            break
    return {slot_id(name, spec, at_s): at_s for at_s in reversed(times)}
