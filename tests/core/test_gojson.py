"""JSON with Go's bytes, compared with Python's reader, a second encoder, and Go's rules."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import re
from collections import ChainMap, OrderedDict
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parity.gopeer import gojson as peer
from workkit import Enqueuer
from workkit.core import gojson
from workkit.errors import InvalidArgs

#: Any text that UTF-8 can encode, with more characters that Go escapes than usual.
TEXTS: Final = st.text(max_size=5) | st.text(
    '<>&\u2028\u2029\b\f\\/"\n\r\t\x00\x1f\x7f\U0001f600éb', max_size=8
)
FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
LEAVES: Final = st.none() | st.booleans() | st.integers() | FLOATS | TEXTS


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of JSON's shapes."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    )


def args_of(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(TEXTS, trees(leaves), max_size=3)


def keys_in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key.encode() for key, _ in pairs]
    assert keys == sorted(keys)
    return dict(pairs)


# Accepted values


def as_go_has_it(value: Any) -> Any:
    """Return a value with whole floats as the integers that Go writes for them."""
    if isinstance(value, dict):
        return {key: as_go_has_it(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_go_has_it(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(decimal.Decimal(repr(value)))
    return value


@given(args_of(LEAVES))
def test_args_read_back_as_they_were_given(args: dict[str, Any]) -> None:
    assert json.loads(gojson.encode_args(args)) == as_go_has_it(args)


@given(args_of(LEAVES))
def test_keys_are_sorted_by_their_bytes_at_every_depth(args: dict[str, Any]) -> None:
    json.loads(gojson.encode_args(args), object_pairs_hook=keys_in_order)


@given(args_of(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS))
def test_an_independent_go_encoder_writes_the_same_bytes(args: dict[str, Any]) -> None:
    assert gojson.encode_args(args).decode() == peer.encode(args)


@given(args_of(LEAVES.filter(lambda leaf: leaf != 0 or not isinstance(leaf, float))))
def test_args_that_were_read_are_written_the_same_again(args: dict[str, Any]) -> None:
    once = gojson.encode_args(args)
    assert gojson.encode_args(json.loads(once)) == once


@given(args_of(LEAVES))
def test_the_order_in_which_args_were_given_makes_no_difference(args: dict[str, Any]) -> None:
    backwards = dict(reversed(args.items()))
    assert gojson.encode_args(backwards) == gojson.encode_args(args)


@given(TEXTS)
def test_a_single_text_is_written_as_inside_args(text: str) -> None:
    assert gojson.encode_text(text).decode() == peer.encode(text)
    assert gojson.encode_args({"k": text}) == b'{"k":%b}' % gojson.encode_text(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<b>&", r'"\u003cb\u003e\u0026"'),
        ("\u2028\u2029", r'"\u2028\u2029"'),
        ("\b\f\n\r\t", r'"\u0008\u000c\n\r\t"'),
        ("\\b\\f\\\\b", r'"\\b\\f\\\\b"'),
        ("\x00\x1f\x7f", '"\\u0000\\u001f\x7f"'),
        ('"/', r'"\"/"'),
        ("é\U0001f600", '"é\U0001f600"'),
    ],
)
def test_go_s_escapes_are_written_and_no_others(text: str, written: str) -> None:
    assert gojson.encode_text(text).decode() == written


def test_no_args_are_null_and_empty_args_are_an_object() -> None:
    assert gojson.encode_args(None) == b"null"
    assert gojson.encode_args({}) == b"{}"
    assert gojson.encode_args({"a": [], "b": {}}) == b'{"a":[],"b":{}}'


@given(st.text())
def test_any_error_text_can_be_written(text: str) -> None:
    json.loads(gojson.encode_text(text + "\ud800"))


# Numbers


@given(st.integers(-(10**400), 10**400))
def test_an_integer_keeps_every_digit_whatever_its_size(number: int) -> None:
    assert gojson.encode_args({"n": number}) == b'{"n":%d}' % number


@given(FLOATS | st.floats(1e15, 1e22))
def test_a_float_reads_back_as_the_same_float(value: float) -> None:
    text = gojson.float_text(value)
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)


@given(FLOATS | st.floats(1e15, 1e22))
def test_a_float_has_an_exponent_only_where_go_writes_one(value: float) -> None:
    text = gojson.float_text(value)
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", text)
    else:
        assert re.fullmatch(r"-?[1-9](\.\d*[1-9])?e[+-][1-9]\d*", text)


@given(FLOATS | st.floats(1e15, 1e22))
def test_a_float_has_the_digits_that_go_writes(value: float) -> None:
    assert gojson.float_text(value) == peer.encode(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (1.25e-6, "0.00000125"),
        (1e-7, "1e-7"),
        (9.5e-7, "9.5e-7"),
        (5e-324, "5e-324"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.2345678901234567e20, "123456789012345670000"),
        (37933709683948256.0, "37933709683948260"),
    ],
)
def test_a_float_is_written_in_go_s_notation(value: float, written: str) -> None:
    assert gojson.float_text(value) == written
    assert gojson.encode_args({"n": value}).decode() == f'{{"n":{written}}}'


# Subclasses of JSON's types


class Colour(enum.StrEnum):
    RED = "red"


class Weight(enum.IntEnum):
    HEAVY = 9


class Mixed(str, enum.Enum):  # noqa: UP042 - the older kind, which says "Mixed.A" where text is wanted
    A = "a"


class Text(str):
    __slots__ = ()


class Ratio(float):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Colour.RED, '"red"'),
        (Weight.HEAVY, "9"),
        (Text("<"), r'"\u003c"'),
        (Ratio(1), "1"),
        ((1, (2,)), "[1,[2]]"),
        (MappingProxyType({"b": 1, "a": 2}), '{"a":2,"b":1}'),
        (OrderedDict(b=1, a=2), '{"a":2,"b":1}'),
        (ChainMap({"b": 1}, {"a": 2}), '{"a":2,"b":1}'),
        (Mixed.A, '"a"'),
        ({Mixed.A: 1}, '{"a":1}'),
        ({Colour.RED: 1}, '{"red":1}'),
    ],
)
def test_a_subtype_is_written_by_its_value(value: Any, written: str) -> None:
    assert gojson.encode_args({"k": value}).decode() == f'{{"k":{written}}}'


# Refused values


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        Ratio("nan"),
        "\ud800",
        b"bytes",
        bytearray(b"x"),
        {1, 2},
        frozenset(),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        datetime.date(2024, 1, 1),
        decimal.Decimal(1),
        1j,
        object(),
        iter([1]),
        range(3),
        dict,
        {1: "int key"},
        {None: "no key"},
        {b"k": "bytes key"},
        {"\udfff": "surrogate key"},
        {("a",): "tuple key"},
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0][:40],
)
def test_a_value_without_a_json_form_is_refused_with_its_path(value: Any) -> None:
    with pytest.raises(InvalidArgs, match=r"^args\.fine\[1\]\.broken") as refusal:
        gojson.encode_args({"a": 1, "fine": [{}, {"broken": value}]})
    assert len(str(refusal.value)) < 200


def test_an_integer_that_python_cannot_write_is_refused_with_its_path() -> None:
    for sign in (1, -1):
        with pytest.raises(InvalidArgs, match=r"^args\.big: an integer of 16610 bits is too long"):
            gojson.encode_args({"big": sign * 10**5_000})
        assert len(gojson.encode_args({"big": sign * 2**13_999})) > 4_000


@given(
    args_of(
        LEAVES
        | st.binary()
        | st.sets(st.integers())
        | st.complex_numbers()
        | st.decimals()
        | st.datetimes()
        | st.floats()
        | st.characters(categories=["Cs"])
        | st.dictionaries(st.integers() | st.none() | st.binary(), st.integers(), min_size=1)
    )
)
def test_args_are_either_written_as_json_or_refused(args: dict[str, Any]) -> None:
    try:
        written = gojson.encode_args(args)
    except InvalidArgs as refusal:
        assert str(refusal).startswith("args")  # noqa: PT017 - most examples are not refused
    else:
        json.loads(written)


@pytest.mark.parametrize("args", [[], [("a", 1)], "text", 1, b"{}", {"a"}, object()])
def test_args_that_are_not_a_mapping_are_refused(args: Any) -> None:
    with pytest.raises(InvalidArgs, match=r"^args must be a mapping with string keys or None"):
        gojson.encode_args(args)


def nested(depth: int) -> dict[str, Any]:
    """Args with this many nested containers."""
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"k": value}


def test_args_deeper_than_the_limit_are_refused() -> None:
    json.loads(gojson.encode_args(nested(gojson.MAX_DEPTH)))
    with pytest.raises(InvalidArgs, match=r"^args\.k(\[0\])+\[?\.\.\.: nested more than 200 deep"):
        gojson.encode_args(nested(gojson.MAX_DEPTH + 1))


def test_args_that_contain_themselves_are_refused() -> None:
    args: dict[str, Any] = {}
    args["self"] = args
    with pytest.raises(InvalidArgs, match="nested more than"):
        gojson.encode_args(args)


def test_few_lists_that_hold_each_other_often_are_refused_before_they_fill_the_memory() -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(100):
        laughs = [laughs, laughs]
    with pytest.raises(InvalidArgs, match="the args hold more than 1000 values"):
        gojson.encode_args({"a": laughs}, most_values=1_000)
    with pytest.raises(InvalidArgs, match="the args hold more than 2000 values"):
        Enqueuer("n", "redis://h", max_job_bytes=2_000).enqueue("laugh", {"a": laughs})
    assert gojson.encode_args({"a": [1] * 998}, most_values=1_000)


def test_a_key_that_cannot_be_shown_is_refused_by_its_type() -> None:
    with pytest.raises(InvalidArgs, match="the key a value of type int is int, not a string"):
        gojson.encode_args({10**5_000: 1})  # type: ignore[dict-item]


def test_a_long_key_makes_no_long_message() -> None:
    with pytest.raises(InvalidArgs) as refused:
        gojson.encode_args({"a": {"k" * 100_000: object()}})
    assert len(str(refused.value)) < 300


def test_encoding_leaves_the_args_as_they_were() -> None:
    inner = {"z": 1.0, "a": (1, 2)}
    args = {"k": inner}
    gojson.encode_args(args)
    assert args["k"] is inner
    assert list(inner.items()) == [("z", 1.0), ("a", (1, 2))]
