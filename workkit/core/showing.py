"""Shows a user's value in a message."""

from __future__ import annotations

from typing import Final

__all__ = ["shown"]

_SHOWN_CHARS: Final = 200


def shown(value: object) -> str:
    """Return a user's value as short text for a message; never raises."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - integers of 5,000 digits, and users' classes
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
