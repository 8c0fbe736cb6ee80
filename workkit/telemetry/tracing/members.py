"""Reads the members that carry a trace in a job's JSON; anybody may have written them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["read_members"]

#: JSON escapes a character with at most six bytes.
_ESCAPED: Final = 6
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def read_members(raw: bytes, limits: Mapping[str, int]) -> dict[str, str]:
    """Return members of a job that are texts; all others are left out.

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
        if len(text) <= limit:
            found[name] = text
    return found
