"""Small tables and plots in text, for reports of scenarios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from workkit.simulation.trace import Event, Trace

__all__ = ["bars", "buckets", "plot", "spark", "table"]

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_WIDTH: Final = 60
_HOUR_S: Final = 3_600
_MINUTE_S: Final = 60


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; numbers are right-aligned.

    Args:
        names: The headers of the columns.
        rows: The cells, row by row.
    """
    cells = [[_cell(each) for each in row] for row in rows]
    numeric = [
        bool(cells) and all(row[at][:1].isdigit() or row[at] == "-" for row in cells)
        for at in range(len(names))
    ]
    lines = [list(names), ["-" * len(name) for name in names], *cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(names))]
    lines[1] = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def spark(counts: Sequence[float], most: float | None = None) -> str:
    """Return a row of blocks as high as the counts; 0 is a blank.

    Args:
        counts: One count for each block.
        most: The count of a full block; the highest count by default.
    """
    top = max(counts, default=0) if most is None else most
    if not top:
        return " " * len(counts)
    last = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[min(max(round(count / top * last), int(count > 0)), last)] for count in counts
    )


def bars(rows: Iterable[tuple[str, float]], *, unit: str = "", width: int = 40) -> str:
    """Return one bar per row, with its label and its value."""
    pairs = list(rows)
    most = max((value for _, value in pairs), default=0) or 1
    label_width = max((len(label) for label, _ in pairs), default=0)
    return "\n".join(
        f"{label:<{label_width}}  {'#' * round(value / most * width):<{width}}  {value:,.6g}{unit}"
        for label, value in pairs
    )


def buckets(events: Iterable[Event], until_s: float, count: int = _WIDTH) -> list[int]:
    """Count events in equal periods of time."""
    counts = [0] * count
    for event in events:
        if event.at <= until_s:
            counts[min(int(event.at / until_s * count), count - 1)] += 1
    return counts


def plot(trace: Trace, until_s: float, width: int = _WIDTH) -> str:
    """Return a plot with one row per kind of event; time runs from left to right."""
    kinds = dict.fromkeys(event.kind for event in trace)
    lines = []
    for kind in kinds:
        counts = buckets(trace.of(kind=kind), until_s, width)
        total = f"{sum(counts):,}"
        lines.append(f"{kind:<10} |{spark(counts)}| {total:>7}, at most {max(counts):,} a block")
    end = _span(until_s)
    lines.append(f"{'':<10}  0{end:>{width - 1}}   a block is {_span(until_s / width)}")
    return "\n".join(lines)


def _span(seconds: float) -> str:
    if seconds >= _HOUR_S:
        return f"{seconds / _HOUR_S:.3g} h"
    return f"{seconds / _MINUTE_S:.3g} min" if seconds >= _MINUTE_S else f"{seconds:.3g} s"
