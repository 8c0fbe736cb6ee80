"""Points in time as people write them: 03:12, 03:12:30, -10m, 2030-01-31T09:00, now."""

from __future__ import annotations

import datetime
import re
from typing import Final

from workkit.core.text import read_span
from workkit.errors import InvalidOption

__all__ = ["EXAMPLES", "find_time", "is_time", "local_time"]

_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?", re.ASCII)
EXAMPLES: Final = "write 03:12, 03:12:30, -10m, 2030-01-31T09:00 or now"


def is_time(text: str) -> bool:
    """Tell whether a text is meant as a time, not as the name of something else."""
    text = text.strip()
    return bool(
        text == "now"
        or _CLOCK.fullmatch(text)
        or _DATED.fullmatch(text)
        or (text[:1] in {"-", "+"} and read_span(text[1:]))
    )


def find_time(text: str, span: tuple[float, float], now_s: float) -> float:
    """Return the time that a text means, in the host's zone unless it names another one.

    Args:
        text: A time of day means the last one within the span; a signed span of time counts from
            `now_s`.
        span: The first and the last time that there is, epoch seconds.
        now_s: The time that is shown, epoch seconds.

    Raises:
        InvalidOption: It is not a time, or not within the span.
    """
    written = text.strip()
    clock = _CLOCK.fullmatch(written)
    if written == "now":
        return span[1]
    if clock:
        at_s = _last(int(clock[1]), int(clock[2]), int(clock[3] or 0), span)
    elif written[:1] in {"-", "+"} and (length := read_span(written[1:])):
        at_s = now_s + (length[0] if written[0] == "+" else -length[0])
        at_s = min(max(at_s, span[0]), span[1])
    elif _DATED.fullmatch(written):
        at_s = _dated(written)
    else:
        raise InvalidOption(f"{text!r} is not a time; {EXAMPLES}")
    if not int(span[0]) <= at_s <= span[1] + 1:
        low, high = (local_time(each, span[1]) for each in span)
        raise InvalidOption(f"{text} is not in the recording, which is from {low} to {high}")
    return at_s


def _last(hour: int, minute: int, second: int, span: tuple[float, float]) -> float:
    """Return the last time of day that is not after the span; at least its own day's."""
    last = datetime.datetime.fromtimestamp(span[1], tz=datetime.UTC).astimezone()
    found = last
    for days in (0, 1):
        day = (last - datetime.timedelta(days=days)).date()
        time = datetime.time(hour, minute, second)
        found = datetime.datetime.combine(day, time).astimezone()
        if found.timestamp() <= span[1] + 1:
            break
    return found.timestamp()


def _dated(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidOption(f"{text!r} is not a time; {EXAMPLES}") from None


def local_time(at_s: float, now_s: float) -> str:
    """Return a time of day in the host's zone; with its date if that is not the day of `now_s`."""
    at = datetime.datetime.fromtimestamp(at_s, tz=datetime.UTC).astimezone()
    now = datetime.datetime.fromtimestamp(now_s, tz=datetime.UTC).astimezone()
    return at.strftime("%H:%M:%S" if at.date() == now.date() else "%Y-%m-%d %H:%M:%S")
