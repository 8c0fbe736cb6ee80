"""What another program wrote can be kept in our files, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core.packing import MOST_INT, fitting, packed

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary()
    | st.text(st.characters(categories=("L", "Cs", "Zs"))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@dataclass
class Seen:
    """A reading, as others are."""

    next_at: int
    name: str


@given(plain)
def test_anything_can_be_written_and_comes_back_as_what_fits(value: Any) -> None:
    assert fitting(msgspec.msgpack.decode(packed(value))) == fitting(value)


@pytest.mark.parametrize("number", [2**63, int(1e300), -int(1e300), 10**400])
def test_a_number_beyond_64_bits_becomes_the_nearest(number: int) -> None:
    read = msgspec.msgpack.decode(packed(Seen(number, "mail")), type=Seen)
    assert abs(read.next_at) in {MOST_INT, abs(number)}
    assert (read.next_at < 0) == (number < 0)


def test_half_a_surrogate_pair_becomes_its_escape() -> None:
    assert msgspec.msgpack.decode(packed(["a\ud800b"])) == ["a\\ud800b"]
