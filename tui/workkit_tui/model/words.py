"""How the console writes numbers, times and JSON."""

from __future__ import annotations

import datetime
import json
from typing import Any, Final

from workkit.core.masks import Masks
from workkit.core.text import age, clean, due, headline

__all__ = [
    "ago",
    "args_text",
    "brief",
    "clock",
    "count",
    "error_text",
    "json_escaped",
    "json_text",
    "per_s",
    "short",
    "until",
]

_DAY_S: Final = 86_400
_SMALL: Final = 10
#: Limits of durations, their units, milliseconds, and the names of these.
_BRIEF: Final = (
    (1_000, 1, "ms"),
    (100_000, 1_000, "s"),
    (6_000_000, 60_000, "m"),
    (172_800_000, 3_600_000, "h"),
)
_TINY: Final = 0.005
#: Longest part of a line that is shown, characters.
_LINE_CHARS: Final = 2_000


def count(number: float) -> str:
    """Return a whole number with separators; 1,204."""
    return f"{int(number):,}"


def short(number: float) -> str:
    """Return a number in at most five characters; 1,204 and 1.2M."""
    for limit, unit, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if number >= limit:
            scaled = number / unit
            return f"{scaled:.1f}{name}" if scaled < 100 else f"{scaled:.0f}{name}"  # noqa: PLR2004
    return f"{int(number):,}"


def per_s(rate: float | None) -> str:
    """Return a rate a second, in few characters; "-" for one that is unknown."""
    if rate is None:
        return "-"
    if rate < _TINY:
        return "0"
    if rate < _SMALL:
        return f"{rate:.2f}" if rate < 1 else f"{rate:.1f}"
    return short(rate)


def brief(ms: int | None) -> str:
    """Return a duration in at most five characters, such as "12ms" or "1.5s"; "-" for none."""
    if ms is None:
        return "-"
    for limit_ms, unit_ms, name in _BRIEF:
        if ms < limit_ms:
            number = ms / unit_ms
            return f"{number:.{int(number < _SMALL and unit_ms > 1)}f}{name}"
    return f"{ms / 86_400_000:.0f}d"


def ago(at_s: float, now_s: float) -> str:
    """Return how long ago something was; "-" if it never was."""
    try:
        return age(now_s - at_s) if at_s else "-"
    except OverflowError:  # an integer of hundreds of digits, from a job
        return age(int(now_s) - int(at_s))


def until(at_s: int | None, now_s: float) -> str:
    """Return when something is due."""
    return "-" if at_s is None else due(at_s, int(now_s))


def clock(at_s: float, now_s: float) -> str:
    """Return a point in time in the host's zone: the time of day, with the date if not today."""
    try:
        at = datetime.datetime.fromtimestamp(at_s, tz=datetime.UTC).astimezone()
        now = datetime.datetime.fromtimestamp(now_s, tz=datetime.UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return str(int(at_s))
    if at.date() == now.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%d %b %H:%M" if abs(at_s - now_s) < 300 * _DAY_S else "%Y-%m-%d")


def args_text(args: Any) -> str:
    """Return args as short JSON; "" for none."""
    if args is None:
        return ""
    return clean(json.dumps(args, ensure_ascii=False, separators=(",", ":")))


def json_text(value: Any) -> str:
    """Return indented JSON without characters that a terminal would obey."""
    return json_escaped(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def json_escaped(text: str) -> str:
    """Return JSON in which characters that a terminal would obey are written as escapes."""
    text = text.replace("\x7f", "\\u007f")  # the one control character that JSON leaves alone
    if text.isascii():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def error_text(error: str, masks: Masks, args: Any = None) -> str:
    """Return the headline of an error without secrets, harmless for a terminal.

    Args:
        error: The error.
        masks: Hides secrets.
        args: The args of the job; values hidden in them are hidden in the headline as well.
    """
    return clean(masks.text(headline(error)[:_LINE_CHARS], args))
