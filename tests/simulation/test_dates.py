"""The slow reading of cron specs, by which checkers judge plans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.cron import parse
from workkit.cron.slots import PeriodicEntry
from workkit.errors import InvalidSpec
from workkit.simulation.checkers.dates import due_times, newest_due

_BOUNDS: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_ZONES: Final = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
#: A change of clocks in Berlin, one on Lord Howe, and an ordinary evening.
_BEGINS: Final = (
    datetime(2027, 3, 28, 0, 40, tzinfo=UTC),
    datetime(2027, 10, 2, 15, 10, tzinfo=UTC),
    datetime(2027, 6, 30, 23, 50, tzinfo=UTC),
)


def _entry(spec: str) -> PeriodicEntry:
    return PeriodicEntry(spec, "tick", parse(spec), b"null", 0)


def _field(lowest: int, highest: int) -> st.SearchStrategy[str]:
    value = st.integers(lowest, highest)
    bounds = st.tuples(value, value).map(lambda two: f"{min(two)}-{max(two)}")
    steps = st.tuples(st.one_of(st.just("*"), value.map(str), bounds), st.integers(1, 20))
    member = st.one_of(
        st.just("*"), value.map(str), bounds, steps.map(lambda two: f"{two[0]}/{two[1]}")
    )
    return st.one_of(st.just("*"), st.lists(member, min_size=1, max_size=3).map(",".join))


@given(
    zone=st.sampled_from(_ZONES),
    fields=st.tuples(*(_field(*bounds) for bounds in _BOUNDS)),
    begins=st.sampled_from(_BEGINS),
    has_seconds=st.booleans(),
)
def test_both_readings_of_a_spec_agree(
    zone: str, fields: tuple[str, ...], begins: datetime, has_seconds: bool
) -> None:
    spec = f"CRON_TZ={zone} {' '.join(fields if has_seconds else fields[1:])}"
    try:
        entry = _entry(spec)
    except InvalidSpec:
        return
    after_s = int(begins.timestamp())
    slow = list(due_times(entry, after_s, after_s + 2_400))
    assert slow == list(entry.schedule.upcoming(after_s, after_s + 2_400))


@pytest.mark.parametrize(
    ("spec", "times"),
    [
        ("@every 1m30s", [90, 180, 270]),
        ("CRON_TZ=UTC 20,50 * * * * *", [20, 50, 80, 110, 140, 170, 200, 230, 260, 290]),
        ("CRON_TZ=UTC 2/2 * * * *", [120, 240]),
        ("CRON_TZ=UTC 4 0 1 JAN *", [240]),  # what it does not read itself, it asks the engine
        ("@hourly", []),
    ],
)
def test_a_spec_is_due_when_the_documents_say(spec: str, times: list[int]) -> None:
    entry = _entry(spec)
    assert list(due_times(entry, 0, 299)) == times
    assert newest_due(entry, 0, 299) == (times[-1] if times else None)
