"""When a spec is due.

`CalendarSchedule` walks as robfig/cron does, because around DST its answers follow from how it
walks: month by month, day by day, then hours, minutes and seconds, up to the first that the spec
names; on passing into the next year, month, day, hour or minute it begins again from the month.
The hour is looked for in elapsed time, so

- a spec inside an hour that DST skips is not due that day (``0 30 2`` in New York in March);
- a spec inside an hour that DST repeats is due twice (``0 30 1`` there in November);
- where DST skips midnight (Beirut, Cairo; São Paulo until 2018), a spec that names that day is due
  on it from 01:00 on or, east of Greenwich, only if the search begins on that very day.

What would be many steps of the same kind is one where the zone's offset lets it come to the same
instant. Day and month are searched for no more than five years ahead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple

from workkit.cron.zone import WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CalendarSchedule", "Fields", "IntervalSchedule", "Schedule"]

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_MONTHS: Final = 12
_WEEK: Final = 7
_LONGEST_MONTH: Final = 31
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
#: Years that a search looks ahead before it says never.
_HORIZON_YEARS: Final = 5


@dataclass(frozen=True)
class Schedule(ABC):
    """What a spec means.

    Attributes:
        spec: The spec as it was written; periodic job ids hold it byte for byte.
    """

    spec: str

    @property
    @abstractmethod
    def is_interval(self) -> bool:
        """Whether the spec is an ``@every``, which knows neither calendar nor zone."""

    @abstractmethod
    def next_after(self, epoch_s: int) -> int | None:
        """Find the next activation.

        Args:
            epoch_s: Epoch seconds; an activation at that very second does not count.

        Returns:
            Epoch seconds, or None where the next five years have no activation.
        """

    def upcoming(self, epoch_s: int, until_s: int) -> Iterator[int]:
        """Iterate over the activations of a span, in order.

        Args:
            epoch_s: Where the span begins, exclusive, in epoch seconds.
            until_s: Where the span ends, inclusive, in epoch seconds.

        Yields:
            Epoch seconds.
        """
        due_s = self.next_after(epoch_s)
        while due_s is not None and due_s <= until_s:
            yield due_s
            due_s = self.next_after(due_s)


@dataclass(frozen=True)
class IntervalSchedule(Schedule):
    """``@every``: due at the multiples of an interval since the Unix epoch.

    Attributes:
        interval_s: Whole seconds, at least 1.
    """

    interval_s: int

    @property
    def is_interval(self) -> bool:
        """Always true."""
        return True

    def next_after(self, epoch_s: int) -> int:
        """Find the next multiple of the interval.

        Args:
            epoch_s: Epoch seconds; a multiple at that very second does not count.

        Returns:
            Epoch seconds; there always is one.
        """
        return epoch_s - epoch_s % self.interval_s + self.interval_s


class Fields(NamedTuple):
    """What each field of a spec admits: bit n of a set stands for the value n.

    Attributes:
        seconds: Of the minute, 0 to 59.
        minutes: Of the hour, 0 to 59.
        hours: Of the day, 0 to 23.
        days: Of the month, 1 to 31.
        months: Of the year, 1 to 12.
        weekdays: 0 to 6, from Sunday.
        both_days: Whether a date must be in `days` and in `weekdays`, as where one of the two is a
            star. Otherwise either is enough.
    """

    seconds: int
    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    both_days: bool

    def days_by_first_weekday(self) -> tuple[int, ...]:
        """Resolve both day fields.

        Returns:
            For a month that begins on weekday n (from Sunday), at index n: the days that are due.
        """
        return tuple(self._days(first) for first in range(_WEEK))

    def _days(self, first_weekday: int) -> int:
        by_weekday = sum(
            1 << day
            for day in range(1, _LONGEST_MONTH + 1)
            if self.weekdays >> (first_weekday + day - 1) % _WEEK & 1
        )
        return self.days & by_weekday if self.both_days else self.days | by_weekday


@dataclass(frozen=True)
class CalendarSchedule(Schedule):
    """Due when a zone's wall clock matches every field.

    Attributes:
        fields: What each field admits.
        zone: Whose wall clock it is.
    """

    fields: Fields
    zone: tzinfo
    _clock: WallClock = field(init=False, repr=False, compare=False)
    _days: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_clock", WallClock(self.zone))
        object.__setattr__(self, "_days", self.fields.days_by_first_weekday())

    @property
    def is_interval(self) -> bool:
        """Always false."""
        return False

    def next_after(self, epoch_s: int) -> int | None:
        """Find the next activation.

        Args:
            epoch_s: Epoch seconds; an activation at that very second does not count.

        Returns:
            Epoch seconds, or None where the next five years have no activation.
        """
        fields = self.fields
        # A field of commas alone admits nothing; looking for it would take every second of 5 years.
        if not (fields.seconds and fields.minutes and fields.hours and fields.months):
            return None
        due_s = self._walk_from(epoch_s + 1)
        if due_s is not None and due_s <= epoch_s:
            return self._leave_repeated_hour(epoch_s)
        return due_s

    def _leave_repeated_hour(self, epoch_s: int) -> int | None:
        """Find the next activation where the original's walk leads back to its start or before it.

        Inside an hour that DST repeats, going to the beginning of the hour or day can mean its
        first pass (Chatham Islands, whose hour is repeated from 02:45). The original's callers
        never come out of that. An hour or day that is due begins with a minute, so the walk is
        begun anew from each minute that follows, until it leads forward.
        """
        due_s: int | None = epoch_s
        start_s = epoch_s
        while due_s is not None and due_s <= epoch_s:
            start_s += _MINUTE_S - start_s % _MINUTE_S
            due_s = self._walk_from(start_s)
        return due_s

    def _walk_from(self, start_s: int) -> int | None:
        fields = self.fields
        walk = _Walk(self._clock, start_s)
        last_year = walk.today().year + _HORIZON_YEARS
        while not (
            walk.reaches_month(fields.months)
            and walk.reaches_day(self._days)
            and walk.reaches_time(fields.hours, _HOUR_S, 24)
            and walk.reaches_time(fields.minutes, _MINUTE_S, 60)
            and walk.reaches_time(fields.seconds, 1, 60)
        ):
            if walk.today().year > last_year:
                return None
        return walk.at_s


class _Walk:
    """A walk through one zone's calendar, from an instant to the next one that matches.

    Each `reaches_` method walks on until its field matches and returns True, or stops with False at
    the first instant at which the larger fields must be looked at again.

    Attributes:
        at_s: Where the walk stands, epoch seconds.
    """

    __slots__ = ("_clock", "_moved", "at_s")

    def __init__(self, clock: WallClock, at_s: int) -> None:
        self._clock = clock
        self.at_s = at_s
        # The first step of the whole walk goes to the beginning of its unit; the later ones find
        # themselves there, or where DST has shifted them, which is not to be mended.
        self._moved = False

    def today(self) -> date:
        """Return the date that the wall clock shows."""
        return _date(self._clock.wall_s(self.at_s))

    def reaches_month(self, months: int) -> bool:
        """Walk to a month of the set; False on passing into January."""
        clock = self._clock
        wall_s = clock.wall_s(self.at_s)
        day = _date(wall_s)
        while not months >> day.month & 1:
            if not self._moved:
                self._moved = True
                self.at_s = clock.epoch_s(_wall_s(day.replace(day=1)))
                wall_s = clock.wall_s(self.at_s)
                day = _date(wall_s)
            next_month = date(day.year + day.month // _MONTHS, day.month % _MONTHS + 1, 1)
            # The day and time of day are kept: midnight of the 1st, but where DST skips that one.
            wall_s = _wall_s(next_month) + (day.day - 1) * _DAY_S + wall_s % _DAY_S
            self.at_s = clock.epoch_s(wall_s)
            wall_s = clock.wall_s(self.at_s)
            day = _date(wall_s)
            if day.month == 1:
                return False
        return True

    def reaches_day(self, days_by_first_weekday: tuple[int, ...]) -> bool:
        """Walk to a day of the set that belongs to the month; False on passing into a 1st."""
        clock = self._clock
        wall_s = clock.wall_s(self.at_s)
        day = _date(wall_s)
        while True:
            days = days_by_first_weekday[(day.toordinal() - day.day + 1) % _WEEK]
            if days >> day.day & 1:
                return True
            if not self._moved:
                self._moved = True
                self.at_s = clock.epoch_s(wall_s - wall_s % _DAY_S)
                wall_s = clock.wall_s(self.at_s)
                day = _date(wall_s)
            self._step_day(wall_s, _days_until(days, day))
            wall_s = clock.wall_s(self.at_s)
            day = _date(wall_s)
            if day.day == 1:
                return False

    def _step_day(self, wall_s: int, until: int) -> None:
        """Step from one midnight to the next, or over all days that do not match."""
        clock = self._clock
        # A midnight that DST skips shifts the step that ends there, and the next one shifts back.
        # So single steps would come to the same place, unless it is such a midnight itself.
        if until > 1 and not wall_s % _DAY_S:
            at_s = clock.epoch_s(wall_s + until * _DAY_S)
            if clock.wall_s(at_s) == wall_s + until * _DAY_S:
                self.at_s = at_s
                return
        at_s = clock.epoch_s(wall_s + _DAY_S)
        if at_s <= self.at_s:
            # A zone crossed the date line and skipped a day (Samoa, 30 December 2011). The original
            # never returns from there; the day after is the only sensible continuation.
            at_s = clock.epoch_s(wall_s + 2 * _DAY_S)
        hour = clock.wall_s(at_s) % _DAY_S // _HOUR_S
        if hour:
            # There is no such midnight. Back from 01:00 means 23:00 of the day before, hence the
            # next step goes past this day: the original's behaviour in the east.
            at_s += (24 - hour) * _HOUR_S if hour > 12 else -hour * _HOUR_S  # noqa: PLR2004 - noon
        self.at_s = at_s

    def reaches_time(self, values: int, unit_s: int, wrap: int) -> bool:
        """Walk to an hour, minute or second of the set; False on passing into its 0.

        Args:
            values: The set.
            unit_s: How long one of them is, in seconds.
            wrap: How many of them there are.
        """
        clock = self._clock
        offset_s = clock.offset_s(self.at_s)
        value = (self.at_s + offset_s) // unit_s % wrap
        while not values >> value & 1:
            if not self._moved:
                self._moved = True
                self._align(unit_s)
                offset_s = clock.offset_s(self.at_s)
                value = (self.at_s + offset_s) // unit_s % wrap
            at_s = self.at_s + (_next_value(values, value, wrap) - value) * unit_s
            if clock.offset_s(at_s) != offset_s:
                # DST begins or ends on the way: one unit at a time, to see what the clock shows.
                at_s = self.at_s + unit_s
            self.at_s = at_s
            offset_s = clock.offset_s(at_s)
            value = (at_s + offset_s) // unit_s % wrap
            if not value:
                return False
        return True

    def _align(self, unit_s: int) -> None:
        if unit_s == _HOUR_S:
            # By the wall clock, which takes it from the second pass of an hour to the first.
            wall_s = self._clock.wall_s(self.at_s)
            self.at_s = self._clock.epoch_s(wall_s - wall_s % _HOUR_S)
        else:
            self.at_s -= self.at_s % unit_s


def _date(wall_s: int) -> date:
    return date.fromordinal(wall_s // _DAY_S + _EPOCH_ORDINAL)


def _wall_s(day: date) -> int:
    return (day.toordinal() - _EPOCH_ORDINAL) * _DAY_S


def _next_value(values: int, value: int, wrap: int) -> int:
    """Return the smallest of the set above that value, or `wrap` where there is none."""
    above = values >> value + 1
    return value + (above & -above).bit_length() if above else wrap


def _days_until(days: int, day: date) -> int:
    """Return how far the next day of the set is, or the next 1st where that comes first."""
    next_month = date(day.year + day.month // _MONTHS, day.month % _MONTHS + 1, 1)
    month_end = (next_month - day).days + day.day
    return min(_next_value(days, day.day, month_end), month_end) - day.day
