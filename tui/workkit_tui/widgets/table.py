"""A table whose rows are asked for when they are drawn, so that a million cost no more than ten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workkit.text import clip, pad, width

__all__ = ["Cell", "Column", "Row", "Table"]

#: A text, or a text with the name of a style of the table.
Cell: TypeAlias = "str | tuple[str, str]"

_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        title: Its head.
        width: Columns of the terminal; the least, if it grows.
        right: Whether it holds numbers.
        grows: Its share of the room that is left.
        needs: It is left out of tables narrower than this.
        sorts: Whether a click on its head sorts by it.
    """

    title: str
    width: int
    right: bool = False
    grows: int = 0
    needs: int = 0
    sorts: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Attributes:
        cells: One a column, those that are left out included.
        dim: Whether it is of little importance.
        marked: Whether it is marked.
        loud: Whether it stands out.
    """

    cells: Sequence[Cell]
    dim: bool = False
    marked: bool = False
    loud: bool = False


class Table(ScrollView, can_focus=True, inherit_bindings=False):
    """A table; its rows come from a function.

    Args:
        columns: The columns.
        row: Returns a row by its index; None for one that is still to be read.
        name: Textual's.
        head: Whether the titles of the columns are shown.
    """

    COMPONENT_CLASSES = {  # noqa: RUF012 - as Textual declares it
        "table--head", "table--cursor", "table--dim", "table--marked", "table--bad", "table--warn",
        "table--good", "table--accent", "table--quiet",
    }  # fmt: skip

    cursor = reactive(0, repaint=True)
    total = reactive(0, repaint=True)
    sorted_by: str = ""
    inverted: bool = False
    empty: str = ""

    class Opened(Message):
        """A row was chosen."""

        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

    class Seen(Message):
        """Other rows are in sight, or the cursor is elsewhere."""

        def can_replace(self, message: Message) -> bool:
            """Tell whether an older one need not be handled any more."""
            return isinstance(message, Table.Seen) and message._sender is self._sender  # noqa: SLF001

    class HeadClicked(Message):
        """A column's head was clicked."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(
        self,
        columns: Sequence[Column],
        row: Callable[[int], Row | None],
        *,
        name: str = "",
        head: bool = True,
    ) -> None:
        super().__init__(name=name or None)
        self.columns = list(columns)
        self._row = row
        self._head_lines = int(head)

    # What is in sight.

    @property
    def first(self) -> int:
        """The first row in sight."""
        return int(self.scroll_offset.y)

    @property
    def room(self) -> int:
        """How many rows fit below the head."""
        return max(self.scrollable_content_region.height - self._head_lines, 1)

    @property
    def last(self) -> int:
        """The last row in sight."""
        return min(self.first + self.room, self.total) - 1

    def watch_total(self) -> None:
        """Fit the scroll bar; the cursor stays on a row."""
        self.virtual_size = Size(
            self.scrollable_content_region.width, self.total + self._head_lines
        )
        self.cursor = max(min(self.cursor, self.total - 1), 0)
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(min(cursor, self.total - 1), 0)

    def watch_cursor(self) -> None:
        """Keep the cursor in sight."""
        if self.cursor < self.first:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= self.first + self.room:
            self.scroll_to(y=self.cursor - self.room + 1, animate=False, immediate=True)
        self.refresh()
        self.post_message(self.Seen())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for the rows that come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self.refresh()
        self.post_message(self.Seen())

    def on_resize(self) -> None:
        """Draw anew in another width."""
        self.virtual_size = Size(
            self.scrollable_content_region.width, self.total + self._head_lines
        )
        self.watch_cursor()

    # Moving.

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor += by

    def action_cursor_down(self) -> None:
        """Go down a row."""
        self.cursor += 1

    def action_cursor_up(self) -> None:
        """Go up a row."""
        self.cursor -= 1

    def on_click(self, event: events.Click) -> None:
        """Choose the row that is clicked; a second click opens it."""
        if event.y < self._head_lines:
            if title := self._title_at(event.x):
                self.post_message(self.HeadClicked(title))
            return
        at = self.first + event.y - self._head_lines
        if at >= self.total:
            return
        if event.chain > 1:
            self.post_message(self.Opened(at))
        self.cursor = at

    def _title_at(self, x: int) -> str:
        left = 0
        for column, broad in self._layout():
            left += broad + len(_GAP)
            if x < left:
                return column.title if column.sorts else ""
        return ""

    # Drawing.

    def _layout(self) -> list[tuple[Column, int]]:
        """Return the columns that fit, and how wide they are."""
        whole = self.scrollable_content_region.width
        shown = [column for column in self.columns if column.needs <= whole]
        left = whole - sum(column.width for column in shown) - len(_GAP) * len(shown)
        shares = sum(column.grows for column in shown)
        result = []
        for column in shown:
            more = left * column.grows // shares if shares and left > 0 else 0
            result.append((column, column.width + more))
        return result

    def render_line(self, y: int) -> Strip:
        """Draw the head, or a row."""
        broad = self.scrollable_content_region.width
        if y < self._head_lines:
            return self._head(broad)
        at = self.first + y - self._head_lines
        if at >= self.total:
            blank = self.empty if self.total == 0 and y == 1 + self._head_lines else ""
            style = self.get_component_rich_style("table--quiet", partial=True)
            text = pad(clip("  " + blank, broad), broad)
            return Strip([Segment(text, self.rich_style + style)])
        row = self._row(at)
        return self._line(row, at, broad)

    def _head(self, broad: int) -> Strip:
        style = self.get_component_rich_style("table--head")
        segments = []
        for column, wide in self._layout():
            title = column.title
            if title and title == self.sorted_by:
                title += "▲" if self.inverted else "▼"
            segments.append(Segment(_fit(title, wide, right=column.right) + _GAP, style))
        return _filled(segments, broad, style)

    def _line(self, row: Row | None, at: int, broad: int) -> Strip:
        base = self.rich_style
        cursor = at == self.cursor
        if cursor and self.has_focus:
            base += self.get_component_rich_style("table--cursor", partial=True)
        if row is None:
            quiet = self.get_component_rich_style("table--quiet", partial=True)
            return _filled([Segment("  …", base + quiet)], broad, base)
        if row.marked:
            base += self.get_component_rich_style("table--marked", partial=True)
        if row.dim:
            base += self.get_component_rich_style("table--dim", partial=True)
        positions = {id(column): i for i, column in enumerate(self.columns)}
        segments = []
        for column, wide in self._layout():
            cell = row.cells[positions[id(column)]]
            text, kind = cell if isinstance(cell, tuple) else (cell, "")
            style = base
            if kind:
                style += self.get_component_rich_style(f"table--{kind}", partial=True)
            if row.loud:
                style += Style(bold=True)
            segments.append(Segment(_fit(text, wide, right=column.right), style))
            segments.append(Segment(_GAP, base))
        return _filled(segments, broad, base)

    def refresh_rows(self) -> None:
        """Draw the rows anew."""
        self.refresh(Region(0, 0, self.size.width, self.size.height))


def _fit(text: str, columns: int, *, right: bool) -> str:
    return pad(clip(text, columns), columns, right=right) if columns > 0 else ""


def _filled(segments: list[Segment], broad: int, style: Style) -> Strip:
    """Make a line of exactly the width."""
    used = sum(width(segment.text) for segment in segments)
    return Strip([*segments, Segment(" " * max(broad - used, 0), style)]).crop(0, broad)
