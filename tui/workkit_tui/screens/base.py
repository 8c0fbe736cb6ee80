"""The base of all screens: the bars, the keys, the prompt, and how a view arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from workkit.admin.reader import Reader
from workkit.core.records import Overview
from workkit.core.text import clean
from workkit_tui.feed import View
from workkit_tui.keys import COMMON, Key, bindings
from workkit_tui.model.copies import Copy
from workkit_tui.model.words import per_s
from workkit_tui.protocols import ConsoleApp
from workkit_tui.remembered import SavedView
from workkit_tui.screens.choosing import ColumnsScreen
from workkit_tui.screens.paging import show_long
from workkit_tui.themes import color
from workkit_tui.widgets.bars import Banner, Footer, Status, TabBar
from workkit_tui.widgets.prompt import Prompt
from workkit_tui.widgets.strip import TimeStrip
from workkit_tui.widgets.table import Table
from workkit_tui.widgets.words import Words

__all__ = ["ConsoleScreen", "ListScreen"]


class ConsoleScreen(Screen[None]):
    """A screen of the console.

    Class attributes:
        TAB: The name of the tab that it belongs to.
        TITLE_SHOWN: Its title.
        KEYS: Its own keys, in addition to those of `keys.COMMON`.
    """

    TAB: ClassVar[str] = ""
    TITLE_SHOWN: ClassVar[str] = ""
    KEYS: ClassVar[tuple[Key, ...]] = ()
    AUTO_FOCUS = "Table"

    #: Whether the screen shows series of an hour.
    WANTS_HOUR: ClassVar[bool] = False
    #: Kept for threads that end after the screen has been closed.
    _owner: ConsoleApp | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Make bindings of the keys before Textual collects them."""
        cls.BINDINGS = bindings((*cls.KEYS, *COMMON))  # type: ignore[assignment]
        super().__init_subclass__(**options)

    @property
    def console(self) -> ConsoleApp:
        """The application."""
        if self._owner is None:
            owner: Any = self.app
            self._owner = owner
        assert self._owner is not None  # noqa: S101 - it was set just now
        return self._owner

    @classmethod
    def badge(cls, seen: Overview) -> str:
        """Return the text beside the tab of this screen, such as its number of jobs."""
        del seen
        return ""

    # Building.

    def compose(self) -> ComposeResult:
        """Put the bars around the body."""
        yield Status()
        yield TabBar()
        yield TimeStrip()
        yield Banner()
        with Vertical(classes="body"):
            yield Words("", classes="heading", id="heading")
            yield from self.body()
        yield Prompt()
        yield Footer()

    def body(self) -> ComposeResult:
        """Build the body of the screen."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Fill the bars."""
        bar = self.query_one(TabBar)
        bar.tabs, bar.current = tuple(self.console.tabs), self.TAB
        self.query_one(Banner).display = False
        self.query_one(TimeStrip).display = False
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
        """Return a function that does the same as a key."""
        return partial(self.run_action, key.action)

    def leave(self) -> None:
        """Prepare for another tab to take this one's place."""

    # Views.

    def gather(self, reader: Reader, seen: Overview) -> Any:
        """Read the data that the screen needs besides the overview; called on another thread."""
        del reader, seen

    def show(self, view: View) -> None:
        """Draw a view that was gathered for this screen."""
        raise NotImplementedError

    def take(self, view: View) -> None:
        """Show a view."""
        if self.is_built:
            self.take_common(view)
            self.show(view)

    def show_hour(self) -> None:
        """Draw the series of an hour that were read."""

    def take_common(self, view: View) -> None:
        """Show the parts of a view that every screen has: bars and counts."""
        if not self.is_built:
            return
        self.query_one(TabBar).counts = dict(self.console.badges(view.seen))

    def say_state(self) -> None:
        """Draw how fresh the data is, and any trouble."""
        if not self.is_built:
            return
        console = self.console
        words, meaning = console.state_words()
        # If there is no room, the address is cut, never "read-only".
        left = Text("workkit ", "bold")
        if console.settings.read_only:
            left.append("read-only ", f"not bold {self._color('warning')}")
        if console.past is not None:
            left.append("past of ", f"not bold {self._color('warning')}")
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
        past = console.past
        self.query_one(TimeStrip).view = past.strip if past is not None else None
        self.query_one(Footer).note = "[ ] { } step · z play · : time" if past is not None else ""
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
                text.append(clean(part))
            else:
                text.append(clean(part[0]), self._color(part[1]))
        self.write("#heading", text)

    def write(self, where: str, text: Text) -> None:
        """Write a text of constant size; does nothing if it is there already.

        Args:
            where: The selector of its widget.
            text: The text.
        """
        widget = self.query_one(where, Words)
        if widget.content != text:
            widget.update(text, layout=False)

    # Saved views.

    #: The name of the screen in saved views and for chosen columns; "" for that of its tab.
    NAME: ClassVar[str] = ""

    @property
    def kind(self) -> str:
        """The name of the screen in saved views, and for chosen columns."""
        return self.NAME or self.TAB

    def saved(self) -> SavedView | None:
        """Return what the screen shows, to be shown again; None if that makes no sense."""
        return SavedView(self.kind)

    def restore(self, view: SavedView) -> None:
        """Show what was saved, at once or when the screen is opened.

        Raises:
            InvalidQuery: Its filter is not a query.
        """

    @property
    def is_built(self) -> bool:
        """Whether its parts are there: the bars come before the body, and go with the screen."""
        return self.is_mounted and bool(self.query(Footer))

    # Copying.

    def copies(self) -> Sequence[Copy]:
        """Return what can be copied here, as it is shown; the first is copied at once."""
        return ()

    def action_copy(self) -> None:
        """Copy what the cursor is on."""
        for each in self.copies():
            self.console.copy(each)
            return
        self.notify("There is nothing to copy here.", severity="warning")

    # Long texts.

    def long_text(self) -> Copy | None:
        """Return all that is known of what the cursor is on, for the pager; None for nothing."""
        return None

    def action_pager(self) -> None:
        """Read all that is known of what the cursor is on."""
        text = self.long_text()
        if text is None:
            self.notify("There is nothing to read here.", severity="warning")
        else:
            show_long(self.app, text)

    # The prompt.

    @property
    def prompt(self) -> Prompt:
        """The line for typing."""
        return self.query_one(Prompt)

    def close_prompt(self) -> None:
        """Hide the line for typing, and go back to the body."""
        self.prompt.close()
        for table in self.query(Table):
            self.set_focus(table)
            break

    def action_back(self) -> None:
        """Close the prompt, or leave a screen that was opened from another."""
        if self.prompt.open:
            self.close_prompt()
        elif len(self.app.screen_stack) > 2:  # noqa: PLR2004 - Textual's own, and the tab
            self.app.pop_screen()

    def on_screen_resume(self) -> None:
        """Show the last view when the screen comes back."""
        if self.console.view is not None:
            self.call_later(self.take_common, self.console.view)
        self.console.action_refresh_now()


class ListScreen(ConsoleScreen):
    """A screen with a table; some of its keys move the cursor."""

    @property
    def table(self) -> Table:
        """The table that the keys move in."""
        return self.query_one(Table)

    def on_mount(self) -> None:
        """Show the chosen columns."""
        super().on_mount()
        for table in self.query(Table):
            table.chosen = self.console.remembered.columns(self._name_of(table))

    def _name_of(self, table: Table) -> str:
        """Return the name under which the columns of a table are remembered."""
        return f"{self.kind}.{table.name}"

    def action_columns(self) -> None:
        """Choose the columns of the table."""
        table = self.table
        if table.named_columns:
            self.app.push_screen(ColumnsScreen(table, self._name_of(table)))
        else:
            self.notify("This list has no columns to choose from.", severity="warning")

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
