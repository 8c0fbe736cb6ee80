"""Options check their values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core.options import HistoryOptions, JobOptions, check_whole
from workkit.errors import InvalidOption, WorkkitError


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 1},
        {"priority": 100_000},
        {"max_fails": 1},
        {"max_fails": 2**31},
        {"max_concurrency": 0},
        {"max_concurrency": 2**31},
        {"timeout": 0.001},
        {"timeout": 10**9},
        {"timeout": None},
        {"skip_dead": True},
        {"backoff": lambda job: job.fails * 1.5},
        {"backoff": None},
    ],
)
def test_an_option_within_its_bounds_is_accepted(options: dict[str, Any]) -> None:
    made = JobOptions(**options)
    assert {name: getattr(made, name) for name in options} == options


def test_the_defaults_are_those_of_the_original() -> None:
    assert dataclasses.asdict(JobOptions()) == {
        "priority": 1,
        "max_fails": 4,
        "skip_dead": False,
        "max_concurrency": 0,
        "backoff": None,
        "timeout": None,
        "check_args": True,
        "retry_on": None,
        "fail_on": (),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", 0),
        ("priority", 100_001),
        ("priority", 1.0),
        ("priority", True),
        ("priority", "1"),
        ("priority", None),
        ("max_fails", 0),
        ("max_fails", -1),
        ("max_fails", 2**31 + 1),
        ("max_concurrency", -1),
        ("max_concurrency", 1.5),
        ("timeout", 0),
        ("timeout", -1.0),
        ("timeout", math.inf),
        ("timeout", math.nan),
        ("timeout", "5"),
        ("backoff", 5),
        ("backoff", "exponential"),
    ],
)
def test_an_option_out_of_its_bounds_is_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption) as refusal:
        JobOptions(**{name: value})
    assert str(refusal.value).startswith(f"{name} must be ")
    assert repr(value) in str(refusal.value)
    assert isinstance(refusal.value, WorkkitError)
    assert isinstance(refusal.value, ValueError)


@pytest.mark.parametrize("records", [0, -1, 10**9 + 1, 1.5, True, None])
def test_history_bounds_out_of_range_are_refused(records: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^max_records must be a whole number from 1 to "):
        HistoryOptions(max_records=records)


@pytest.mark.parametrize(
    ("options", "name"), [(JobOptions(), "priority"), (HistoryOptions(), "max_records")]
)
def test_options_cannot_be_changed_afterwards(options: object, name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, name, 5)


@given(st.integers(), st.integers(-50, 50), st.integers(0, 100))
def test_a_whole_number_is_accepted_up_to_its_bounds(value: int, low: int, width: int) -> None:
    high = low + width
    if low <= value <= high:
        check_whole("n", value, low, high)
        return
    with pytest.raises(InvalidOption) as refusal:
        check_whole("n", value, low, high)
    assert str(refusal.value) == f"n must be a whole number from {low} to {high}, not {value}"
