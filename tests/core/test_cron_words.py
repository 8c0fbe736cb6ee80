"""Cron schedules in plain words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.cron import Schedule, parse
from workkit.cron.schedule import CalendarSchedule, Fields
from workkit.cron.words import in_words

SIZES: Final = ((0, 60), (0, 60), (0, 24), (1, 31), (1, 12), (0, 7))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("CRON_TZ=Europe/Berlin 0 30 4 * * *", "every day at 04:30 Europe/Berlin"),
        ("30 15 4 * * *", "every day at 04:15:30 UTC"),
        ("0 */6 * * *", "every day at 00:00, 06:00, 12:00 and 18:00 UTC"),
        ("@daily", "every day at 00:00 UTC"),
        ("@weekly", "every Sunday at 00:00 UTC"),
        ("@monthly", "on day 1 of every month at 00:00 UTC"),
        ("@yearly", "every 1 January at 00:00 UTC"),
        ("@hourly", "every hour, UTC"),
        ("30 4 * * MON-FRI", "Monday to Friday at 04:30 UTC"),
        ("30 4 * * 0,6", "every Sunday and Saturday at 04:30 UTC"),
        ("0 0 1,15 * *", "on days 1 and 15 of every month at 00:00 UTC"),
        ("0 0 1 1,7 *", "on day 1 of January and July at 00:00 UTC"),
        ("0 12 * 6-8 *", "every day in June to August at 12:00 UTC"),
        ("0 0 13 * FRI", "on day 13 of every month and every Friday at 00:00 UTC"),
        ("0 4 1-31 * MON", "every day at 04:00 UTC"),
        ("0 4 * 2 MON", "every Monday in February at 04:00 UTC"),
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("* * * * * *", "every second"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("5,20 * * * * *", "at seconds 5 and 20 of every minute"),
        ("30 * * * *", "at minute 30 of every hour, UTC"),
        ("*/25 * * * *", "at minutes 0, 25 and 50 of every hour, UTC"),
        ("*/5 8-17 * * 1-5", "every 5 minutes in hours 8 to 17, Monday to Friday, UTC"),
        ("* 4 * * *", "every minute in hour 4, UTC"),
        ("30 8-17 * * *", "every hour from 08:30 to 17:30, UTC"),
        ("0 */2 * * *", "every 2 hours from 00:00 to 22:00, UTC"),
        ("0 1-6,9 * * *", "at minute 0 of hours 1 to 6 and 9, UTC"),
        ("* * 1 1 *", "every minute, every 1 January, UTC"),
        ("*/10 */20 1-3 * * *", "every 10 seconds of every 20 minutes of hours 1 to 3, UTC"),
        ("@every 90s", "every 1 minute 30 seconds"),
        ("@every 1h", "every hour"),
        ("@every 48h", "every 2 days"),
        ("@every 1s", "every second"),
    ],
)
def test_a_schedule_is_described_in_plain_words(spec: str, words: str) -> None:
    assert in_words(parse(spec, default_zone=UTC)) == words


@st.composite
def values(draw: st.DrawFn, lowest: int, size: int) -> tuple[int, ...]:
    members = range(lowest, lowest + size)
    some = st.sets(st.sampled_from(members), min_size=1, max_size=4)
    steps = st.integers(1, size).map(lambda step: set(members[::step]))
    return tuple(sorted(draw(st.one_of(st.just({lowest}), st.just(set(members)), some, steps))))


FIELDS: Final = st.tuples(*(values(*size) for size in SIZES))


def scheduled(fields: tuple[tuple[int, ...], ...]) -> CalendarSchedule:
    seconds, minutes, hours, days, months, weekdays = fields
    both = len(days) == 31 or len(weekdays) == 7
    parsed = Fields(seconds, minutes, hours, days, months, weekdays, both_days=both)
    return CalendarSchedule("", parsed, UTC)


@given(FIELDS, st.integers(0, 5), st.data())
def test_schedules_of_different_times_have_different_descriptions(
    fields: tuple[tuple[int, ...], ...], changed: int, data: st.DataObject
) -> None:
    other = list(fields)
    other[changed] = data.draw(values(*SIZES[changed]))
    same = tuple(other) == fields
    assert (in_words(scheduled(fields)) == in_words(scheduled(tuple(other)))) is same


def test_the_zone_is_named_if_the_times_depend_on_it() -> None:
    daily = parse("0 4 * * *", default_zone=UTC)
    assert isinstance(daily, CalendarSchedule)
    tokyo = parse("TZ=Asia/Tokyo 0 4 * * *")
    assert isinstance(tokyo, CalendarSchedule)
    assert in_words(replace(daily, zone=tokyo.zone)) == "every day at 04:00 Asia/Tokyo"


def test_a_schedule_without_a_description_is_shown_as_its_spec() -> None:
    class Never(Schedule):
        is_interval = False

        def next_after(self, epoch_s: int) -> int | None:
            return None

    assert in_words(Never("never")) == "never"
