"""A job for handlers (typed args, check-ins), and records of history."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workkit.admin.steps.history import HistoryExtent, HistoryQuery
from workkit.core.history import Record, TracedRecord, pack, unpack
from workkit.core.job import Job, decode
from workkit.core.outcomes import Outcome
from workkit.errors import InvalidOption


def job_with(**args: Any) -> Job:
    return Job("mail", "x", 1, args)


# Typed args


def test_an_accessors_error_names_the_job_key_value_and_wanted_type() -> None:
    job = job_with(n="text")
    assert job.arg_int("n") == 0
    assert job.arg_error == "job 'mail': args['n'] is str ('text'), wanted an integer"
    assert job.arg_bool("gone") is False
    assert job.arg_error == "job 'mail': args['gone'] is missing, wanted a boolean"


def test_an_accessors_error_stays_until_the_next_error() -> None:
    job = job_with(n="text", m=5)
    job.arg_int("n")
    assert (job.arg_int("m"), job.arg_error is not None) == (5, True)


def test_an_accessors_error_is_short_for_any_value() -> None:
    job = job_with(n="x" * 10_000)
    job.arg_float("n")
    assert len(job.arg_error or "") < 200


def test_every_accessor_of_a_job_without_args_sets_an_error() -> None:
    job = Job("mail", "x", 1, None)
    values = (job.arg_str("k"), job.arg_int("k"), job.arg_float("k"), job.arg_bool("k"))
    assert values == ("", 0, 0.0, False)
    assert "is missing" in (job.arg_error or "")


@given(st.integers())
def test_an_integer_arg_is_returned_exactly(value: int) -> None:
    job = job_with(n=value)
    assert (job.arg_int("n"), job.arg_error) == (value, None)


@given(st.floats())
def test_a_float_counts_as_an_integer_only_if_it_is_exact(value: float) -> None:
    job = job_with(n=value)
    found = job.arg_int("n")
    if value.is_integer() and abs(value) < 2**53:
        assert (found, job.arg_error) == (value, None)
        assert type(found) is int
    else:
        assert found == 0
        assert "wanted an integer" in (job.arg_error or "")


@pytest.mark.parametrize("sign", [1, -1])
def test_an_integer_beyond_the_range_of_floats_is_not_a_float(sign: int) -> None:
    job = job_with(n=sign * 10**400)
    assert job.arg_float("n") == 0.0
    assert "fits a float" in (job.arg_error or "")
    assert job_with(n=sign * 2**60).arg_float("n") == sign * 2.0**60


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_not_a_number_and_a_number_is_not_a_boolean(value: bool) -> None:
    job = job_with(b=value, n=int(value))
    assert (job.arg_int("b"), job.arg_float("b"), job.arg_bool("n")) == (0, 0.0, False)
    assert job.arg_bool("b") is value


# Check-ins and repr


def test_a_checkin_reaches_the_pool_as_text_if_there_is_one() -> None:
    messages: list[str] = []
    job = job_with()
    job.checkin("lost")
    job.on_checkin(messages.append)
    job.checkin("page 12 of 40")
    job.checkin(5)  # type: ignore[arg-type]
    assert messages == ["page 12 of 40", "5"]


def test_a_job_shows_its_name_its_id_its_args_and_its_failures() -> None:
    assert repr(job_with(a=1)) == "Job('mail', id='x', args={'a': 1})"
    assert repr(Job("mail", "x", 1, None, fails=2)) == "Job('mail', id='x', args=None, fails=2)"


@pytest.mark.parametrize(
    ("unique", "until", "seen"),
    [(False, "", ""), (True, "", "start"), (True, "done", "done"), (True, "start", "start")],
)
def test_a_unique_job_is_unique_until_its_start_by_default(
    unique: bool, until: str, seen: str
) -> None:
    fields = {"name": "a", "id": "x", "t": 1, "unique": unique, "unique_until": until}
    assert decode(msgspec.json.encode(fields)).unique_until == seen


# History


@given(
    st.lists(
        st.builds(
            Record,
            job_id=st.text(),
            name=st.text(),
            enqueued_at=st.integers(0, 2**40),
            started_ms=st.integers(0, 2**50),
            finished_ms=st.integers(0, 2**50),
            outcome=st.sampled_from(get_args(Outcome)),
            fails=st.integers(0, 2**31),
            error=st.text(),
        ),
        max_size=5,
    )
)
def test_records_are_unpacked_as_they_were_packed(records: list[Record]) -> None:
    fields: Any = [msgspec.structs.astuple(record) for record in records]
    assert unpack(pack(records)) == [TracedRecord(*values) for values in fields]


def test_a_record_of_a_later_version_with_more_fields_is_read() -> None:
    longer = msgspec.msgpack.encode(
        [["x", "mail", 1, 2, 3, "done", 0, "", "", "w", "", "{}", [[1, "in"]], 7, "p", "more"]]
    )
    fields: Any = ("x", "mail", 1, 2, 3, "done", 0, "", "", "w", "", "{}", ((1, "in"),), 7, "p")
    assert unpack(longer) == [TracedRecord(*fields)]


@given(st.binary())
@example(b"\x91" + pack([Record("x", "mail", 1, 2, 3, "done")])[1:].replace(b"\xa1x", b"\xa1\xff"))
def test_bytes_that_pack_did_not_write_raise_a_msgspec_error(blob: bytes) -> None:
    with suppress(msgspec.MsgspecError):
        assert isinstance(unpack(blob), list)


def test_trimmed_records_are_written_minus_kept() -> None:
    assert HistoryExtent(written=17, kept=5).trimmed == 12


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"outcome": "lost"}, "unknown outcome 'lost'; known are done, retry, postponed, dead"),
        ({"limit": -1}, r"limit must be a whole number from 0 to \d+, not -1"),
        ({"limit": 1.5}, r"limit must be a whole number from 0 to \d+, not 1\.5"),
    ],
)
def test_an_invalid_history_filter_is_refused(filters: dict[str, Any], why: str) -> None:
    nothing = {"since": None, "until": None, "name": None, "outcome": None, "limit": None}
    with pytest.raises(InvalidOption, match=why):
        HistoryQuery(**(nothing | filters))
