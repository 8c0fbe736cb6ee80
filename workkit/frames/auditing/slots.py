"""Rules about cron slots: they come when their spec says, and none is left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from itertools import islice
from typing import Any, Final

from workkit.core.job import PERIODIC
from workkit.core.text import stamp
from workkit.cron import parse
from workkit.cron.schedule import Schedule
from workkit.errors import InvalidSpec
from workkit.frames.auditing.records import Evidence, Finding, Hits, Records
from workkit.frames.extra import np

__all__ = ["check_slots", "missed_slots"]

#: More slots of an entry are not counted.
_MOST: Final = 200_000
#: Pools were at work if history has an execution within this time before a slot, and one after it.
_NEAR_MS: Final = 300_000
_MS: Final = 1_000


def check_slots(records: Records, evidence: Evidence) -> Iterator[Hits]:
    """A slot does not run before its time. `check_duplicates` sees one that runs twice."""
    rows, due_ms = _due(records)
    early_ms = dict(zip(rows.tolist(), (due_ms - records.started[rows]).tolist(), strict=True))
    early = records.ran[rows] & (due_ms - records.started[rows] > evidence.slack_ms)
    yield Hits("cron", rows[early], lambda row: f"ran {early_ms[row]:,} ms before its slot")


def missed_slots(records: Records, evidence: Evidence) -> Iterator[Finding]:
    """Find slots between the first and the last of an entry that never came.

    Slots at which no pool was at work do not count: only the newest of them is made up for.
    """
    if evidence.go:
        return
    rows, due_ms = _due(records)
    entries: dict[tuple[str, str], list[int]] = {}
    for row, at_ms in zip(rows.tolist(), due_ms.tolist(), strict=True):
        job_id, name = records.job_id(row), records.name_of(row)
        spec = job_id.removeprefix(f"{PERIODIC}{name}:").rpartition(":")[0]
        entries.setdefault((name, spec), []).append(at_ms // _MS)
    ends = np.sort(records.finished)
    for (name, spec), seen in sorted(entries.items()):
        for slot_s in _missing(spec, sorted(set(seen))):
            at_ms = np.array([_MS * slot_s])
            if _at_work(ends, at_ms[0]) and not evidence.in_gap(at_ms, at_ms)[0]:
                what = f"the slot of {spec!r} at {stamp(slot_s)} never came"
                yield Finding("cron", what, f"{PERIODIC}{name}:{spec}:{slot_s}", name, slot_s)


def _due(records: Records) -> tuple[Any, Any]:
    """Return the rows of cron jobs, and their slots in epoch milliseconds."""
    rows = [
        (row, int(at_s))
        for row, job_id in enumerate(records.ids.tolist())
        if job_id.startswith(PERIODIC) and _is_time(at_s := job_id.rpartition(":")[2])
    ]
    found = np.array(rows, "int64").reshape(-1, 2)
    return found[:, 0], _MS * found[:, 1]


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 11  # noqa: PLR2004 - epoch seconds


def _missing(spec: str, seen: list[int]) -> list[int]:
    """Return the times of a spec between the first and the last seen that were not seen.

    A spec without a zone was read in the zone of its pool, which history does not have. If the
    slots that were seen do not fit to UTC, nothing can be said.
    """
    try:
        schedule = parse(spec, default_zone=UTC)
    except InvalidSpec:
        return []
    expected = list(islice(_times(schedule, seen[0], seen[-1]), _MOST))
    if not set(seen) <= {*expected}:
        return []
    return sorted({*expected} - {*seen}) if len(expected) < _MOST else []


def _times(schedule: Schedule, first_s: int, last_s: int) -> Iterator[int]:
    at_s = schedule.next_after(first_s - 1)
    while at_s is not None and at_s <= last_s:
        yield at_s
        at_s = schedule.next_after(at_s)


def _at_work(ends: Any, slot_ms: int) -> bool:
    """Tell whether executions ended shortly before and shortly after a slot."""
    at = np.searchsorted(ends, slot_ms)
    before = at > 0 and slot_ms - ends[at - 1] <= _NEAR_MS
    return bool(before and at < len(ends) and ends[at] - slot_ms <= _NEAR_MS)
