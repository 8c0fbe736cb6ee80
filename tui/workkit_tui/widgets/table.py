"""A table that asks for rows when it draws them, so a million rows cost no more than ten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workkit.core.text import clean, clip, pad, width

__all__ = ["Cell", "Row", "Table", "TableColumn"]

#: A text, or a text with the name of a style of the table.
Cell: TypeAlias = "str | tuple[str, str]"

_GAP: Final = "  "
_LOUD: Final = Style(bold=True)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column.

    Attributes:
        title: Its head.
        width: Columns of the terminal; the least, if it grows.
        right: Whether it holds numbers.
        grows: Its share of the room that is left.
        needs: It is left out of tables narrower than this.
        sorts: Whether a click on its head sorts by it.
        name: Its name where columns are chosen; "" for its title.
    """

    title: str
    width: int
    right: bool = False
    grows: int = 0
    needs: int = 0
    sorts: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Attributes:
        cells: One for each column, also for columns that are left out.
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
        name: Textual's name of the widget.
        head: Whether the titles of the columns are shown.
    """

    COMPONENT_CLASSES = {  # noqa: RUF012 - as Textual declares it
        "table--head", "table--cursor", "table--dim", "table--marked", "table--bad", "table--warn",
        "table--good", "table--accent", "table--series", "table--quiet",
    }  # fmt: skip

    #: Moving it draws two rows, not all.
    cursor = reactive(0, repaint=False)
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
        """Other rows are visible, or the cursor has moved."""

        def can_replace(self, message: Message) -> bool:
            """Tell whether this message replaces an older one."""
            return isinstance(message, Table.Seen) and message._sender is self._sender  # noqa: SLF001

    class HeadClicked(Message):
        """A column's head was clicked."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(
        self,
        columns: Sequence[TableColumn],
        row: Callable[[int], Row | None],
        *,
        name: str = "",
        head: bool = True,
    ) -> None:
        super().__init__(name=name or None)
        self.columns = list(columns)
        self._row = row
        self._chosen: list[str] | None = None
        self._head_lines = int(head)
        #: Line → the row that was drawn there last.
        self._drawn: dict[int, Row | None] = {}
        #: The common properties of all lines when they were last drawn.
        self._common: tuple[Any, ...] = ()
        #: While lines are drawn: their style, and the columns with their places in a row.
        self._base = Style.null()
        self._shown: list[tuple[int, TableColumn, int]] = []

    # Columns.

    @property
    def named_columns(self) -> list[str]:
        """The names of the columns that can be chosen; none without a head."""
        return [_name(each) for each in self.columns if each.title] if self._head_lines else []

    @property
    def chosen(self) -> list[str] | None:
        """The names of the columns that are shown, in their order; None for the usual ones."""
        return self._chosen

    @chosen.setter
    def chosen(self, names: list[str] | None) -> None:
        self._chosen = names
        self.refresh()

    @property
    def shown_columns(self) -> list[str]:
        """The names of the columns for which there is room."""
        return [_name(column) for column, _ in self._layout()]

    def _wanted(self, whole: int) -> list[TableColumn]:
        """Return the columns to show: the chosen ones from the left, or else all that fit."""
        known = {_name(column): column for column in self.columns if column.title}
        picked = [known[name] for name in self._chosen or () if name in known]
        if not picked:
            return self.fitting(whole)
        shown = [column for column in self.columns if not column.title]
        left = whole - _breadth(shown)
        for column in picked:
            left -= column.width + (len(_GAP) if shown else 0)
            if left < 0 and column is not picked[0]:
                break
            shown.append(column)
        return shown

    def fitting(self, whole: int) -> list[TableColumn]:
        """Return the columns for which there is room; those that need the most are left out.

        Args:
            whole: The width of the table, columns of the terminal.
        """
        shown = [column for column in self.columns if column.needs <= whole]
        while _breadth(shown) > whole:
            last = max(shown, key=lambda column: column.needs)
            if not last.needs:
                break
            shown.remove(last)
        return shown

    # Visible rows.

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

    def watch_cursor(self, before: int, now: int) -> None:
        """Draw the cursor's old and new row, and keep the cursor in sight."""
        lines = [at - self.first + self._head_lines for at in (before, now)]
        self.refresh(*(Region(0, line, self.size.width, 1) for line in lines if line >= 0))
        self._follow()

    def _follow(self) -> None:
        if self.cursor < self.first:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= self.first + self.room:
            self.scroll_to(y=self.cursor - self.room + 1, animate=False, immediate=True)
        self.post_message(self.Seen())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for the rows that become visible."""
        super().watch_scroll_y(old_value, new_value)
        self.refresh()
        self.post_message(self.Seen())

    def on_resize(self) -> None:
        """Draw again after a change of the width."""
        self.virtual_size = Size(
            self.scrollable_content_region.width, self.total + self._head_lines
        )
        self.refresh()
        self._follow()

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

    def _layout(self) -> list[tuple[TableColumn, int]]:
        """Return the columns that fit, and how wide they are."""
        whole = self.scrollable_content_region.width - int(self.show_vertical_scrollbar)
        shown = self._wanted(whole)
        left = whole - _breadth(shown)
        shares = sum(column.grows for column in shown)
        result = []
        for column in shown:
            more = left * column.grows // shares if shares and left > 0 else 0
            result.append((column, column.width + more))
        return result

    def broad(self, title: str) -> int:
        """Return how wide a column is; 0 for one that is left out."""
        return next((wide for column, wide in self._layout() if column.title == title), 0)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines; their common style is computed once."""
        self._base = self.rich_style
        places = {id(column): place for place, column in enumerate(self.columns)}
        self._shown = [(places[id(column)], column, wide) for column, wide in self._layout()]
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw the head, or a row."""
        broad = self.scrollable_content_region.width
        if y < self._head_lines:
            return self._head(broad)
        at = self.first + y - self._head_lines
        if at >= self.total:
            self._drawn.pop(y, None)
            blank = self.empty if self.total == 0 and y == 1 + self._head_lines else ""
            style = self.get_component_rich_style("table--quiet", partial=True)
            text = pad(clip("  " + blank, broad), broad)
            return Strip([Segment(text, self._base + style)])
        row = self._drawn[y] = self._row(at)
        return self._line(row, at, broad)

    def _head(self, broad: int) -> Strip:
        titles = []
        for _, column, wide in self._shown:
            title = column.title
            if title and title == self.sorted_by:
                title += "▲" if self.inverted else "▼"
            titles.append(_fit(title, wide, right=column.right))
        return _filled([(_GAP.join(titles), self.get_component_rich_style("table--head"))], broad)

    def _line(self, row: Row | None, at: int, broad: int) -> Strip:
        base = self._base
        cursor = at == self.cursor
        if cursor and self.has_focus:
            base += self.get_component_rich_style("table--cursor", partial=True)
        if row is None:
            quiet = self.get_component_rich_style("table--quiet", partial=True)
            return _filled([("  …", base + quiet)], broad)
        if row.marked:
            base += self.get_component_rich_style("table--marked", partial=True)
        if row.dim:
            base += self.get_component_rich_style("table--dim", partial=True)
        if row.loud:
            base += _LOUD
        runs: list[tuple[str, Style]] = []
        last = self._shown[-1][1] if self._shown else None
        for place, column, wide in self._shown:
            cell = row.cells[place]
            text, kind = cell if isinstance(cell, tuple) else (cell, "")
            fitted = _fit(text, wide, right=column.right) + ("" if column is last else _GAP)
            if kind:
                style = base + self.get_component_rich_style(f"table--{kind}", partial=True)
                runs.append((fitted, style))
            elif runs and runs[-1][1] is base:  # fewer pieces are drawn faster
                runs[-1] = (runs[-1][0] + fitted, base)
            else:
                runs.append((fitted, base))
        return _filled(runs, broad)

    def refresh_rows(self) -> None:
        """Draw the rows that have changed."""
        chosen = tuple(self._chosen or ())
        common = (self.total, self.sorted_by, self.inverted, self.empty, chosen, *self.columns)
        if common != self._common:
            self._common = common
            self.refresh()
            return
        start = self.first - self._head_lines
        changed = [y for y, row in self._drawn.items() if self._row(start + y) != row]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))


def _breadth(columns: Sequence[TableColumn]) -> int:
    """Return how wide columns are together at least, with the gaps between them."""
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _name(column: TableColumn) -> str:
    return column.name or column.title


def _fit(text: str, columns: int, *, right: bool) -> str:
    return pad(clip(clean(text), columns), columns, right=right) if columns > 0 else ""


def _filled(runs: list[tuple[str, Style]], broad: int) -> Strip:
    """Make a line of exactly the width."""
    used = sum(width(text) for text, _ in runs)
    if used < broad and runs:
        text, style = runs[-1]
        runs[-1] = (text + " " * (broad - used), style)
    strip = Strip([Segment(text, style) for text, style in runs], max(used, broad))
    return strip if used <= broad else strip.crop(0, broad)
