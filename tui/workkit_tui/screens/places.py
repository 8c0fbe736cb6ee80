"""Places: several namespaces, and what needs attention in all of them."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final, NamedTuple

from textual.app import ComposeResult

from workkit.admin.attention import Concern
from workkit.core.text import clean, counted
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key, copying
from workkit_tui.model.copies import Copy
from workkit_tui.model.words import count, per_s
from workkit_tui.places import Place
from workkit_tui.screens.base import ListScreen
from workkit_tui.widgets.table import Row, Table, TableColumn

__all__ = ["PlacesScreen"]

_TICK_S: Final = 0.5
#: So many concerns are shown for each place; its own console shows all.
_MOST: Final = 5
_COLUMNS: Final = (
    TableColumn("Place", 14, grows=1),
    TableColumn("Waiting", 8, right=True),
    TableColumn("Running", 8, right=True, needs=100),
    TableColumn("Retry", 7, right=True, needs=90),
    TableColumn("Dead", 7, right=True),
    TableColumn("Pools", 6, right=True, needs=100),
    TableColumn("Done/s", 7, right=True, needs=110),
    TableColumn("Attention", 30, grows=4),
)
_COLORS: Final = {"bad": "bad", "warn": "warn", "info": "quiet"}


class _Line(NamedTuple):
    """A line of the list: the figures of a place with its first concern, or a further concern."""

    at: int
    is_first: bool
    concern: Concern | None
    more: int = 0


class PlacesScreen(ListScreen):
    """The namespaces of this console."""

    TAB = "places"
    TITLE_SHOWN = "Places"
    KEYS: ClassVar = (
        Key(("enter",), "open", "open", "Open the console of the place"),
        copying("the name of the place"),
        *MOVING,
    )

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[_Line] = []

    def body(self) -> ComposeResult:
        """Build the table."""
        yield Table(_COLUMNS, self._row, name="places")

    def on_mount(self) -> None:
        """Read all places from now on, each on its own thread: one that hangs holds up nobody."""
        super().on_mount()
        self.set_interval(_TICK_S, self._look)
        self._draw()

    @property
    def _places(self) -> list[Place]:
        places = self.console.places
        return list(places.all) if places is not None else []

    def _look(self) -> None:
        if self.app.screen is not self:
            return
        now_s = self.console.clock.read().monotonic_s
        for place in self._places:
            if not place.looking and now_s >= place.next_look_s:
                place.looking = True
                self.run_worker(partial(self._look_at, place, now_s), thread=True, group="places")

    def _look_at(self, place: Place, now_s: float) -> None:
        place.look(now_s)
        if self.console.is_running:
            self.console.call_from_thread(self._draw)

    def show(self, view: View) -> None:
        """Draw the places; the view is of the open one only."""
        del view
        self._draw()

    def _draw(self) -> None:
        if not self.query(Table):
            return
        self._lines = [line for at, place in enumerate(self._places) for line in _lines(at, place)]
        self.table.total = len(self._lines)
        self.table.refresh_rows()
        places = self._places
        in_need = sum(1 for line in self._lines if line.is_first and _needs(places[line.at]))
        self.head(
            (counted(len(places), "place"), "secondary"),
            (f" · {in_need} need attention" if in_need else "", "warning"),
        )

    def _row(self, at: int) -> Row | None:
        if at >= len(self._lines):
            return None
        line = self._lines[at]
        place = self._places[line.at]
        figures = _figures(place) if line.is_first else [""] * (len(_COLUMNS) - 1)
        return Row([*figures, _attention(place, line)])

    def copies(self) -> list[Copy]:
        """Return the name of the place under the cursor."""
        lines = self._lines[self.table.cursor : self.table.cursor + 1]
        return [Copy("the name", clean(self._places[line.at].title)) for line in lines]

    def action_open(self) -> None:
        """Open the console of the place under the cursor."""
        if self.table.cursor >= len(self._lines):
            return
        at = self._lines[self.table.cursor].at
        if self.app.is_web:
            self.app.open_url(f"?place={at + 1}", new_tab=False)  # a page has one console
        else:
            self.app.exit(at)


def _lines(at: int, place: Place) -> list[_Line]:
    found = place.view.concerns if place.view is not None and not place.trouble else []
    shown = found[:_MOST]
    if not shown:
        return [_Line(at, is_first=True, concern=None)]
    last = len(shown) - 1
    return [
        _Line(at, n == 0, concern, len(found) - len(shown) if n == last else 0)
        for n, concern in enumerate(shown)
    ]


def _needs(place: Place) -> bool:
    return bool(place.trouble or (place.view is not None and place.view.concerns))


def _figures(place: Place) -> list[str]:
    title = clean(place.title)
    if place.view is None:
        return [title, *["-"] * (len(_COLUMNS) - 2)]
    seen = place.view.seen
    return [
        title, count(seen.queued), count(seen.running), count(seen.retry), count(seen.dead),
        count(len(seen.pools)), per_s(place.view.trends.done_per_s),
    ]  # fmt: skip


def _attention(place: Place, line: _Line) -> str | tuple[str, str]:
    if place.trouble:
        return clean(place.trouble), "bad"
    if place.view is None:
        return "is being read"
    if line.concern is None:
        return "-"
    more = f" (and {line.more} more)" if line.more else ""
    return clean(line.concern.text) + more, _COLORS[line.concern.level]
