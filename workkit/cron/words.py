"""Describes a cron schedule in plain words."""

from __future__ import annotations

from datetime import UTC, tzinfo
from itertools import pairwise, product
from typing import Final
from zoneinfo import ZoneInfo

from workkit.cron.schedule import CalendarSchedule, Fields, IntervalSchedule, Schedule

__all__ = ["in_words"]

#: Up to this many times of a day are listed.
_TIMES: Final = 6
#: At least this many consecutive values become a range.
_RUN: Final = 3
_MINUTE_S: Final = 60
_FULL: Final = {"second": 60, "minute": 60, "hour": 24, "day": 31, "month": 12, "weekday": 7}
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", _MINUTE_S), ("second", 1))
_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def in_words(schedule: Schedule) -> str:
    """Describe in plain words when a schedule is due.

    Args:
        schedule: A parsed spec.

    Returns:
        Such as ``every day at 04:30 Europe/Berlin``, ``every 5 minutes`` or ``every 1 hour 30
        minutes``. Two schedules with the same words are due at the same times.
    """
    if isinstance(schedule, IntervalSchedule):
        return _interval(schedule.interval_s)
    if not isinstance(schedule, CalendarSchedule):
        return schedule.spec
    fields, zone = schedule.fields, _zone_name(schedule.zone)
    days, times = _days(fields), _times(fields)
    if times:
        return f"{days or 'every day'} at {_joined(times)} {zone}"
    rhythm, depends = _rhythm(fields)
    return ", ".join(filter(None, (rhythm, days, zone if depends or days else "")))


def _interval(interval_s: int) -> str:
    parts, rest_s = [], interval_s
    for unit, unit_s in _UNITS:
        count, rest_s = divmod(rest_s, unit_s)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return f"every {parts[0].removeprefix('1 ') if len(parts) == 1 else ' '.join(parts)}"


def _zone_name(zone: tzinfo) -> str:
    if zone is UTC:
        return "UTC"
    return zone.key or str(zone) if isinstance(zone, ZoneInfo) else str(zone)


def _times(fields: Fields) -> list[str]:
    """Return the times of a day if they are few, else an empty list."""
    count = len(fields.hours) * len(fields.minutes) * len(fields.seconds)
    if count > _TIMES or len(fields.hours) == _FULL["hour"]:
        return []
    with_seconds = fields.seconds != (0,)
    return [
        f"{hour:02}:{minute:02}" + (f":{second:02}" if with_seconds else "")
        for hour, minute, second in product(fields.hours, fields.minutes, fields.seconds)
    ]


def _rhythm(fields: Fields) -> tuple[str, bool]:
    """Describe the repetition within a day; tell whether its times depend on the zone."""
    second, minute, hour = (
        _repeated(name, values)
        for name, values in (
            ("second", fields.seconds),
            ("minute", fields.minutes),
            ("hour", fields.hours),
        )
    )
    every_hour = hour == "every hour"
    hours = "" if every_hour else f"in {hour}"
    if fields.seconds == (0,):
        if minute.startswith("every"):
            return " ".join(filter(None, (minute, hours))), not every_hour
        if every_hour and fields.minutes == (0,):
            return hour, True
        if len(fields.minutes) == 1 and (step := _step(fields.hours)) and not every_hour:
            ends = (fields.hours[0], fields.hours[-1])
            first, last = (f"{hour_:02}:{fields.minutes[0]:02}" for hour_ in ends)
            return f"every {'hour' if step == 1 else f'{step} hours'} from {first} to {last}", True
        return f"at {minute} of {hour}", True
    if minute == "every minute":
        of = "" if second.startswith("every") else " of every minute"
        at = "" if second.startswith("every") else "at "
        return " ".join(filter(None, (f"{at}{second}{of}", hours))), not every_hour
    at = "" if second.startswith("every") else "at "
    return f"{at}{second} of {minute} of {hour}", True


def _repeated(name: str, values: tuple[int, ...]) -> str:
    """Describe seconds, minutes or hours: a step through all of them, or a list."""
    size = _FULL[name]
    if len(values) == size:
        return f"every {name}"
    step = _step(values)
    if step and name != "hour" and values[0] == 0 and values[-1] + step == size:
        return f"every {step} {name}s"
    return f"{name}{'' if len(values) == 1 else 's'} {_listed([str(v) for v in values], values)}"


def _step(values: tuple[int, ...]) -> int:
    """Return the step of equally spaced values; 0 if the spacing differs."""
    steps = {after - before for before, after in pairwise(values)}
    return steps.pop() if len(steps) == 1 else 0


def _days(fields: Fields) -> str:
    """Describe the days and months; "" if the schedule is due every day."""
    months = "" if len(fields.months) == _FULL["month"] else _named(_MONTHS, fields.months, 1)
    in_months = f" in {months}" if months else ""
    any_day, any_weekday = (
        len(fields.days) == _FULL["day"],
        len(fields.weekdays) == _FULL["weekday"],
    )
    if (any_day and any_weekday) or ((any_day or any_weekday) and not fields.both_days):
        return f"every day{in_months}" if months else ""
    plural = "" if len(fields.days) == 1 else "s"
    days = _listed([str(day) for day in fields.days], fields.days)
    weekdays = _named(_WEEKDAYS, fields.weekdays, 0)
    if " to " not in weekdays:
        weekdays = f"every {weekdays}"
    if any_day:
        return f"{weekdays}{in_months}"
    if any_weekday and len(fields.days) == len(fields.months) == 1:
        return f"every {days} {months}"
    on_days = f"on day{plural} {days} of {months or 'every month'}"
    return on_days if any_weekday else f"{on_days} and {weekdays}{in_months}"


def _named(names: tuple[str, ...], values: tuple[int, ...], first: int) -> str:
    return _listed([names[value - first] for value in values], values)


def _listed(texts: list[str], values: tuple[int, ...]) -> str:
    """Join the names of values; a run of consecutive values becomes "first to last"."""
    parts: list[str] = []
    start = 0
    for end in range(1, len(values) + 1):
        if end < len(values) and values[end] == values[end - 1] + 1:
            continue
        if end - start >= _RUN:
            parts.append(f"{texts[start]} to {texts[end - 1]}")
        else:
            parts += texts[start:end]
        start = end
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
