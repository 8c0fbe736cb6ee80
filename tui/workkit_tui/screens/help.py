"""Help: the keys of a screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from workkit_tui.keys import TABS, Key, bindings
from workkit_tui.themes import color

__all__ = ["HelpScreen"]


class HelpScreen(ModalScreen[None]):
    """Explains the keys of one screen.

    Args:
        title: The screen's.
        keys: Its keys.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "question_mark", "q", "f1"), "dismiss", "", "Close"),
            Key(("j", "down"), "scroll(1)", "", "Down"),
            Key(("k", "up"), "scroll(-1)", "", "Up"),
        )
    )

    def __init__(self, title: str, keys: Sequence[Key]) -> None:
        super().__init__()
        self._title = title
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Build the box."""
        with VerticalScroll(classes="box", id="help-box"):
            yield Static(Text(f"Keys of {self._title}", "bold"), classes="title")
            yield Static(self._grid())
            yield Static(
                Text("A filter is a query: queue:mail error:timeout fails:>3 age:<1h not "
                     "args.tenant:acme. Capital letters are for what cannot be undone."),
                classes="keys",
            )  # fmt: skip
            yield Static("esc closes", classes="keys")

    def _grid(self) -> Grid:
        shade = color(self.app, "primary")
        grid = Grid.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_row(
            Text(f"1 … {len(TABS)}", f"bold {shade}"),
            Text("Go to " + ", ".join(title for _, title in TABS)),
        )
        for key in self._keys:
            if key.action.startswith("app.tab("):
                continue
            grid.add_row(Text(key.all_shown, f"bold {shade}"), Text(key.help))
        return grid

    def action_scroll(self, by: int) -> None:
        """Scroll."""
        self.query_one("#help-box").scroll_relative(y=by, animate=False)
