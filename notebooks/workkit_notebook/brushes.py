"""Chooses a span of a histogram over time: with a brush, or with a slider below the picture.

The brush is a part for `anywidget`, which several kinds of pages can show. Where anywidget is not
installed, the slider does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from workkit_notebook import html
from workkit_notebook.extra import anywidget, traitlets, widgets

__all__ = ["Brush", "Slider", "SpanChoice", "choice"]

_LABEL: Final = "dead jobs over time"
#: Runs in the page.
_PROGRAM: Final = Path(__file__).with_name("brush.js").read_text(encoding="utf-8")


class SpanChoice:
    """What chooses a span: the buckets from `index[0]` up to `index[1]`.

    Attributes:
        parts: The widgets to show, from top to bottom.
    """

    parts: Sequence[Any]

    @property
    def index(self) -> tuple[int, int]:
        """The first bucket of the span, and the end."""
        raise NotImplementedError

    def fill(self, labels: Sequence[str]) -> None:
        """Choose everything.

        Args:
            labels: When each bucket begins, and when the last one ends.
        """
        raise NotImplementedError

    def show(self, counts: Sequence[int]) -> None:
        """Show how many jobs each bucket has."""
        raise NotImplementedError

    def observe(self, changed: Callable[[], None]) -> None:
        """Call a function when the user has chosen another span."""
        raise NotImplementedError


class Slider(SpanChoice):
    """A histogram, and a slider with two ends below it."""

    def __init__(self) -> None:
        self._histogram = widgets.HTML()
        self._slider = widgets.SelectionRangeSlider(
            options=[("-", 0), ("-", 1)],
            index=(0, 1),
            readout=False,
            continuous_update=False,
            layout=widgets.Layout(width="736px", margin="0 0 0 -6px"),
        )
        self.parts = (self._histogram, self._slider)

    @property
    def index(self) -> tuple[int, int]:
        """The first bucket of the span, and the end."""
        low, high = self._slider.index
        return int(low), int(high)

    def fill(self, labels: Sequence[str]) -> None:
        """Choose everything."""
        self._slider.options = [(label, at) for at, label in enumerate(labels)]
        self._slider.index = (0, len(labels) - 1)

    def show(self, counts: Sequence[int]) -> None:
        """Show how many jobs each bucket has."""
        low, high = self.index
        inside = [low <= at < max(high, low + 1) for at in range(len(counts))]
        self._histogram.value = html.histogram(counts, inside, _LABEL)

    def observe(self, changed: Callable[[], None]) -> None:
        """Call a function when the user has chosen another span."""
        self._slider.observe(lambda _: changed(), "index")


if anywidget is not None:

    class _Part(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The brush in the page."""

        # Of a path, anywidget would make a file that it watches, and that keeps each part for ever.
        _esm = traitlets.Unicode(_PROGRAM).tag(sync=True)
        counts = traitlets.List(traitlets.Int()).tag(sync=True)
        labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
        index = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(0, 1)).tag(
            sync=True
        )


class Brush(SpanChoice):
    """A histogram in which a span is chosen by dragging, or with the keys."""

    def __init__(self) -> None:
        self._part = _Part()
        self.parts = (self._part,)

    @property
    def index(self) -> tuple[int, int]:
        """The first bucket of the span, and the end. A page may send anything."""
        last = max(len(self._part.labels) - 1, 1)
        low, high = self._part.index
        low = min(max(low, 0), last - 1)
        return low, min(max(high, low + 1), last)

    def fill(self, labels: Sequence[str]) -> None:
        """Choose everything."""
        with self._part.hold_sync():
            self._part.labels = list(labels)
            self._part.index = (0, len(labels) - 1)

    def show(self, counts: Sequence[int]) -> None:
        """Show how many jobs each bucket has."""
        self._part.counts = list(counts)

    def observe(self, changed: Callable[[], None]) -> None:
        """Call a function when the user has chosen another span."""
        self._part.observe(lambda _: changed(), "index")


def choice(*, brush: bool) -> SpanChoice:
    """Return a brush if it is wanted and anywidget is installed, else a slider."""
    return Brush() if brush and anywidget is not None else Slider()
