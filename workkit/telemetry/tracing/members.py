"""Reads the members that carry a trace in a job's JSON; anybody may have written them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["fits", "read_members"]

# The libraries of traces log what does not fit, so they get only what fits these.
_STATE: Final = r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x21-\x2b\x2d-\x3c\x3e-\x7e]{1,256}"
_ENTRY: Final = (
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{0,3800}"
    r"(?:;[\x21-\x2b\x2d-\x7e]{0,90})?"
)
_FORMS: Final = {
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(rf"{_STATE}(?:,{_STATE}){{0,31}}"),
    "baggage": re.compile(rf"{_ENTRY}(?:,{_ENTRY}){{0,179}}"),
    "sentry-trace": re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}(?:-[01])?"),
}

#: JSON escapes a character with at most six bytes.
_ESCAPED: Final = 6
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def read_members(raw: bytes, limits: Mapping[str, int]) -> dict[str, str]:
    """Return members of a job that have the form of their kind; all others are left out.

    Args:
        raw: The job's bytes.
        limits: Name -> how long its text may be, characters. A longer one is left out.
    """
    try:
        fields = _decode_fields(raw)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    found = {}
    for name, limit in limits.items():
        value = fields.get(name)
        if value is None or memoryview(value).nbytes > _ESCAPED * limit + 2:
            continue
        try:
            text = _decode_text(value)
        except msgspec.MsgspecError:
            continue
        if len(text) <= limit and fits(name, text):
            found[name] = text
    return found


def fits(name: str, text: str) -> bool:
    """Tell whether a text has the form of a member."""
    return _FORMS[name].fullmatch(text) is not None
