"""What all screens have in common: the bars, the keys, the prompt, and how a view arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Static

from workkit.admin.reader import Reader
from workkit.core.records import Overview
from workkit.core.text import clean
from workkit_tui.feed import View
from workkit_tui.keys import COMMON, Key, bindings
from workkit_tui.model.words import per_s, short
from workkit_tui.themes import color
from workkit_tui.widgets.bars import Banner, Footer, Status, Tabs
from workkit_tui.widgets.prompt import Prompt
from workkit_tui.widgets.table import Table

if TYPE_CHECKING:
    from workkit_tui.app import Console

__all__ = ["ConsoleScreen", "ListScreen"]


class ConsoleScreen(Screen[None]):
    """A screen of the console.

    Class attributes:
        TAB: The numbered screen that it belongs to.
        TITLE_SHOWN: What it is called.
        KEYS: Its own keys; those of `keys.COMMON` come on top.
    """

    TAB: ClassVar[str] = ""
    TITLE_SHOWN: ClassVar[str] = ""
    KEYS: ClassVar[tuple[Key, ...]] = ()
    AUTO_FOCUS = "Table"

    #: Kept, for threads that end after the screen has been closed.
    _owner: Console | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Make bindings of the keys before Textual collects them."""
        cls.BINDINGS = bindings((*cls.KEYS, *COMMON))  # type: ignore[assignment]
        super().__init_subclass__(**options)

    @property
    def console(self) -> Console:
        """The application."""
        if self._owner is None:
            from workkit_tui.app import Console

            app = self.app
            assert isinstance(app, Console)  # noqa: S101 - it has no other screens
            self._owner = app
        return self._owner

    # Building.

    def compose(self) -> ComposeResult:
        """Put the bars around the body."""
        yield Status()
        yield Tabs()
        yield Banner()
        with Vertical(classes="body"):
            yield Static("", classes="heading", id="heading")
            yield from self.body()
        yield Prompt()
        yield Footer()

    def body(self) -> ComposeResult:
        """Build what is the screen's own."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Fill the bars."""
        self.query_one(Tabs).current = self.TAB
        self.query_one(Banner).display = False
        self.query_one(Footer).keys = tuple(
            key for key in self.all_keys() if not (key.acts and self._may_never_act)
        )

    @property
    def _may_never_act(self) -> bool:
        return self.console.settings.read_only or self.console.actions is None

    def all_keys(self) -> tuple[Key, ...]:
        """Return the screen's own keys and the common ones."""
        return (*self.KEYS, *COMMON)

    def runner(self, key: Key) -> Callable[[], Awaitable[None]]:
        """Return what does the same as a key."""
        return partial(self.run_action, key.action)

    # A view arrives.

    def gather(self, reader: Reader, seen: Overview) -> Any:
        """Read what the screen needs beside the overview; called on another thread."""
        del reader, seen

    def show(self, view: View) -> None:
        """Draw a view that was gathered for this screen."""
        raise NotImplementedError

    def take(self, view: View) -> None:
        """Take a view in."""
        if self.query(Footer):  # built, and not on its way out
            self.take_common(view)
            self.show(view)

    def take_common(self, view: View) -> None:
        """Take in what every screen shows: bars and counts."""
        if not self.query(Footer):
            return
        seen = view.seen
        queued, dead = seen.queued, seen.dead
        self.query_one(Tabs).counts = {
            "queues": short(queued) if queued else "",
            "workers": f"{len(seen.pools)}" if seen.pools else "",
            "retry": short(seen.retry) if seen.retry else "",
            "scheduled": short(seen.scheduled) if seen.scheduled else "",
            "dead": short(dead) if dead else "",
        }

    def say_state(self) -> None:
        """Draw what changes without a view: how fresh it is, and what is wrong."""
        if not self.query(Footer):
            return
        console = self.console
        words, meaning = console.state_words()
        # What is looked at gives way where there is no room, not that nothing can be changed.
        left = Text("workkit ", "bold")
        if console.settings.read_only:
            left.append("read-only ", f"not bold {self._color('warning')}")
        left.append(clean(console.reader.label), f"not bold {self._color('primary')}")
        right = Text()
        if console.view is not None:
            trends = console.view.trends
            right.append(f"{per_s(trends.done_per_s)} done/s  ", self._color("secondary"))
            if trends.failed_per_s:
                right.append(f"{per_s(trends.failed_per_s)} failed/s  ", self._color("error"))
        right.append("● ", self._color(meaning))
        right.append(words, self._color(meaning if meaning != "success" else "secondary"))
        status = self.query_one(Status)
        if status.left != left or status.right != right:
            status.left, status.right = left, right
        banner = self.query_one(Banner)
        trouble = clean(console.trouble)
        banner.text = f"{words[0].upper()}{words[1:]} · {trouble}" if trouble else ""

    def _color(self, name: str) -> str:
        return color(self.app, name)

    def head(self, *parts: str | tuple[str, str]) -> None:
        """Write the line above the body.

        Args:
            *parts: Texts, or texts with the name of a colour of the theme.
        """
        text = Text(no_wrap=True, overflow="ellipsis")
        for part in parts:
            if isinstance(part, str):
                text.append(part)
            else:
                text.append(part[0], self._color(part[1]))
        self.write("#heading", text)

    def write(self, where: str, text: Text) -> None:
        """Write a text of one size, if it is not there already.

        Args:
            where: The selector of its widget.
            text: What it says.
        """
        widget = self.query_one(where, Static)
        if widget.content != text:
            widget.update(text, layout=False)

    # The prompt.

    @property
    def prompt(self) -> Prompt:
        """The line for typing."""
        return self.query_one(Prompt)

    def close_prompt(self) -> None:
        """Hide the line for typing, and go back to the body."""
        self.prompt.close()
        for table in self.query(Table):
            table.focus()
            break

    def action_back(self) -> None:
        """Close the prompt, or leave a screen that was opened from another."""
        if self.prompt.open:
            self.close_prompt()
        elif len(self.app.screen_stack) > 2:  # noqa: PLR2004 - Textual's own, and the tab
            self.app.pop_screen()

    def on_screen_resume(self) -> None:
        """Show what is known when the screen comes back."""
        if self.console.view is not None:
            self.call_later(self.take_common, self.console.view)
        self.console.action_refresh_now()


class ListScreen(ConsoleScreen):
    """A screen with a table, of which some keys move the cursor."""

    @property
    def table(self) -> Table:
        """The table that the keys move in."""
        return self.query_one(Table)

    def action_cursor_down(self) -> None:
        """Go down a row."""
        self.table.move(1)

    def action_cursor_up(self) -> None:
        """Go up a row."""
        self.table.move(-1)

    def action_page_down(self) -> None:
        """Go down a page."""
        self.table.move(self.table.room)

    def action_page_up(self) -> None:
        """Go up a page."""
        self.table.move(-self.table.room)

    def action_cursor_first(self) -> None:
        """Go to the first row."""
        self.table.cursor = 0

    def action_cursor_last(self) -> None:
        """Go to the last row."""
        self.table.cursor = self.table.total - 1

    def on_table_opened(self, event: Table.Opened) -> None:
        """Open the row that was clicked twice."""
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """Open the row under the cursor."""
