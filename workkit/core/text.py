"""Text for terminals: ages, columns, and escapes for text from Redis."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "age",
    "clean",
    "clip",
    "counted",
    "due",
    "headline",
    "pad",
    "read_span",
    "stamp",
    "took",
    "width",
]

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
#: From this many days on, `age` leaves out the hours.
_LONG_DAYS: Final = 10
_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
#: At most as many digits as a float holds.
_SPAN: Final = re.compile(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})([smhdw]?)", re.ASCII)


def age(seconds: float) -> str:
    """Return a duration in at most two units, such as "3m 12s". A negative one counts as 0."""
    whole = max(int(seconds), 0)
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m {whole % _MINUTE_S}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h {whole % _HOUR_S // _MINUTE_S}m"
    days = whole // _DAY_S
    return f"{days}d {whole % _DAY_S // _HOUR_S}h" if days < _LONG_DAYS else f"{days}d"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 job", "1,204 jobs" or "2 jobs wait".

    Args:
        number: How many.
        noun: The singular, with its verb if there is one.
        plural: The plural; "" for the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def read_span(text: str) -> tuple[float, str] | None:
    """Read a duration such as 90, 1.5, 15m, 2h, 1d or 1w.

    Returns:
        Seconds, and the unit as written ("" without one); None if the text is not a duration.
    """
    match = _SPAN.fullmatch(text)
    return (float(match[1]) * _UNITS_S[match[2]], match[2]) if match else None


def due(at_s: int, now_s: int) -> str:
    """Return when something is due, such as "in 3m 12s" or "5s late".

    Args:
        at_s: When it is due, epoch seconds.
        now_s: The time, epoch seconds.
    """
    return f"in {age(at_s - now_s)}" if at_s >= now_s else f"{age(now_s - at_s)} late"


def took(milliseconds: int) -> str:
    """Return how long something ran, such as "12 ms" or "1.5 s"."""
    if milliseconds < 1_000:  # noqa: PLR2004 - a second
        return f"{max(milliseconds, 0)} ms"
    seconds = milliseconds / 1_000
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else age(seconds)


def stamp(at_s: float) -> str:
    """Return a time in ISO format with the host's offset, or as epoch seconds if out of range."""
    import datetime

    try:
        utc = datetime.datetime.fromtimestamp(int(at_s), tz=datetime.UTC)
        return utc.astimezone().isoformat()
    except (ValueError, OverflowError, OSError):
        return str(at_s)


def clean(text: str) -> str:
    """Escape control characters in text from Redis, since they can move the cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def headline(error: str) -> str:
    """Return the first line of an error that is not empty."""
    return next((line.strip() for line in error.splitlines() if line.strip()), "")


def width(text: str) -> int:
    """Return how many terminal columns a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Pad text with spaces to at least `columns`; with `right`, align it to the right."""
    space = " " * (columns - width(text))
    return space + text if right else text + space


def clip(text: str, columns: int) -> str:
    """Cut text to a width. A cut text ends in an ellipsis."""
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += width(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + "…"
