"""The member that names the job whose handler has enqueued a job."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core import job as wire
from workkit.core.current import RUNNING
from workkit.core.history import Record, TracedRecord, pack, unpack
from workkit.core.job import Payload
from workkit.core.parents import parent_member, parent_of, with_parent

RECORD = Record("x", "mail", 1, 2, 3, "done")


def raw(**members: Any) -> bytes:
    return json.dumps({"name": "mail", "id": "x", "t": 1, "args": {"parent_id": "no"}, **members}
        ).encode()  # fmt: skip


@pytest.fixture
def inside() -> Any:
    """Makes the test the handler of a job."""
    tokens = []

    def enter(job_id: str) -> None:
        tokens.append(RUNNING.set(Payload("order", job_id, 1)))

    yield enter
    for token in reversed(tokens):
        RUNNING.reset(token)


@given(st.text(min_size=1, max_size=1_024))
def test_the_id_is_read_as_it_was_written(job_id: str) -> None:
    token = RUNNING.set(Payload("order", job_id, 1))
    try:
        members = parent_member()
    finally:
        RUNNING.reset(token)
    assert parent_of(raw(**members)) == job_id


def test_outside_of_handlers_there_is_no_parent(inside: Any) -> None:
    assert parent_member() == {}
    inside("")
    assert parent_member() == {}
    inside("x" * 1_025)
    assert parent_member() == {}


@pytest.mark.parametrize("value", [None, 7, True, ["a"], {"a": "b"}, "", "x" * 1_025, "x" * 90_000])
def test_a_member_that_cannot_be_an_id_names_no_parent(value: Any) -> None:
    assert parent_of(raw(parent_id=value)) == ""


@given(st.binary())
def test_bytes_that_are_not_a_job_have_no_parent(data: bytes) -> None:
    assert parent_of(data) == ""
    assert parent_of(raw()[:-1] + b',"parent_id":' + data + b"}") in {"", _text(data)}


def _text(data: bytes) -> str:
    try:
        return str(msgspec.json.decode(data, type=str))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def test_a_failure_and_a_postponement_keep_the_member() -> None:
    job = raw(parent_id="p")
    assert parent_of(wire.failed(job, 1, "no", 8)) == "p"
    assert parent_of(wire.postponed(job, 0, "later")) == "p"


def test_only_the_record_of_a_job_with_a_parent_is_longer() -> None:
    assert with_parent(RECORD, raw()) is RECORD
    child = with_parent(RECORD, raw(parent_id="p"))
    assert len(pack([child])) == len(pack([RECORD])) + len(b"\xa1p")
    alone, read = unpack(pack([RECORD, child]))
    assert (alone.parent_id, read.parent_id) == ("", "p")
    assert read == child
    assert alone == TracedRecord(*msgspec.structs.astuple(RECORD))
