"""A series as one or two lines of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from workkit.core.text import width

__all__ = ["Spark", "blocks", "squeezed"]

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_STEPS: Final = 8


def squeezed(points: Sequence[float | None], columns: int) -> list[float | None]:
    """Return a series in at most so many points, each the highest of some that follow each other.

    Args:
        points: The series; None for unknown points.
        columns: How many, at least 1.
    """
    share = -(-len(points) // columns) if points else 1
    groups = (points[max(end - share, 0) : end] for end in range(len(points), 0, -share))
    highest = [max((each for each in group if each is not None), default=None) for group in groups]
    return highest[::-1]


def blocks(points: Sequence[float | None], columns: int, lines: int = 1) -> list[str]:
    """Draw the newest points of a series, the newest at the right.

    Args:
        points: The series; None for unknown points, which stay blank.
        columns: How wide.
        lines: How high.

    Returns:
        The lines, the upper one first. A point above zero is always visible.
    """
    shown = list(points)[-columns:]
    top = max((point for point in shown if point is not None), default=0) or 1
    heights = [
        max(round(point / top * lines * _STEPS), 1) if point is not None and point > 0 else 0
        for point in shown
    ]
    drawn = []
    for line in range(lines - 1, -1, -1):
        cells = [_BLOCKS[min(max(height - line * _STEPS, 0), _STEPS)] for height in heights]
        if line == 0:
            cells = [
                "▁" if cell == " " and point is not None else cell
                for cell, point in zip(cells, shown, strict=True)
            ]
        drawn.append("".join(cells).rjust(columns))
    return drawn


class Spark(Widget):
    """A titled series with its newest value."""

    COMPONENT_CLASSES = {  # noqa: RUF012 - as Textual declares it
        "spark--title", "spark--value", "spark--line", "spark--alarm", "spark--bad",
    }  # fmt: skip

    points: reactive[tuple[float | None, ...]] = reactive(tuple)
    #: The span of the series, shown behind the title; then all of it is drawn.
    span = reactive("")
    value = reactive("")
    alarm = reactive(default=False)

    def __init__(self, title: str, *, note: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._title = title
        self._note = note

    def render(self) -> Text:
        """Draw the title and the value, a note if there is room for it, and the series below."""
        text = Text(no_wrap=True)
        text.append(f"{self._title}{self.span} ", self._style("spark--title"))
        value_style = self._style("spark--bad" if self.alarm else "spark--value")
        text.append(self.value or "-", value_style)
        if (
            self._note
            and self.value not in {"", "-"}
            and text.cell_len + 1 + width(self._note) <= self.size.width
        ):
            text.append(f" {self._note}", self._style("spark--title"))
        text.truncate(self.size.width)
        style = self._style("spark--alarm" if self.alarm else "spark--line")
        high = max(self.size.height - 1, 1)
        wide = max(self.size.width, 1)
        points = squeezed(self.points, wide) if self.span else self.points
        for line in blocks(points, wide, high):
            text.append(f"\n{line}", style)
        return text

    def _style(self, name: str) -> str:
        return str(self.get_component_rich_style(name, partial=True))
