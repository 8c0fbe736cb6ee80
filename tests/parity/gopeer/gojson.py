"""Go's encoding/json, as far as the original leans on it.

Numbers in a job's args are float64 in Go, so they are ``float`` here. A Go process writes back the
rounded number.

One limit is Python's and not Go's: nesting deeper than the interpreter's recursion limit is
refused (Go refuses at 10,000).
"""

from __future__ import annotations

import codecs
import json
import math
import re
from decimal import Decimal
from typing import Any, NoReturn

from tests.parity.gopeer.errors import GoDecodeError, GoEncodeError

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1

#: Go writes floats from here on, and below the next, with an exponent.
_EXPONENT_FROM = 1e21
_EXPONENT_BELOW = 1e-6

_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile('["\\\\\x00-\x1f<>&\u2028\u2029\ud800-\udfff]')
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECIMAL = re.compile(rb"[+-]?[0-9]+\Z")


def encode(value: object) -> str:
    """Write a value as ``json.Marshal`` does.

    Args:
        value: ``None``, booleans, numbers, strings, lists, tuples and string-keyed dicts.

    Returns:
        The JSON text: keys sorted, no spaces, HTML characters escaped.

    Raises:
        GoEncodeError: Go has no JSON for the value, or no type that holds it.
    """
    match value:
        case None | True | False:
            text = json.dumps(value)
        case int():
            text = _integer(value)
        case float():
            text = _float(value)
        case str():
            text = _string(value)
        case list() | tuple():
            text = "[" + ",".join(encode(item) for item in value) + "]"
        case dict():
            text = _object(value)
        case _:
            raise GoEncodeError(f"json: unsupported type: {type(value).__name__}")
    return text


def _integer(value: int) -> str:
    if not INT64_MIN <= value <= UINT64_MAX:
        raise GoEncodeError(f"no integer type of Go holds {value}")
    return str(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise GoEncodeError(f"json: unsupported value: {value}")
    # Python's repr finds the same shortest digits as Go's strconv; only the layout differs.
    shortest = Decimal(repr(value)).normalize()
    if value == 0 or _EXPONENT_BELOW <= abs(value) < _EXPONENT_FROM:
        return format(shortest, "f")
    sign, digits, _ = shortest.as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    mantissa = f"{first}.{rest}" if rest else first
    return f"{'-' if sign else ''}{mantissa}e{shortest.adjusted():+d}"


def _string(value: str) -> str:
    return '"' + _ESCAPED.sub(_escape, value) + '"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    # A lone surrogate is what invalid UTF-8 would be in Go, which writes it as U+FFFD.
    return "\\ufffd" if _SURROGATE.match(char) else f"\\u{ord(char):04x}"


def _object(value: dict[Any, Any]) -> str:
    for key in value:
        if not isinstance(key, str):
            raise GoEncodeError(f"json: unsupported type: map with a {type(key).__name__} key")
    return "{" + ",".join(f"{_string(key)}:{encode(value[key])}" for key in sorted(value)) + "}"


class _Number(str):
    """A number as it was spelt: an int64 field and a float64 read it differently."""

    __slots__ = ()


class _Members(list[tuple[str, object]]):
    """The members of an object in order, repeated names included."""


def _one_replacement_a_byte(error: UnicodeError) -> tuple[str, int]:
    # Python would put one U+FFFD for a whole broken sequence, Go puts one for each byte.
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd", error.start + 1


codecs.register_error("gopeer", _one_replacement_a_byte)


def decode_members(data: bytes) -> list[tuple[str, object]] | None:
    """Read a JSON object without settling yet what its values are.

    Args:
        data: The bytes as they were in Redis.

    Returns:
        The members in order; their values go to the ``as_`` functions. ``None`` for ``null``,
        which Go takes for an empty object.

    Raises:
        GoDecodeError: The bytes are not JSON, or not an object.
    """
    try:
        node = json.loads(
            data.decode("utf-8", "gopeer"),
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
            object_pairs_hook=_Members,
        )
    except (ValueError, RecursionError) as error:
        raise GoDecodeError(str(error), data) from error
    if node is None or isinstance(node, _Members):
        return node
    raise GoDecodeError("cannot read anything but an object into a struct", data)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def as_string(node: object, data: bytes) -> str:
    """Read a node into a ``string`` field.

    Raises:
        GoDecodeError: It is not a string.
    """
    if isinstance(node, str) and not isinstance(node, _Number):
        return _SURROGATE.sub("\ufffd", node)
    raise GoDecodeError(f"cannot read {node!r} into a string", data)


def as_bool(node: object, data: bytes) -> bool:
    """Read a node into a ``bool`` field.

    Raises:
        GoDecodeError: It is not a boolean.
    """
    if isinstance(node, bool):
        return node
    raise GoDecodeError(f"cannot read {node!r} into a bool", data)


def as_int64(node: object, data: bytes) -> int:
    """Read a node into an ``int64`` field, which takes neither ``1.0`` nor ``1e3``.

    Raises:
        GoDecodeError: It is not an integer, or is out of range.
    """
    if isinstance(node, _Number):
        return parse_int64(node.encode(), data)
    raise GoDecodeError(f"cannot read {node!r} into an int64", data)


def as_map(node: object, data: bytes) -> dict[str, Any]:
    """Read a node into a ``map[string]interface{}`` field.

    Raises:
        GoDecodeError: It is not an object, or holds a number beyond float64.
    """
    if isinstance(node, _Members):
        return {_SURROGATE.sub("\ufffd", key): _as_any(value, data) for key, value in node}
    raise GoDecodeError(f"cannot read {node!r} into a map", data)


def _as_any(node: object, data: bytes) -> object:
    match node:
        case _Number():
            number = float(node)
            if math.isinf(number):
                raise GoDecodeError(f"cannot read {node} into a float64", data)
            return number
        case str():
            return _SURROGATE.sub("\ufffd", node)
        case _Members():
            return as_map(node, data)
        case list():
            return [_as_any(item, data) for item in node]
        case _:
            return node


def parse_int64(text: bytes, data: bytes | None = None) -> int:
    """Read decimal text as ``strconv.ParseInt(text, 10, 64)`` does.

    Args:
        text: The digits.
        data: What they were part of, for the error.

    Raises:
        GoDecodeError: It is not a decimal integer, or is out of range.
    """
    if _DECIMAL.match(text) and INT64_MIN <= (number := int(text)) <= INT64_MAX:
        return number
    reason = f"{text!r} is no int64"
    raise GoDecodeError(reason, text if data is None else data)
