"""Computes when a spec is due.

A spec names times on a wall clock. croniter finds them by calendar arithmetic without a zone; this
module turns them into instants. It divides the zone's time at each change of the offset from UTC,
and searches each piece separately. So at DST changes:

- a time that DST skips does not come that day (``0 30 2`` in New York in March);
- a time that DST repeats comes twice (``0 30 1`` there in November).

croniter receives explicit lists of values, since its grammar differs from the original's (for
example, it reads ``5-5`` as the whole field). It works by the minute; this module adds the seconds
of a spec to each minute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from copy import copy
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from workkit.cron.zone import WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CalendarSchedule", "Fields", "IntervalSchedule", "Schedule"]

_MINUTE_S: Final = 60
#: Years that a search looks ahead. A leap day is never further: 2096 and 2104 are both leap years.
_HORIZON_YEARS: Final = 8
#: The fewest times that a schedule remembers: the planner's four minutes, by the second.
_REMEMBERED: Final = 300
#: How many parsed expressions are cached: those of a large fleet.
_EXPRESSIONS: Final = 4_096


@dataclass(frozen=True)
class Schedule(ABC):
    """The meaning of a spec.

    Attributes:
        spec: The spec as it was written; periodic job ids hold it byte for byte.
        remarks: Warnings that a valid spec does not do what it seems to say.
    """

    spec: str
    remarks: tuple[str, ...] = field(default=(), kw_only=True, compare=False)

    @property
    @abstractmethod
    def is_interval(self) -> bool:
        """Whether the spec is an ``@every``, which depends on neither calendar nor zone."""

    @abstractmethod
    def next_after(self, epoch_s: int) -> int | None:
        """Find the next time when the spec is due.

        Args:
            epoch_s: Epoch seconds, exclusive.

        Returns:
            Epoch seconds, or None if the spec is not due in the next eight years.
        """

    def upcoming(self, epoch_s: int, until_s: int) -> Iterator[int]:
        """Iterate over the due times of a span, in order.

        Args:
            epoch_s: The start of the span, exclusive, in epoch seconds.
            until_s: The end of the span, inclusive, in epoch seconds.

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
            epoch_s: Epoch seconds, exclusive.

        Returns:
            Epoch seconds; there is always one.
        """
        return epoch_s - epoch_s % self.interval_s + self.interval_s


class Fields(NamedTuple):
    """The values of each field of a spec, in ascending order; each field has at least one.

    Attributes:
        seconds: Of the minute, 0 to 59.
        minutes: Of the hour, 0 to 59.
        hours: Of the day, 0 to 23.
        days: Of the month, 1 to 31.
        months: Of the year, 1 to 12.
        weekdays: 0 to 6, from Sunday.
        both_days: Whether a date must be in `days` and in `weekdays`, because one of the two is a
            star. Otherwise one of them suffices.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    both_days: bool

    def expression(self) -> str:
        """Return the five fields from minutes to weekdays as croniter reads them."""
        # For croniter one of the day fields suffices unless one of them is a star.
        return " ".join(
            "*" if len(values) == size and (self.both_days or not is_day) else _list(values)
            for values, size, is_day in (
                (self.minutes, 60, False),
                (self.hours, 24, False),
                (self.days, 31, True),
                (self.months, 12, False),
                (self.weekdays, 7, True),
            )
        )


def _list(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))


@lru_cache(maxsize=_EXPRESSIONS)
def _walker(expression: str) -> Any:
    """Return a croniter to copy: parsing an expression takes longer than finding a time."""
    from croniter import croniter  # its import takes tens of milliseconds

    return croniter(expression, start_time=0.0, max_years_between_matches=_HORIZON_YEARS)


@dataclass(frozen=True)
class CalendarSchedule(Schedule):
    """Due when a zone's wall clock matches every field.

    Attributes:
        fields: The values of each field.
        zone: The zone of the wall clock.
    """

    fields: Fields
    zone: tzinfo
    _clock: WallClock = field(init=False, repr=False, compare=False)
    _walker: Any = field(init=False, repr=False, compare=False)
    #: An instant, and all due times after it up to some later instant. A planner asks for nearly
    #: the same span repeatedly. The tuple is replaced, never changed, so threads may share it.
    _known: tuple[int, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_clock", WallClock(self.zone))
        object.__setattr__(self, "_walker", _walker(self.fields.expression()))
        object.__setattr__(self, "_known", (0, ()))

    @property
    def is_interval(self) -> bool:
        """Always false."""
        return False

    def next_after(self, epoch_s: int) -> int | None:
        """Find the next time when the spec is due.

        Args:
            epoch_s: Epoch seconds, exclusive.

        Returns:
            Epoch seconds, or None if the spec is not due in the next eight years.
        """
        begin_s, known = self._known
        if known and begin_s <= epoch_s < known[-1]:
            return known[bisect_right(known, epoch_s)]
        found = self._search(epoch_s)
        if not found:
            return None
        if known and epoch_s == known[-1]:
            if len(known) > _REMEMBERED:
                begin_s, known = known[-_REMEMBERED - 1], known[-_REMEMBERED:]
            known += found
        else:
            begin_s, known = epoch_s, found
        object.__setattr__(self, "_known", (begin_s, known))
        return found[0]

    def _search(self, epoch_s: int) -> tuple[int, ...]:
        """Find the first minute after an instant that has due times; return these."""
        while True:
            offset_s = self._clock.offset_s(epoch_s + 1)
            walls = self._next_minute(epoch_s + offset_s)
            if not walls:
                return ()
            # The offset changes only between minutes, so the first second decides for all.
            change_s = self._clock.next_change(epoch_s + 1, walls[0] - offset_s)
            if change_s is None:
                return tuple(wall_s - offset_s for wall_s in walls)
            epoch_s = change_s - 1

    def _next_minute(self, wall_s: int) -> tuple[int, ...]:
        """Find the first minute after a wall time that has matching seconds; return these.

        Wall times are seconds too: the time on the wall clock, counted as if it were UTC.
        """
        walk = copy(self._walker)  # it stores a position
        minute_s = wall_s - wall_s % _MINUTE_S
        walk.set_current(float(minute_s - _MINUTE_S))
        walls: tuple[int, ...] = ()
        while not walls:
            try:
                minute_s = int(walk.get_next(float))
            except (ValueError, OverflowError):  # none within the horizon or before the year 10000
                return ()
            times = (minute_s + second for second in self.fields.seconds)
            walls = tuple(at_s for at_s in times if at_s > wall_s)
        return walls
