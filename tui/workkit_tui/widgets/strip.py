"""The strip under the tabs: throughput, failures and deaths of a recording, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from workkit.core.text import clean, clip, width
from workkit.recording import Mark
from workkit.recording.marks import SIGNS
from workkit.recording.reading import Point
from workkit.recording.times import local_time
from workkit_tui.past import StripView
from workkit_tui.widgets.spark import blocks

__all__ = ["TimeStrip"]

#: Where nothing was recorded.
_NOTHING: Final = "·"
#: Terminals from this height show the failures on a line of their own, lines.
_TALL: Final = 30
_ORDER: Final = tuple(SIGNS)


class TimeStrip(Widget):
    """The strip; hidden in the present."""

    COMPONENT_CLASSES = {  # noqa: RUF012 - as Textual declares it
        "strip--done", "strip--failed", "strip--died", "strip--mark", "strip--text",
        "strip--nothing",
    }  # fmt: skip

    view: reactive[StripView | None] = reactive(None, layout=False)

    def watch_view(self) -> None:
        """Show it only in the past."""
        self.set_class(self.app.size.height >= _TALL, "tall")
        self.display = self.view is not None

    def render(self) -> Text:
        """Draw the series, the marks and the times."""
        view = self.view
        if view is None:
            return Text()
        tall = self.size.height > 3  # noqa: PLR2004 - series, marks, times
        lines = [self._series(view, failures=not tall)]
        if tall:
            lines.append(self._failures(view))
        return Text("\n").join([*lines, self._marks(view), self._times(view)])

    def _cursor(self, view: StripView) -> int:
        return self._column(view, view.at_s)

    def _series(self, view: StripView, *, failures: bool) -> Text:
        """Draw how much was done; in colour where something failed, if that has no own line."""
        drawn = blocks([_rate(point, point.done) for point in view.points], len(view.points))[0]
        text = Text(no_wrap=True)
        for at, (point, block) in enumerate(zip(view.points, drawn, strict=True)):
            style = "strip--done"
            if failures and point.died:
                style = "strip--died"
            elif failures and point.failed:
                style = "strip--failed"
            self._put(text, view, at, block if point.recorded_s else _NOTHING, style)
        return text

    def _failures(self, view: StripView) -> Text:
        drawn = blocks([_rate(point, point.failed) for point in view.points], len(view.points))[0]
        text = Text(no_wrap=True)
        for at, (point, block) in enumerate(zip(view.points, drawn, strict=True)):
            style = "strip--died" if point.died else "strip--failed"
            shown = " " if not point.failed else block
            self._put(text, view, at, shown if point.recorded_s else _NOTHING, style)
        return text

    def _put(self, text: Text, view: StripView, at: int, sign: str, style: str) -> None:
        if sign == _NOTHING:
            style = "strip--nothing"
        drawn = self._style(style)
        text.append(sign, f"{drawn} reverse" if at == self._cursor(view) else drawn)

    def _marks(self, view: StripView) -> Text:
        columns: list[Mark | None] = [None] * len(view.points)
        for mark in view.marks:
            at = self._column(view, mark.at_s)
            here = columns[at]
            if here is None or _ORDER.index(mark.kind) < _ORDER.index(here.kind):
                columns[at] = mark
        text = Text(no_wrap=True)
        for at, found in enumerate(columns):
            bad = found is not None and found.kind in {"died", "lost"}
            style = "strip--died" if bad else "strip--mark"
            cursor = at == self._cursor(view)
            sign = SIGNS[found.kind] if found is not None else "▲" if cursor else " "
            text.append(sign, self._style(style) + (" reverse" if cursor and found else ""))
        return text

    def _column(self, view: StripView, at_s: float) -> int:
        part = (at_s - view.from_s) / (view.until_s - view.from_s)
        return min(max(int(part * len(view.points)), 0), len(view.points) - 1)

    def _times(self, view: StripView) -> Text:
        """Write both ends, the last mark up to the time that is shown, and how old lists are."""
        low = local_time(view.from_s, view.until_s)
        high = local_time(view.until_s, view.until_s)
        lists = (
            "not recorded" if view.lists_s is None else f"of {local_time(view.lists_s, view.at_s)}"
        )
        high = f"lists {lists}   {high}"
        room = max(len(view.points) - width(low) - width(high) - 2, 0)
        said = clip(_said(view.marks, view.at_s), room)
        quiet = self._style("strip--text")
        text = Text(no_wrap=True)
        text.append(f"{low} ", quiet)
        text.append(said + " " * (room - width(said)), self._style("strip--mark"))
        text.append(f" {high}", quiet)
        return text

    def _style(self, name: str) -> str:
        return str(self.get_component_rich_style(name, partial=True))


def _rate(point: Point, number: float) -> float:
    return number / point.recorded_s if point.recorded_s else 0.0


def _said(marks: Sequence[Mark], at_s: float) -> str:
    """Describe the last marks up to a time."""
    known = [mark for mark in marks if mark.at_s <= at_s]
    if not known:
        return ""
    last = known[-1]
    return clean(f"{SIGNS[last.kind]} {local_time(last.at_s, at_s)} {last.text}")
