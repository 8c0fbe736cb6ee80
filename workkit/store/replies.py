"""Read replies, whose form depends on the protocol's version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["number", "pairs", "text", "texts"]

#: A server's own integers have 64 bits. Larger numbers are refused: beyond a float's range, Python
#: cannot subtract one from a time.
_NUMBERS: Final = 2**63


def pairs(reply: Any) -> Iterable[tuple[Any, Any]]:
    """Read a hash, which RESP3 sends as a map and RESP2 as a flat list; nothing for an error."""
    if isinstance(reply, dict):
        return list(reply.items())
    if isinstance(reply, list):
        return list(zip(reply[::2], reply[1::2], strict=True))
    return []


def text(value: Any) -> str:
    """Read a string; "" for a missing value or an error."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def texts(reply: Iterable[Any]) -> set[str]:
    """Read a set of strings."""
    return {text(item) for item in reply}


def number(value: Any) -> int | None:
    """Read an integer; None for other bytes, and for a number of more than 64 bits."""
    try:
        found = int(value) if isinstance(value, (bytes, str)) else None
    except ValueError:
        return None
    return found if found is not None and -_NUMBERS <= found < _NUMBERS else None
