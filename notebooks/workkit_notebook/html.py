"""HTML for views: escaped texts, tables, small plots in SVG, in the notebook's colours."""

from __future__ import annotations

import datetime
import html
from collections.abc import Iterable, Sequence
from typing import Final

from workkit.core.text import age, clean

__all__ = [
    "block",
    "clock_time",
    "escape",
    "histogram",
    "muted",
    "notice",
    "sparkline",
    "table",
    "when",
]

_SPACE: Final = "\u00a0"
_TEXT: Final = "var(--jp-ui-font-color1, #222)"
_MUTED: Final = "var(--jp-ui-font-color2, #777)"
_LINE: Final = "var(--jp-border-color2, #ddd)"
_BAR: Final = "var(--jp-brand-color1, #1976d2)"
_PALE: Final = "var(--jp-border-color1, #bbb)"
_WARN: Final = "var(--jp-error-color1, #c62828)"
_FONT: Final = "font-size: 13px; line-height: 1.5"
_CELL: Final = f"padding: 2px 12px 2px 0; text-align: left; border-bottom: 1px solid {_LINE}"

_WIDTH: Final = 720
_HEIGHT: Final = 70


def escape(text: object) -> str:
    """Escape a line of text for HTML: markup, control characters and changes of direction.

    A change of direction could make one job look like another just before it is deleted.
    """
    # Plain spaces would be joined, so lists have others.
    return html.escape(_SPACE.join(map(clean, str(text).split(_SPACE))))


def block(text: object) -> str:
    """Escape text of several lines for HTML."""
    return "\n".join(map(escape, str(text).expandtabs(4).split("\n")))


def muted(text: str) -> str:
    """Return a line of explanation."""
    return f'<span style="color: {_MUTED}; {_FONT}">{escape(text)}</span>'


def notice(text: str) -> str:
    """Return a line of warning."""
    return f'<span style="color: {_WARN}; {_FONT}">{escape(text)}</span>'


def when(at_s: float, now_s: float) -> str:
    """Return how long ago a time was, or how far in the future it is."""
    return f"{age(now_s - at_s)} ago" if at_s <= now_s else f"in {age(at_s - now_s)}"


def clock_time(at_s: float, *, seconds: bool = False) -> str:
    """Return a time in UTC. A time beyond the calendar is shown as a number."""
    try:
        at = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return str(at_s)
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%m-%d %H:%M}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], empty: str = "") -> str:
    """Return a table.

    Args:
        head: The titles, as text.
        rows: The cells, as HTML.
        empty: The text if there are no rows.
    """
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}; vertical-align: top">{c}</td>' for c in row)
        + "</tr>"
        for row in rows
    )
    if not body:
        return muted(empty)
    titles = "".join(f'<th style="{_CELL}; color: {_MUTED}">{escape(name)}</th>' for name in head)
    return (
        f'<table style="border-collapse: collapse; color: {_TEXT}; {_FONT}">'
        f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    )


def sparkline(values: Sequence[float], label: str, width: int = 120, height: int = 20) -> str:
    """Return bars of equal width, the oldest first.

    Args:
        values: The heights.
        label: A description for screen readers.
        width: In pixels.
        height: In pixels.
    """
    return _bars(values, [True] * len(values), label, width, height)


def histogram(counts: Sequence[int], inside: Sequence[bool], label: str) -> str:
    """Return a histogram. The bars outside the selected time are pale.

    Args:
        counts: The height of each bucket.
        inside: Whether each bucket is inside the selected time.
        label: A description for screen readers.
    """
    return _bars(counts, inside, label, _WIDTH, _HEIGHT)


def _bars(
    values: Sequence[float], strong: Sequence[bool], label: str, width: int, height: int
) -> str:
    most = max(values, default=0) or 1
    step = width / max(len(values), 1)
    bars = "".join(
        f'<rect x="{at * step:.1f}" y="{height - max(value / most * height, 1):.1f}" '
        f'width="{max(step - 1, 0.5):.1f}" height="{max(value / most * height, 1):.1f}" '
        f'fill="{_BAR if inside else _PALE}"><title>{value:,}</title></rect>'
        for at, (value, inside) in enumerate(zip(values, strong, strict=True))
        if value
    )
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{bars}'
        f'<line x1="0" y1="{height}" x2="{width}" y2="{height}" stroke="{_LINE}"/></svg>'
    )
