"""A box in which the columns of a table are chosen and ordered."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from workkit.core.text import clean
from workkit.errors import InvalidOption
from workkit_tui.keys import Key, bindings
from workkit_tui.screens.box import BoxScreen
from workkit_tui.themes import color
from workkit_tui.widgets.table import Table
from workkit_tui.widgets.words import Words

__all__ = ["ColumnsScreen"]

_KEYS: Final = "space shows or hides   - earlier   + later   d usual   esc closes"


class ColumnsScreen(BoxScreen):
    """Chooses the columns of a table; the table behind shows them at once.

    Args:
        table: The table.
        name: The name under which the choice is remembered.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "enter", "q"), "close", "", "Remember the choice, and close"),
            Key(("j", "down"), "move(1)", "", "Down"),
            Key(("k", "up"), "move(-1)", "", "Up"),
            Key(("space",), "flip", "", "Show the column, or hide it"),
            Key(("plus",), "shift(1)", "", "Later"),
            Key(("minus",), "shift(-1)", "", "Earlier"),
            Key(("d",), "usual", "", "The usual columns"),
        )
    )

    def __init__(self, table: Table, name: str) -> None:
        super().__init__()
        self._table = table
        self._remembered_as = name
        self._at = 0
        self._before = table.chosen
        self._take(table.chosen)

    def _take(self, chosen: list[str] | None) -> None:
        """List the columns: the chosen ones first, in their order; or those that are in sight."""
        every = self._table.named_columns
        if chosen is None:
            self._order, self._shown = every, set(every) & set(self._table.shown_columns)
            return
        shown = [name for name in chosen if name in every]
        self._order = [*shown, *(name for name in every if name not in shown)]
        self._shown = set(shown)

    def on_mount(self) -> None:
        """Write the box."""
        self.say("Columns of this list", "", _KEYS)
        self._draw()

    def _draw(self) -> None:
        text = Text()
        fitting = self._table.shown_columns
        for at, name in enumerate(self._order):
            mark = "●" if name in self._shown else "·"
            style = f"bold {color(self.app, 'primary')}" if at == self._at else ""
            text.append(f"{'▸' if at == self._at else ' '} {mark} {clean(name)}", style)
            if name in self._shown and name not in fitting:
                text.append("  no room in this width", color(self.app, "secondary"))
            text.append("\n")
        text.rstrip()
        self.query_one("#box-text", Words).update(text)

    def _apply(self) -> None:
        self._table.chosen = [name for name in self._order if name in self._shown]
        self._draw()

    # Keys.

    def action_move(self, by: int) -> None:
        """Go to another column."""
        self._at = (self._at + by) % len(self._order)
        self._draw()

    def action_flip(self) -> None:
        """Show the column, or hide it; one stays."""
        name = self._order[self._at]
        if name not in self._shown:
            self._shown.add(name)
        elif len(self._shown) > 1:
            self._shown.remove(name)
        self._apply()

    def action_shift(self, by: int) -> None:
        """Move the column."""
        to = self._at + by
        if 0 <= to < len(self._order):
            order = self._order
            order[self._at], order[to] = order[to], order[self._at]
            self._at = to
            self._apply()

    def action_usual(self) -> None:
        """Take the usual columns."""
        self._table.chosen = None
        self._take(None)
        self._draw()

    def action_close(self) -> None:
        """Remember the choice, and close."""
        chosen = self._table.chosen
        if chosen != self._before:
            try:
                self.console.remembered.choose_columns(self._remembered_as, chosen)
            except InvalidOption as error:
                self.app.notify(f"The columns are not saved: {clean(str(error))}", severity="error")
        self.dismiss(result=False)
