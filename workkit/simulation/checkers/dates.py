"""Reads cron specs a second time, the slow way.

A plan that follows a wrong schedule agrees with that schedule. So checkers do not ask the engine
when a spec is due: they compare each second with the fields, on the wall clock of the zone. This
follows the documents of robfig/cron 3, whose grammar pools have, and is written apart from
`workkit.cron`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from workkit.cron.schedule import CalendarSchedule
from workkit.cron.slots import PeriodicEntry

__all__ = ["due_times", "is_due", "newest_due"]

_Test: TypeAlias = Callable[[int], bool]

_EVERY: Final = re.compile(r"@every ((?:[0-9]+[hms])+)")
_PART: Final = re.compile(r"([0-9]+)([hms])")
_UNITS_S: Final = {"h": 3_600, "m": 60, "s": 1}
_ZONE: Final = re.compile(r"(?:CRON_)?TZ=(\S+) +(.*)")
#: A member of a field: a star or a value, the end of a range, a step. Names are not read.
_MEMBER: Final = re.compile(r"(\*|\?|[0-9]+)(?:-([0-9]+))?(?:/([0-9]+))?")
#: The lowest and the highest value of each field.
_BOUNDS: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_STARS: Final = frozenset({"*", "?", "*/1", "?/1"})
#: The places of the day of the month and the day of the week.
_DAYS: Final = (3, 5)


def is_due(entry: PeriodicEntry, at_s: int) -> bool:
    """Tell whether an entry is due at a time, epoch seconds."""
    schedule = entry.schedule
    zone = schedule.zone if isinstance(schedule, CalendarSchedule) else UTC
    test = _read(entry.spec, zone)
    return test(at_s) if test is not None else schedule.next_after(at_s - 1) == at_s


def due_times(entry: PeriodicEntry, after_s: int, until_s: int) -> Iterator[int]:
    """Iterate over the due times of a span without its beginning, epoch seconds."""
    return (at_s for at_s in range(after_s + 1, until_s + 1) if is_due(entry, at_s))


def newest_due(entry: PeriodicEntry, after_s: int, until_s: int) -> int | None:
    """Return the last due time of such a span; None without one."""
    return next((at_s for at_s in range(until_s, after_s, -1) if is_due(entry, at_s)), None)


@lru_cache(maxsize=1_000)
def _read(spec: str, zone: tzinfo) -> _Test | None:
    """Return the test of a time; None for a spec that needs more of the grammar."""
    every = _EVERY.fullmatch(spec)
    if every is not None:
        parts = _PART.findall(every[1])
        interval_s = sum(int(count) * _UNITS_S[unit] for count, unit in parts)
        return lambda at_s: at_s % interval_s == 0
    zoned = _ZONE.fullmatch(spec)
    if zoned is not None:
        zone, spec = ZoneInfo(zoned[1]), zoned[2]
    texts = spec.split()
    texts = ["0", *texts] if len(texts) == len(_BOUNDS) - 1 else texts
    if len(texts) != len(_BOUNDS):
        return None
    fields = [_values(text, *bounds) for text, bounds in zip(texts, _BOUNDS, strict=True)]
    if not all(fields):
        return None
    seconds, minutes, hours, days, months, weekdays = fields
    # A date must be in both fields of days if one of them is a star; otherwise one suffices.
    has_star = any(not _STARS.isdisjoint(texts[at].split(",")) for at in _DAYS)

    def test(at_s: int) -> bool:
        wall = datetime.fromtimestamp(at_s, zone)
        if wall.second not in seconds or wall.minute not in minutes or wall.hour not in hours:
            return False
        by_day, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        is_day = by_day and by_weekday if has_star else by_day or by_weekday
        return is_day and wall.month in months

    return test


def _values(text: str, lowest: int, highest: int) -> frozenset[int]:
    """Return the values of a field; none if it holds more than numbers."""
    values = set[int]()
    for member in text.split(","):
        match = _MEMBER.fullmatch(member)
        if match is None:
            return frozenset()
        first, last, step = match.groups()
        if first in {"*", "?"}:
            start, end = lowest, highest
        else:
            start = int(first)
            end = int(last) if last else highest if step else start
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)
