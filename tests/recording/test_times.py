"""Times as people write them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import pytest

from workkit import InvalidOption
from workkit.recording.times import find_time, is_time, local_time


@pytest.fixture(autouse=True, params=["UTC", "Europe/Berlin", "America/St_Johns"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).astimezone().timestamp()


def find(text: str, now: str = "2026-11-30T04:00:00") -> float:
    span = at("2026-11-29T22:10:00"), at("2026-11-30T05:00:00")
    return find_time(text, span, at(now))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("03:12", "2026-11-30T03:12:00"),
        ("3:12:07", "2026-11-30T03:12:07"),
        ("23:59", "2026-11-29T23:59:00"),
        ("22:10", "2026-11-29T22:10:00"),
        ("05:00", "2026-11-30T05:00:00"),
        ("-10m", "2026-11-30T03:50:00"),
        ("+90", "2026-11-30T04:01:30"),
        ("-1d", "2026-11-29T22:10:00"),
        ("2026-11-30T01:02", "2026-11-30T01:02:00"),
        ("2026-11-30 01:02:03", "2026-11-30T01:02:03"),
        ("now", "2026-11-30T05:00:00"),
    ],
)
def test_a_time_is_found_in_the_hosts_zone(text: str, meant: str) -> None:
    assert is_time(text)
    assert find(text) == at(meant)


def test_a_time_with_its_own_zone_is_taken_as_it_is() -> None:
    span = (0.0, 10.0**10)
    assert find_time("2026-11-30T01:02Z", span, 0) == 1_796_000_520


@pytest.mark.parametrize("text", ["21:00", "05:01", "2026-11-28", "2027-01-01T00:00"])
def test_a_time_outside_of_the_recording_is_refused_with_its_span(text: str) -> None:
    want = "not in the recording, which is from 2026-11-29 22:10:00 to 05:00:00"
    with pytest.raises(InvalidOption, match=want):
        find(text)


@pytest.mark.parametrize("text", ["", "noon", "25:00", "12:60", "2026-13-01", "-x", "5f0c6c1c"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not a time; write 03:12, .*-10m"):
        find(text)


@pytest.mark.parametrize("text", ["mail", "5f0c6c1c9d2e", "1", "12", "tomorrow", "nowhere", "-"])
def test_names_and_ids_are_no_times(text: str) -> None:
    assert not is_time(text)


def test_a_time_of_another_day_has_its_date() -> None:
    assert local_time(at("2026-11-30T03:12:07"), at("2026-11-30T05:00")) == "03:12:07"
    assert local_time(at("2026-11-29T03:12:07"), at("2026-11-30T05:00")) == "2026-11-29 03:12:07"
