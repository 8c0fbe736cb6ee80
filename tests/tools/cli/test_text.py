"""Text for terminals, and values on a command line."""

from __future__ import annotations

import datetime
import json
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core import text
from workkit.core.outcomes import OUTCOMES
from workkit.tools.cli.commands import history
from workkit.tools.cli.common import values
from workkit.tools.cli.common.options import Server
from workkit.tools.cli.common.output import json_bytes

CONTEXT = click.Context(click.Command("x"))
OPTION = click.Option(["--x"])


def read(callback: Any, value: str) -> Any:
    return callback(CONTEXT, OPTION, value)


# Ages


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m 0s"),
        (192, "3m 12s"),
        (3_600, "1h 0m"),
        (7_500, "2h 5m"),
        (86_400, "1d 0h"),
        (9 * 86_400 + 7_200, "9d 2h"),
        (41 * 86_400, "41d"),
    ],
)
def test_an_age_has_at_most_two_units(seconds: float, shown: str) -> None:
    assert text.age(seconds) == shown


@given(st.integers(min_value=-(2**60), max_value=2**60))
def test_an_age_fits_its_column(seconds: int) -> None:
    assert len(text.age(seconds)) <= 20
    assert text.age(seconds).isascii()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (text.counted(0, "job"), "0 jobs"),
        (text.counted(1, "job"), "1 job"),
        (text.counted(1_204, "job"), "1,204 jobs"),
        (text.counted(1, "job waits", "jobs wait"), "1 job waits"),
        (text.counted(2, "job waits", "jobs wait"), "2 jobs wait"),
    ],
)
def test_a_number_agrees_with_its_noun(said: str, shown: str) -> None:
    assert said == shown


def test_what_is_due_is_ahead_and_what_is_overdue_is_late() -> None:
    assert text.due(160, 100) == "in 1m 0s"
    assert text.due(100, 100) == "in 0s"
    assert text.due(95, 100) == "5s late"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(-3, "0 ms"), (12, "12 ms"), (1_540, "1.5 s"), (61_000, "1m 1s")],
)
def test_how_long_something_took(milliseconds: int, shown: str) -> None:
    assert text.took(milliseconds) == shown


def test_a_time_that_no_calendar_has_is_shown_as_a_number() -> None:
    assert text.stamp(10**17) == str(10**17)
    assert datetime.datetime.fromisoformat(text.stamp(1_700_000_000)).timestamp() == 1_700_000_000


# Text of others


@given(st.text())
def test_clean_text_is_printable_and_printable_text_is_left_alone(value: str) -> None:
    cleaned = text.clean(value)
    assert cleaned.isprintable()
    assert cleaned == value or not value.isprintable()


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_json_for_a_terminal_is_the_same_json_without_what_moves_the_cursor(
    value: dict[str, Any],
) -> None:
    text = json_bytes(value).decode()
    assert text.isprintable()
    assert json.loads(text) == value


def test_nothing_from_redis_moves_the_cursor() -> None:
    assert text.clean("a\x1b[2J\r\n\u202eb") == r"a\x1b[2J\r\n\u202eb"


@given(st.text(st.characters(exclude_categories=["C"])), st.integers(min_value=1, max_value=40))
def test_clipped_text_is_never_wider_than_asked(value: str, columns: int) -> None:
    clipped = text.clip(value, columns)
    assert text.width(clipped) <= columns
    assert clipped == value or clipped.endswith("…")


@given(st.text(st.characters(exclude_categories=["C", "M"]), max_size=20))
def test_padded_text_is_exactly_as_wide_as_asked(value: str) -> None:
    assert text.width(text.pad(value, 60)) == 60
    assert text.width(text.pad(value, 60, right=True)) == 60


def test_wide_characters_take_two_columns() -> None:
    assert text.width("日本") == 4
    assert text.clip("日本語", 5) == "日本…"
    assert text.clip("日本語", 6) == "日本語"


def test_a_headline_is_the_first_line_that_says_something() -> None:
    assert text.headline("\n\n  boom \nTraceback") == "boom"
    assert text.headline("") == ""


# What is typed


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("90", 90), ("1.5", 1.5), (".5s", 0.5), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("0", 0)],
)
def test_a_span_has_a_unit_or_is_seconds(typed: str, seconds: float) -> None:
    assert read(values.to_seconds, typed) == seconds


@pytest.mark.parametrize("typed", ["", "-1", "1y", "1h30m", "nan", "inf", "1e3", "٣", "9" * 400])
def test_what_is_no_span_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a span of time"):
        read(values.to_seconds, typed)


def test_a_timeout_may_be_none() -> None:
    assert read(values.to_timeout, "none") is None
    assert read(values.to_timeout, "2m") == 120


def test_a_time_is_iso_with_a_zone_or_epoch_seconds() -> None:
    assert read(values.to_time, "1700000000") == 1_700_000_000.0
    utc = datetime.datetime(2030, 1, 31, 8, tzinfo=datetime.UTC)
    assert read(values.to_time, "2030-01-31T08:00Z") == utc
    assert read(values.to_time, "2030-01-31T09:00+01:00") == utc


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("2030-01-31T09:00", "has no time zone"),
        ("2030-01-31", "has no time zone"),
        ("tomorrow", "is not a time"),
        ("inf", "is not a time"),
        ("-5", "is not a time"),
        ("9" * 400, "is not a time"),
    ],
)
def test_what_is_no_time_is_refused(typed: str, why: str) -> None:
    with pytest.raises(click.BadParameter, match=why):
        read(values.to_time, typed)


def test_the_past_may_be_told_by_a_span_with_a_unit() -> None:
    now = datetime.datetime.now(datetime.UTC).timestamp()  # noqa: TID251 - held against the clock
    assert read(values.to_past, "2h") == pytest.approx(now - 7_200, abs=60)
    assert read(values.to_past, "1700000000") == 1_700_000_000
    assert read(values.to_past, "2030-01-31T08:00Z") == 1_896_076_800
    assert read(values.to_past, "9000w") == 0
    assert read(values.to_past, "1066-10-14T09:00Z") == 0


def test_integers_of_any_size_are_read_exactly() -> None:
    assert read(values.to_object, '{"n": 123456789012345678901234567890}') == {
        "n": 123456789012345678901234567890
    }


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("{id: 7}", "this is not valid JSON"),
        ("[1]", "not list"),
        ("7", "not int"),
        ('{"n": NaN}', "JSON has no NaN"),
        ('{"n": 1e999}', "too large"),
        ('{"n": {"a": 1, "b": 2, "a": 3}}', "the name 'a' twice in one object"),
        ("{" + '"a":{' * 100_000, "JSON"),
        ('{"n": ' + "9" * 5_000 + "}", "this is not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(typed: str, why: str) -> None:
    with pytest.raises(click.BadParameter, match=why):
        read(values.to_object, typed)


def test_null_is_no_args() -> None:
    assert read(values.to_object, "null") is None


# The server


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("redis://localhost:6379/0", "localhost:6379/0"),
        (
            "rediss://user:se%40cret@db.example.com:6380/2?ssl_cert_reqs=none",
            "db.example.com:6380/2",
        ),
        ("redis://:secret@10.0.0.1", "10.0.0.1:6379/0"),
        ("redis://", "localhost:6379/0"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("unix://user:secret@/run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_server_is_shown_without_its_password(url: str, label: str) -> None:
    assert Server(url, "work").label == label


def test_history_takes_the_outcomes_that_there_are() -> None:
    (option,) = [param for param in history.history.params if param.name == "outcome"]
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == tuple(OUTCOMES)
