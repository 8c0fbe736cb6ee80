"""When specs are due: held to the original's answers, to croniter, and to trying every hour."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import example, given
from hypothesis import strategies as st

from workkit.cron import Schedule, parse
from workkit.errors import InvalidSpec

if TYPE_CHECKING:
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
    schedule = parse(row["spec"], default_zone=UTC)
    expected = row.get("next", [])
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
def test_a_spec_is_due_around_dst_as_in_the_original(zone_name: str) -> None:
    rows = [row for row in DST_ROWS if row["zone"] == zone_name]
    for row in rows:
        schedule = parse(row["spec"], default_zone=ZoneInfo(zone_name))
        due = first_due(schedule, row["from"], max(len(row["next"]), 1))
        assert due == row["next"], row


def test_a_search_ends_after_five_years() -> None:
    leap_day = parse("0 0 0 29 2 *", default_zone=UTC)
    after_2096 = [int(datetime(year, 6, 1, tzinfo=UTC).timestamp()) for year in (2098, 2099)]
    leap_day_2104 = int(datetime(2104, 2, 29, tzinfo=UTC).timestamp())
    assert [leap_day.next_after(epoch_s) for epoch_s in after_2096] == [None, leap_day_2104]


# Properties of the search

FIELDS: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@st.composite
def ranges(draw: st.DrawFn, lowest: int, highest: int, *, shortest: int) -> tuple[str, set[int]]:
    """One member of a list, and the values that it stands for."""
    low = draw(st.integers(lowest, highest - shortest))
    high = draw(st.integers(low + shortest, highest))
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
def fields(
    draw: st.DrawFn, lowest: int, highest: int, *, shortest: int = 0
) -> tuple[str, set[int]]:
    """A field that is a star, or else leaves out at least one of its values."""
    everything = set(range(lowest, highest + 1))
    if draw(st.booleans()):
        return "*", everything
    members = draw(st.lists(ranges(lowest, highest, shortest=shortest), min_size=1, max_size=3))
    values: set[int] = set().union(*(values for _, values in members))
    if values == everything:
        return f"{lowest}", {lowest}
    return ",".join(text for text, _ in members), values


SPECS: Final = st.tuples(*(fields(*bounds) for bounds in FIELDS))
#: Without ranges of one value such as ``5-5``, which croniter takes for the whole field.
CRONITER_SPECS: Final = st.tuples(*(fields(*bounds, shortest=1) for bounds in FIELDS))
Spec = tuple[tuple[str, set[int]], ...]


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


@given(CRONITER_SPECS, EPOCHS)
def test_in_utc_croniter_comes_to_the_same_second(spec: Spec, epoch_s: int) -> None:
    text = " ".join(text for text, _ in spec)
    due_s = parse(text, default_zone=UTC).next_after(epoch_s)
    start = datetime.fromtimestamp(epoch_s, UTC)
    try:
        expected = croniter(text, start, second_at_beginning=True).get_next(datetime)
    except CroniterBadDateError:
        assert due_s is None
        return
    if due_s is None:
        assert expected.year > start.year + 5
    else:
        assert datetime.fromtimestamp(due_s, UTC) == expected


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


@given(
    SPECS,
    st.sampled_from(
        ["Pacific/Chatham", "America/St_Johns", "America/Havana", "Asia/Beirut", "Pacific/Apia"]
    ),
    st.integers(1_000_000_000, 1_460_000_000),
)
@example(
    (("0", {0}), ("0", {0}), ("3", {3}), *[("*", set())] * 3), "Pacific/Chatham", 1_428_156_240
)
@example((("0", {0}), ("0", {0}), ("0", {0}), *[("*", set())] * 3), "Pacific/Apia", 1_325_100_000)
def test_the_next_activation_is_later_wherever_dst_strikes(
    spec: Spec, zone_name: str, epoch_s: int
) -> None:
    schedule = parse(" ".join(text for text, _ in spec), default_zone=ZoneInfo(zone_name))
    due_s = schedule.next_after(epoch_s)
    assert due_s is None or due_s > epoch_s


def test_a_walk_that_would_go_back_comes_to_the_second_pass_of_the_hour() -> None:
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
