"""The base of screens with a long text, which their keys scroll."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from workkit_tui.keys import Key
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.widgets.words import Words

__all__ = ["SCROLLING", "Scroll", "ScrollScreen"]

#: Keys that scroll.
SCROLLING: Final = (
    Key(("j", "down"), "scroll(1)", "", "Down"),
    Key(("k", "up"), "scroll(-1)", "", "Up"),
    Key(("ctrl+d", "ctrl+f", "pagedown"), "scroll(15)", "", "A page down"),
    Key(("ctrl+u", "ctrl+b", "pageup"), "scroll(-15)", "", "A page up"),
    Key(("g", "home"), "top", "", "To the top"),
    Key(("G", "end"), "bottom", "", "To the bottom"),
)


class Scroll(VerticalScroll, can_focus=True, inherit_bindings=False):
    """The body; the screen's keys scroll it."""


class ScrollScreen(ConsoleScreen):
    """A screen with a long text."""

    AUTO_FOCUS = "Scroll"

    def body(self) -> ComposeResult:
        """Build the body."""
        with Scroll(id="job"):
            yield Words("", id="job-text")

    @property
    def text(self) -> Words:
        """Where the text is written."""
        return self.query_one("#job-text", Words)

    def action_scroll(self, by: int) -> None:
        """Scroll."""
        self.query_one(Scroll).scroll_relative(y=by, animate=False)

    def action_top(self) -> None:
        """Scroll to the top."""
        self.query_one(Scroll).scroll_home(animate=False)

    def action_bottom(self) -> None:
        """Scroll to the bottom."""
        self.query_one(Scroll).scroll_end(animate=False)
