r"""JSON with exactly the bytes that Go's encoding/json writes.

The unique key of a job contains its args as JSON. So two services agree on uniqueness only if they
write the same bytes: sorted keys, escapes for ``<``, ``>``, ``&``, U+2028 and U+2029, ``\b`` and
``\f`` in the long form, and floats in Go's notation (`1.0` is ``1``, `1e21` is ``1e+21``).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from workkit.core.showing import shown
from workkit.errors import InvalidArgs

__all__ = ["encode_args", "encode_text", "float_text"]

#: The deepest nesting of args. Redis's own cjson stops at 1000.
MAX_DEPTH: Final = 200

_encode: Final = msgspec.json.Encoder(order="sorted").encode
_RARE: Final = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]|\\[bf\\]")
_SUSPECT: Final = b"<>&\xe2\\"  # every match of _RARE contains one of these bytes
_ESCAPES: Final = {
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    b"\xe2\x80\xa8": b"\\u2028",
    b"\xe2\x80\xa9": b"\\u2029",
    b"\\b": b"\\u0008",
    b"\\f": b"\\u000c",
    b"\\\\": b"\\\\",  # or the b after an escaped backslash would match as \b
}
#: The part of a long path that a message shows, characters.
_SHOWN_CHARS: Final = 100
#: Python does not write integers of more than 4300 digits.
_MAX_INT_BITS: Final = 14_000
#: Integers of fewer bits fit a float. Go reads numbers into floats.
_FLOAT_BITS: Final = 1_024
#: Types that need no check here. The encoder checks text.
_PLAIN: Final = frozenset({str, bool, type(None)})
_WORD_BITS: Final = 64
_LARGE: Final = 1e21
_SMALL: Final = 1e-6


def encode_args(
    args: Mapping[str, Any] | None,
    *,
    allow_huge_integers: bool = True,
    most_values: int = sys.maxsize,
) -> bytes:
    """Encode a job's args.

    Args:
        args: A mapping with string keys and JSON values, or None.
        allow_huge_integers: Allow integers beyond a float's range. Go cannot read a job with such
            an integer, so the job stays in progress in the Go pool that claims it.
        most_values: Refuse args of more values. A list may hold another one twice, and so on, and
            then a few lists hold more values than there is memory.

    Returns:
        The bytes that Go would write for the same value.

    Raises:
        InvalidArgs: A value has no JSON form; the message names its path.
    """
    if args is None:
        return b"null"
    if type(args) is dict and _is_plain(args):
        try:
            return _finish(_encode(args))
        except UnicodeEncodeError:
            pass  # the slow path below names the place
    if not isinstance(args, Mapping):
        raise InvalidArgs(
            f"args must be a mapping with string keys or None, not {type(args).__name__}"
        )
    return _finish(_encode(_Checker(allow_huge_integers, most_values).checked(args, "args", 0)))


def encode_text(text: str) -> bytes:
    """Encode one string. As in Go, a character that UTF-8 cannot encode is replaced."""
    try:
        encoded = _encode(text)
    except UnicodeEncodeError:
        encoded = _encode(text.encode("utf-8", "replace").decode("utf-8"))
    return _finish(encoded)


def float_text(value: float) -> str:
    """Return a finite float in Go's notation.

    Both languages choose the shortest digits that read back as the same float. From 1e-6 up to
    1e21, Go writes no exponent. Outside, it writes an exponent without a leading zero.
    """
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - only NaN and infinities have letters there
    text = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(text)
    point = len(text) + exponent  # where the decimal point is, counted from the first digit
    if _SMALL <= abs(value) < _LARGE:
        if exponent >= 0:
            plain = text + "0" * exponent
        elif point > 0:
            plain = f"{text[:point]}.{text[point:]}"
        else:
            plain = f"0.{'0' * -point}{text}"
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        plain = f"{text[0]}{fraction}e{point - 1:+d}"
    return f"-{plain}" if sign else plain


def _is_plain(args: dict[Any, Any]) -> bool:
    """Tell whether the encoder can write these args directly. Lone surrogates are not checked."""
    for key, value in args.items():
        if type(key) is not str:
            return False
        kind = type(value)
        if kind not in _PLAIN and (kind is not int or value.bit_length() >= _WORD_BITS):
            return False
    return True


def _finish(encoded: bytes) -> bytes:
    """Apply the escapes in which Go differs."""
    # Most text has none of these bytes. This check takes a tenth of the expression's time.
    if len(encoded.translate(None, _SUSPECT)) == len(encoded):
        return encoded
    return _RARE.sub(lambda match: _ESCAPES[match.group()], encoded)


class _Checker:
    """Prepares values for the encoder, or names the place of a value that has no JSON form."""

    def __init__(self, allow_huge_integers: bool, most_values: int) -> None:
        self._allow_huge_integers = allow_huge_integers
        self._most_values = self._left = most_values

    def checked(self, value: Any, path: str, depth: int) -> Any:
        """Return the value ready for the encoder, or raise `InvalidArgs`."""
        self._left -= 1
        if self._left < 0:
            raise InvalidArgs(
                f"{path:.{_SHOWN_CHARS}}: the args hold more than {self._most_values} values, so "
                "the job is too large; store large data elsewhere and enqueue a reference to it"
            )
        kind = type(value)
        if kind is str:
            return _checked_text(value, path)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self._checked_int(value, path)
        if kind is float:
            return _checked_float(value, path)
        if depth >= MAX_DEPTH:
            raise InvalidArgs(
                f"{path:.{_SHOWN_CHARS}}...: nested more than {MAX_DEPTH} deep, or it holds itself"
            )
        if isinstance(value, Mapping):
            members = {}
            for key, item in value.items():
                name = _checked_key(key, path)
                members[name] = self.checked(item, f"{path}.{name[:_SHOWN_CHARS]}", depth + 1)
            return members
        if isinstance(value, (list, tuple)):
            return [self.checked(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        return self._checked_subclass(value, path)

    def _checked_int(self, value: int, path: str) -> int:
        """Refuse an integer that Python cannot write or Go cannot read."""
        if value.bit_length() > _MAX_INT_BITS:
            raise InvalidArgs(
                f"{path}: an integer of {value.bit_length()} bits is too long to be written"
            )
        if value.bit_length() >= _FLOAT_BITS and not self._allow_huge_integers:
            try:
                float(value)  # rounds as Go's parser does
            except OverflowError:
                raise InvalidArgs(
                    f"{path}: Go cannot read an integer of {len(str(abs(value)))} digits; the job "
                    "would block the Go pool that claims it. Send a string, or set "
                    "allow_huge_integers=True on the enqueuer if all pools are workkit's"
                ) from None
        return value

    def _checked_subclass(self, value: Any, path: str) -> Any:
        """Convert subclasses of JSON's types (enums, numpy floats); refuse other types."""
        if isinstance(value, str):
            return _checked_text(str.__str__(value), path)
        for base in (int, float):
            if isinstance(value, base):
                return self.checked(base(value), path, 0)
        raise InvalidArgs(
            f"{path}: {type(value).__name__} has no JSON form; convert it to a string or a number "
            "first"
        )


def _checked_text(value: str, path: str) -> str:
    """Refuse a string that UTF-8 cannot encode."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgs(
            f"{path}: the string contains a lone surrogate, which UTF-8 cannot encode"
        ) from None
    return value


def _checked_float(value: float, path: str) -> msgspec.Raw:
    """Refuse NaN and infinities; write other floats as Go does."""
    if not math.isfinite(value):
        raise InvalidArgs(f"{path}: {value} cannot be written as JSON; send null or a string")
    return msgspec.Raw(float_text(value).encode())


def _checked_key(key: Any, path: str) -> str:
    """Refuse a key that is not a string: readers would get a string."""
    if not isinstance(key, str):
        raise InvalidArgs(f"{path}: the key {shown(key)} is {type(key).__name__}, not a string")
    return _checked_text(str.__str__(key), path)
