"""Any sequence of states comes back from its deltas."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.recording.deltas import Delta, Differ, key, name_of, played
from workkit.snapshot.format import pack, unpack

VALUES = st.lists(st.integers(-5, 5) | st.text(max_size=2) | st.none(), max_size=3)
STATES = st.lists(st.dictionaries(st.binary(min_size=1, max_size=1), VALUES, max_size=6))


@given(STATES)
def test_every_state_comes_back_from_its_deltas(states: list[dict[bytes, Any]]) -> None:
    differ = Differ()
    deltas = [differ.delta(at, state, [at]) for at, state in enumerate(states)]
    read = unpack(pack(deltas), list[Delta])
    assert [dict(state) for _, state in played(read)] == states
    assert [(delta.at_ms, delta.event) for delta in read] == [
        (at, [at]) for at in range(len(states))
    ]


def test_what_has_not_changed_takes_no_bytes() -> None:
    differ, state = Differ(), {key("q", f"queue {n}"): [n, n] for n in range(100)}
    first = msgspec.msgpack.encode(differ.delta(1, state))
    second = msgspec.msgpack.encode(differ.delta(2, state | {key("q", "queue 7"): [8, 7]}))
    assert len(first) > 1_000
    assert len(second) < 20


def test_a_delta_of_another_segment_is_refused() -> None:
    differ = Differ()
    differ.delta(1, {b"a": [1]})
    with pytest.raises(ValueError, match="a part is missing"):
        list(played([differ.delta(2, {b"a": [2]})]))


def test_names_of_any_parts_come_back() -> None:
    assert name_of(key("j", "dead", "", b"\xff\x00", 3)) == ("j", "dead", "", b"\xff\x00", 3)
