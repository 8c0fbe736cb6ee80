"""MessagePack of what was read from Redis, where another program may have written anything."""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["MOST_INT", "fitting", "packed"]

#: The largest number that a file of ours holds: MessagePack, SQLite and columns end there.
MOST_INT: Final = 2**63 - 1

_encode: Final = msgspec.msgpack.Encoder().encode


def packed(value: Any) -> bytes:
    """Encode a value. A number that does not fit becomes the nearest one that does.

    A half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes its escape.

    Args:
        value: Anything that msgspec knows, such as a dataclass or a list.
    """
    try:
        return _encode(value)
    except (OverflowError, UnicodeEncodeError):
        return _encode(fitting(msgspec.to_builtins(value, builtin_types=(bytes,))))


def fitting(value: Any) -> Any:
    """Return a plain value with numbers and texts that fit.

    Args:
        value: A number, text, bytes, or lists and dicts of these.
    """
    match value:
        case bool():
            return value
        case int():
            return max(min(value, MOST_INT), -MOST_INT)
        case str():
            return value.encode(errors="backslashreplace").decode()
        case list() | tuple():
            return [fitting(item) for item in value]
        case dict():
            return {fitting(name): fitting(item) for name, item in value.items()}
    return value
