"""Help: the keys of a screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from workkit_tui.keys import Key, bindings
from workkit_tui.protocols import TabLabel
from workkit_tui.themes import color
from workkit_tui.widgets.words import TextGrid, Words, headless_grid

__all__ = ["HelpScreen"]


class HelpScreen(ModalScreen[None]):
    """Explains the keys of one screen.

    Args:
        title: The title of the screen.
        keys: Its keys.
        tabs: The tabs, whose keys every screen understands.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "question_mark", "q", "f1"), "dismiss", "", "Close"),
            Key(("j", "down"), "scroll(1)", "", "Down"),
            Key(("k", "up"), "scroll(-1)", "", "Up"),
        )
    )

    def __init__(self, title: str, keys: Sequence[Key], tabs: Sequence[TabLabel]) -> None:
        super().__init__()
        self._title = title
        self._keys = keys
        self._tabs = tabs

    def compose(self) -> ComposeResult:
        """Build the box."""
        with VerticalScroll(classes="box", id="help-box"):
            yield Words(Text(f"Keys of {self._title}", "bold"), classes="title")
            yield Words(self._grid())
            yield Words(
                Text("A filter is a query: queue:mail error:timeout fails:>3 age:<1h not "
                     "args.tenant:acme. Capital letters are for actions that cannot be undone."),
                classes="keys",
            )  # fmt: skip
            yield Words("esc closes", classes="keys")

    def _grid(self) -> TextGrid:
        shade = color(self.app, "primary")
        grid = headless_grid()
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_row(
            Text(f"{self._tabs[0].key} … {self._tabs[-1].key}", f"bold {shade}"),
            Text("Go to " + ", ".join(tab.title for tab in self._tabs)),
        )
        for key in self._keys:
            grid.add_row(Text(key.all_shown, f"bold {shade}"), Text(key.help))
        return grid

    def action_scroll(self, by: int) -> None:
        """Scroll."""
        self.query_one("#help-box").scroll_relative(y=by, animate=False)
