"""Shows a long text in the user's pager, or in a text area without a terminal."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from workkit.core.pager import page
from workkit.core.text import clean
from workkit.errors import InvalidOption
from workkit_tui.keys import Key, bindings
from workkit_tui.model.copies import Copy
from workkit_tui.widgets.words import Words

__all__ = ["TextScreen", "show_long"]


def show_long(app: App[Any], text: Copy) -> None:
    """Show a long text: in the user's pager, or in a text area, as in a browser.

    Args:
        app: The application.
        text: The text, harmless for a terminal.
    """
    if app.is_web or app.is_headless:
        app.push_screen(TextScreen(text))
        return
    try:
        with app.suspend():
            page(f"{text.text}\n")
    except SuspendNotSupported:
        app.push_screen(TextScreen(text))
    except InvalidOption as error:
        app.notify(clean(str(error)), severity="error")


class TextScreen(ModalScreen[None]):
    """A text area that only shows.

    Args:
        text: The text.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (Key(("escape", "q"), "dismiss", "", "Close"),)
    )

    def __init__(self, text: Copy) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Build the area."""
        with Vertical(classes="box"):
            yield Words(Text(clean(self._text.what), "bold"), classes="title")
            area = TextArea(self._text.text, read_only=True, soft_wrap=True, id="long-text")
            area.styles.height = "1fr"
            yield area
            yield Words("esc closes", classes="keys")

    def on_mount(self) -> None:
        """Let the keys move in the text."""
        self.query_one(TextArea).focus()
