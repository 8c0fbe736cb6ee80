"""Times and spans as the functions of frames accept them."""

from __future__ import annotations

import datetime
from typing import Any, TypeAlias

from workkit.core.clock import SystemClock
from workkit.core.text import read_span
from workkit.errors import InvalidOption
from workkit.frames.extra import pd

__all__ = ["Time", "epoch_s", "moment"]

#: Epoch seconds, a time with a zone, ISO 8601 with one, or a span before now such as "2h".
Time: TypeAlias = float | datetime.datetime | str


def epoch_s(time: Time | None, now_s: float | None = None) -> float | None:
    """Read a time.

    Args:
        time: The time; None for none.
        now_s: What spans are subtracted from, epoch seconds; by default this machine's time.

    Returns:
        Epoch seconds; None for none.

    Raises:
        InvalidOption: The value is not a time, or has no time zone.
    """
    if time is None or (isinstance(time, (int, float)) and not isinstance(time, bool)):
        return time
    span = read_span(time.strip()) if isinstance(time, str) else None
    if span is not None and span[1]:
        return (SystemClock().read().epoch_ms / 1_000 if now_s is None else now_s) - span[0]
    try:
        stamp = pd.Timestamp(time)
    except (ValueError, TypeError):
        raise InvalidOption(
            f"{time!r} is not a time; write 2030-01-31T08:00Z, epoch seconds, or a span such as 2h"
        ) from None
    if stamp.tzinfo is None:
        raise InvalidOption(f"{time!r} has no time zone; add Z for UTC or an offset such as +01:00")
    return float(stamp.timestamp())


def moment(time: Time) -> Any:
    """Return a time as a `pandas.Timestamp` in UTC, in whole milliseconds.

    Raises:
        InvalidOption: The value is not a time, or no calendar has it.
    """
    seconds = epoch_s(time)
    assert seconds is not None  # noqa: S101 - a time was given
    try:
        return pd.Timestamp(round(seconds * 1_000), unit="ms", tz="UTC")
    except (ValueError, OverflowError) as error:
        raise InvalidOption(f"{time!r} is not a time: {error}") from None
