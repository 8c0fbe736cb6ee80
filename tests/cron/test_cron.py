"""When specs are due: compared with the original's answers and with a look at every minute."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workkit.cron import Schedule, parse
from workkit.cron.schedule import CalendarSchedule, Fields
from workkit.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

GOLDEN: Final = Path(__file__).parents[1] / "parity" / "golden"
VECTORS: Final[dict[str, list[dict[str, Any]]]] = json.loads((GOLDEN / "vectors.json").read_text())
DST_ROWS: Final[list[dict[str, Any]]] = json.loads((GOLDEN / "cron_dst.json").read_text())

#: 24 November 2016, 00:22:00 UTC, a Thursday.
START_S: Final = 1479946920
#: Whole years of the epoch, so that every search stays inside the range of `datetime`.
EPOCHS: Final = st.integers(0, 4_000_000_000)


def first_due(schedule: Schedule, epoch_s: int, count: int) -> list[int]:
    return list(islice(schedule.upcoming(epoch_s, 2**62), count))


# What the original printed


@pytest.mark.parametrize("row", VECTORS["cron"], ids=lambda row: f"{row['spec']} {row['from']}")
def test_a_spec_is_due_or_refused_as_in_the_original(row: dict[str, Any]) -> None:
    if "error" in row:
        with pytest.raises(InvalidSpec):
            parse(row["spec"], default_zone=UTC)
        return
    if "next" not in row:  # the original accepts it and never runs it
        with pytest.raises(InvalidSpec, match="never due"):
            parse(row["spec"], default_zone=UTC)
        return
    schedule = parse(row["spec"], default_zone=UTC)
    expected = row["next"]
    if schedule.is_interval:  # aligned to the epoch by design: only its step is the original's
        due = first_due(schedule, row["from"], 5)
        assert {b - a for a, b in pairwise(due)} == {expected[1] - expected[0]}
        assert due[0] % (expected[1] - expected[0]) == 0
    else:
        assert first_due(schedule, row["from"], 5) == expected


@pytest.mark.parametrize("row", VECTORS["periodic"], ids=lambda row: row["spec"])
def test_a_schedule_keeps_its_spec_byte_for_byte_as_periodic_ids_need_it(
    row: dict[str, Any],
) -> None:
    spec = parse(row["spec"], default_zone=UTC).spec
    assert json.loads(row["raw"])["id"] == f"periodic:{row['name']}:{spec}:{row['epoch']}"


@pytest.mark.parametrize("zone_name", sorted({row["zone"] for row in DST_ROWS}))
def test_a_spec_is_due_around_dst_as_in_the_original_or_as_is_documented(zone_name: str) -> None:
    rows = [row for row in DST_ROWS if row["zone"] == zone_name]
    for row in rows:
        zone = ZoneInfo(zone_name)
        if not row["next"]:
            with pytest.raises(InvalidSpec, match="never due"):
                parse(row["spec"], default_zone=zone)
            continue
        due = first_due(parse(row["spec"], default_zone=zone), row["from"], len(row["next"]))
        assert due == row.get("ours", row["next"]), row


def test_the_answers_that_differ_from_the_original_s_are_those_of_eight_zones() -> None:
    differing = [row for row in DST_ROWS if "ours" in row]
    assert all(row["ours"] != row["next"] for row in differing)
    assert (len(differing), len(DST_ROWS)) == (41, 575)
    zones = {row["zone"] for row in differing}
    assert zones == {
        "Africa/Cairo",
        "America/Asuncion",
        "America/Caracas",
        "America/Havana",
        "America/St_Johns",
        "Asia/Damascus",
        "Asia/Pyongyang",
        "Australia/Lord_Howe",
    }


@pytest.mark.parametrize("row", [row for row in DST_ROWS if "ours" in row], ids=str)
def test_where_the_original_differs_it_leaves_out_a_time_or_takes_one_that_does_not_match(
    row: dict[str, Any],
) -> None:
    zone = ZoneInfo(row["zone"])
    ours, theirs = set(row["ours"]), set(row["next"])
    left_out = {at_s for at_s in ours - theirs if at_s < max(theirs)}
    shifted = {at_s for at_s in theirs - ours if at_s < max(ours)}
    assert left_out or shifted
    schedule = parse(row["spec"], default_zone=zone)
    assert isinstance(schedule, CalendarSchedule)
    for named, times in ((True, ours), (False, shifted)):
        for at_s in times:
            assert is_named(schedule.fields, datetime.fromtimestamp(at_s, zone)) is named


def is_named(fields: Fields, wall: datetime) -> bool:
    """Whether the fields name that wall time, by the rules as the manual tells them."""
    days = (wall.day in fields.days, wall.isoweekday() % 7 in fields.weekdays)
    return (
        (wall.second in fields.seconds and wall.minute in fields.minutes)
        and (wall.hour in fields.hours and wall.month in fields.months)
        and (all(days) if fields.both_days else any(days))
    )


def test_a_leap_day_is_found_across_a_century_that_has_none() -> None:
    leap_day = parse("0 0 0 29 2 *", default_zone=UTC)
    leap_days = [int(datetime(year, 2, 29, tzinfo=UTC).timestamp()) for year in (2096, 2104)]
    assert leap_day.next_after(leap_days[0] - 1) == leap_days[0]
    assert leap_day.next_after(leap_days[0]) == leap_days[1]


def test_no_time_is_found_where_the_calendar_ends() -> None:
    last_second_s = int(datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp())
    minutely = parse("* * * * *", default_zone=UTC)
    assert minutely.next_after(last_second_s - 60) == last_second_s - 58
    assert minutely.next_after(last_second_s) is None


# Properties of the search

FIELDS: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@st.composite
def ranges(draw: st.DrawFn, lowest: int, highest: int) -> tuple[str, set[int]]:
    """One member of a list, and the values that it stands for."""
    low = draw(st.integers(lowest, highest))
    high = draw(st.integers(low, highest))
    step = draw(st.integers(1, 12))
    return draw(
        st.sampled_from(
            [
                (f"{low}", {low}),
                (f"{low}-{high}", set(range(low, high + 1))),
                (f"{low}-{high}/{step}", set(range(low, high + 1, step))),
                (f"{low}/{step}", set(range(low, highest + 1, step))),
            ]
        )
    )


@st.composite
def fields(draw: st.DrawFn, lowest: int, highest: int) -> tuple[str, set[int]]:
    """A field that is a star, or else leaves out at least one of its values."""
    everything = set(range(lowest, highest + 1))
    if draw(st.booleans()):
        return "*", everything
    members = draw(st.lists(ranges(lowest, highest), min_size=1, max_size=3))
    values: set[int] = set().union(*(values for _, values in members))
    if values == everything:
        return f"{lowest}", {lowest}
    return ",".join(text for text, _ in members), values


Spec = tuple[tuple[str, set[int]], ...]


def comes(spec: Spec) -> bool:
    """Whether some month has one of the days."""
    (_, days), (_, months), (weekdays, _) = spec[3:]
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    return weekdays != "*" or any(min(days) <= longest.get(month, 31) for month in months)


SPECS: Final = st.tuples(*(fields(*bounds) for bounds in FIELDS)).filter(comes)


def matches(spec: Spec, wall: datetime) -> bool:
    """Whether that wall time is one that the spec names, by the rules as the manual tells them."""
    seconds, minutes, hours, days, months, weekdays = (values for _, values in spec)
    in_days, in_weekdays = wall.day in days, wall.isoweekday() % 7 in weekdays
    starred = "*" in {spec[3][0], spec[5][0]}
    return (
        (wall.second in seconds and wall.minute in minutes and wall.hour in hours)
        and wall.month in months
        and (in_days and in_weekdays if starred else in_days or in_weekdays)
    )


def due_by_trying(spec: Spec, where: tzinfo, after_s: int, before_s: int) -> int | None:
    """Try each hour of a span, then each second of the first that matches."""
    probe: Spec = (("0", {0}), ("0", {0}), *spec[2:])
    for hour_s in range(after_s - after_s % 3600, before_s, 3600):
        if not matches(probe, datetime.fromtimestamp(hour_s, where).replace(minute=0, second=0)):
            continue
        for minute in sorted(spec[1][1]):
            for second in sorted(spec[0][1]):
                if after_s < hour_s + minute * 60 + second < before_s:
                    return hour_s + minute * 60 + second
    return None


def due_by_looking(spec: Spec, where: tzinfo, after_s: int, until_s: int) -> list[int]:
    """Look at the wall clock at every minute of a span; offsets are whole minutes since 1973."""
    found = []
    for minute_s in range(after_s - after_s % 60, until_s + 1, 60):
        wall = datetime.fromtimestamp(minute_s, where)
        seconds = [s for s in sorted(spec[0][1]) if after_s < minute_s + s <= until_s]
        if seconds and matches(spec, wall.replace(second=seconds[0])):
            found += [minute_s + second for second in seconds]
    return found


def offset_s(where: tzinfo, epoch_s: int) -> float:
    offset = datetime.fromtimestamp(epoch_s, where).utcoffset()
    return offset.total_seconds() if offset else 0


@cache
def changes(where: tzinfo, year: int) -> list[int]:
    """Days (epoch seconds) of a year before which and after which the offset differs."""
    start_s = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    days = range(start_s, start_s + 366 * 86_400, 86_400)
    return [day for day in days if offset_s(where, day) != offset_s(where, day + 86_400)]


@st.composite
def spans(draw: st.DrawFn) -> tuple[str, int, int]:
    """A zone and a few days of it, which hold a change of its offset where it has one."""
    zone_name = draw(st.sampled_from(sorted(available_timezones())))
    year = draw(st.integers(1973, 2040))
    days = changes(ZoneInfo(zone_name), year) or [
        int(datetime(year, draw(st.integers(1, 12)), 27, tzinfo=UTC).timestamp())
    ]
    start_s = draw(st.sampled_from(days)) - draw(st.integers(0, 2 * 86_400))
    return zone_name, start_s, start_s + draw(st.integers(86_400, 4 * 86_400))


EVERY: Final = ("*", set(range(60)))
ANY_DAY: Final = [("*", set(range(32)))] * 3
ZERO: Final = ("0", {0})


@pytest.mark.slow
@settings(deadline=None)
@given(SPECS, spans())
@example((ZERO, ZERO, ("3", {3}), *ANY_DAY), ("Pacific/Chatham", 1_428_100_000, 1_428_300_000))
@example((ZERO, EVERY, EVERY, *ANY_DAY), ("Pacific/Apia", 1_325_100_000, 1_325_500_000))
@example((ZERO, ZERO, EVERY, *ANY_DAY), ("Australia/Lord_Howe", 1_207_300_000, 1_207_500_000))
@example((ZERO, ("31", {31}), ZERO, *ANY_DAY), ("America/St_Johns", 1_236_300_000, 1_236_700_000))
def test_the_slots_of_a_span_are_those_that_its_wall_clock_shows(
    spec: Spec, span: tuple[str, int, int]
) -> None:
    zone_name, after_s, until_s = span
    where = ZoneInfo(zone_name)
    schedule = parse(" ".join(text for text, _ in spec), default_zone=where)
    due = list(schedule.upcoming(after_s, until_s))
    assert due == due_by_looking(spec, where, after_s, until_s)


@given(SPECS, st.sampled_from(["UTC", "Europe/Berlin", "Asia/Beirut"]), st.data())
def test_a_schedule_that_is_asked_again_answers_like_a_new_one(
    spec: Spec, zone_name: str, data: st.DataObject
) -> None:
    text, where = " ".join(text for text, _ in spec), ZoneInfo(zone_name)
    asked = parse(text, default_zone=where)
    epoch_s = 1_700_000_000
    for step_s in data.draw(st.lists(st.integers(-5_000, 5_000) | st.none(), max_size=12)):
        due_s = asked.next_after(epoch_s)
        assert due_s == parse(text, default_zone=where).next_after(epoch_s)
        epoch_s = due_s if due_s and step_s is None else epoch_s + (step_s or 0)


def test_the_slots_of_every_second_are_complete_when_a_planner_asks_for_weeks() -> None:
    secondly = parse("* * * * * *", default_zone=UTC)
    for now_s in range(START_S, START_S + 3_000, 31):
        assert list(secondly.upcoming(now_s, now_s + 240)) == [*range(now_s + 1, now_s + 241)]
    assert secondly.next_after(START_S) == START_S + 1


@pytest.fixture
def _hectic_threads() -> Iterator[None]:
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual_s)


@pytest.mark.usefixtures("_hectic_threads")
def test_threads_may_share_a_schedule() -> None:
    weekly = parse("0 0 * * 4", default_zone=UTC)
    midnight_s = START_S - 22 * 60
    starts = [midnight_s + 7 * 86_400 * (n * 5 % 13) for n in range(400)]
    with ThreadPoolExecutor(8) as threads:
        due = list(threads.map(lambda start_s: first_due(weekly, start_s, 3), starts))
    assert due == [[start_s + 7 * 86_400 * n for n in range(1, 4)] for start_s in starts]


def test_the_wall_clock_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> float:
        raise AssertionError

    monkeypatch.setattr(import_module("croniter.croniter"), "time", refuse)
    assert parse("17 3 21 5 *", default_zone=UTC).next_after(START_S) == 1_495_336_620


@given(
    SPECS,
    st.sampled_from(["UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York"]),
    st.integers(1_000_000_000, 2_000_000_000) | st.integers(1_698_000_000, 1_700_000_000),
)
def test_the_next_activation_is_later_and_matches_and_none_lies_between(
    spec: Spec, zone_name: str, epoch_s: int
) -> None:
    where = ZoneInfo(zone_name)
    due_s = parse(" ".join(text for text, _ in spec), default_zone=where).next_after(epoch_s)
    if due_s is None:
        return
    assert due_s > epoch_s
    assert matches(spec, datetime.fromtimestamp(due_s, where))
    assert due_by_trying(spec, where, max(epoch_s, due_s - 40 * 86_400), due_s) is None


def test_a_time_in_the_second_pass_of_a_repeated_hour_is_found() -> None:
    three_oclock = parse("0 3 * * *", default_zone=ZoneInfo("Pacific/Chatham"))
    from_0345_to_0245_s = 1_428_156_000
    due = first_due(three_oclock, from_0345_to_0245_s + 240, 2)
    assert due == [from_0345_to_0245_s + 900, from_0345_to_0245_s + 900 + 86_400]


def test_a_day_that_a_zone_left_out_is_passed() -> None:
    samoa = ZoneInfo("Pacific/Apia")  # went from the 29th to the 31st of December 2011
    on_the_29th_s = int(datetime(2011, 12, 29, 9, tzinfo=samoa).timestamp())
    for day, year in ((31, 2011), (30, 2012)):
        noon_s = int(datetime(year, 12, day, 12, tzinfo=samoa).timestamp())
        schedule = parse(f"0 0 12 {day} 12 *", default_zone=samoa)
        assert schedule.next_after(on_the_29th_s) == noon_s


@given(st.integers(1, 10**6), EPOCHS)
def test_an_interval_is_due_at_the_multiples_of_its_length(interval_s: int, epoch_s: int) -> None:
    due_s = parse(f"@every {interval_s}s").next_after(epoch_s)
    assert due_s is not None
    assert due_s % interval_s == 0
    assert 0 < due_s - epoch_s <= interval_s


def test_upcoming_excludes_the_beginning_of_its_span_and_includes_the_end() -> None:
    minutely = parse("* * * * *", default_zone=UTC)
    due = list(minutely.upcoming(START_S, START_S + 120))
    assert due == [START_S + 60, START_S + 120]
    assert list(minutely.upcoming(START_S, START_S + 59)) == []
