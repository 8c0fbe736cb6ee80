"""Times and spans as the functions of frames accept them."""

from __future__ import annotations

import datetime
from typing import Any, Final, TypeAlias

from workkit.core.clock import SystemClock
from workkit.core.options import shown
from workkit.core.text import read_span
from workkit.errors import InvalidOption
from workkit.frames.checks import is_number
from workkit.frames.extra import pd

__all__ = ["Span", "Time", "epoch_s", "moment", "span_s"]

#: The calendar, in epoch seconds.
_FIRST_S: Final = -62_135_596_800
_LAST_S: Final = 253_402_300_799

#: Epoch seconds, a time with a zone, ISO 8601 with one, or a span before now such as "2h".
Time: TypeAlias = float | datetime.datetime | str

#: Seconds, a `timedelta`, or a text such as "500ms" or "5s".
Span: TypeAlias = float | datetime.timedelta | str


def span_s(span: Span, name: str) -> float:
    """Read a span of time.

    Args:
        span: The span.
        name: The argument's name, for the message.

    Returns:
        Seconds.

    Raises:
        InvalidOption: The value is not a span, or is negative.
    """
    number = is_number(span)
    known = read_span(span.strip()) if isinstance(span, str) else None
    try:
        if known is not None:
            seconds = known[0]
        else:
            seconds = float(span) if number else pd.Timedelta(span).total_seconds()  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidOption(f"{name} must be a span such as 500ms or 5s, or seconds, not {span!r}")
    return seconds


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
    if time is None:
        return None
    seconds = _seconds(time, now_s)
    if not _FIRST_S <= seconds <= _LAST_S:
        raise InvalidOption(
            f"{shown(time)} is not a time of the years 1 to 9999; a number is epoch seconds"
        )
    return float(seconds)


def _seconds(time: Time, now_s: float | None) -> float:
    if is_number(time):
        return time  # type: ignore[return-value]
    span = read_span(time.strip()) if isinstance(time, str) else None
    if span is not None and span[1]:
        return (SystemClock().read().epoch_ms / 1_000 if now_s is None else now_s) - span[0]
    try:
        stamp = pd.Timestamp(time)
    except (ValueError, TypeError):
        raise InvalidOption(
            f"{shown(time)} is not a time; write 2030-01-31T08:00Z, epoch seconds, or a span such "
            "as 2h"
        ) from None
    if stamp.tzinfo is None:
        raise InvalidOption(
            f"{shown(time)} has no time zone; add Z for UTC or an offset such as +01:00"
        )
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
