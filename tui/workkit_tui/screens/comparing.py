"""Compares two jobs: `=` marks the first, and `=` on the second shows the differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from workkit.core.text import counted
from workkit.errors import ServerError
from workkit_tui.feed import View
from workkit_tui.keys import PAGER, copying
from workkit_tui.model.comparing import Difference, compared
from workkit_tui.model.copies import Copy
from workkit_tui.model.job_page import JobPage
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.scrolling import SCROLLING, ScrollScreen
from workkit_tui.widgets.words import TextGrid

__all__ = ["CompareScreen", "compare"]

_COLORS: Final = {"-": "error", "+": "success", "@": "secondary"}


def compare(screen: ConsoleScreen, page: JobPage) -> None:
    """Mark a job, or show how it differs from the marked one; the same job again is unmarked.

    Args:
        screen: The screen whose key was pressed.
        page: The job.
    """
    console, first = screen.console, screen.console.marked
    page.masks, page.in_past = console.masks, console.past is not None
    name = page.title
    if first is None:
        console.marked = page
        screen.notify(f"{name} is marked; = on another job shows how they differ.")
    elif first.job.id == page.job.id and first.job.raw == page.job.raw:
        console.marked = None
        screen.notify(f"{name} is not marked any more.")
    else:
        console.marked = None
        console.open_screen(CompareScreen(first, page))


class CompareScreen(ScrollScreen):
    """The differences of two jobs: fields, args, errors, executions.

    Args:
        first: The job that was marked.
        second: The other job.
    """

    TITLE_SHOWN = "Compare"
    KEYS: ClassVar = (copying("the differences"), PAGER, *SCROLLING)

    def __init__(self, first: JobPage, second: JobPage) -> None:
        super().__init__()
        self._pages = (first, second)

    def on_mount(self) -> None:
        """Begin to read the histories of both."""
        super().on_mount()
        self.run_worker(self._read, thread=True, group="attempts", exclusive=True)

    def _read(self) -> None:
        reader = self.console.reader
        try:
            found = [reader.job_history(page.job.id) for page in self._pages]
        except ServerError:
            return  # the banner shows the trouble
        if self.console.is_running:
            self.console.call_from_thread(self._found, found)

    def _found(self, attempts: Sequence[Any]) -> None:
        for page, each in zip(self._pages, attempts, strict=True):
            page.attempts = each
        self._draw()

    def show(self, view: View) -> None:
        """Draw the differences; ages grow."""
        for page in self._pages:
            page.now_s = view.seen.taken_at
        self._draw()

    def _names(self) -> list[str]:
        return [page.title for page in self._pages]

    def _draw(self) -> None:
        if not self.is_attached:
            return
        found, (one, two) = compared(*self._pages), self._names()
        self.head((one, "error"), (" compared with ", "secondary"), (two, "success"))
        unread = any(page.attempts is None for page in self._pages)
        same = self._quiet("the same")
        more = f"and {counted(found.more_args, 'more difference')}" if found.more_args else ""
        parts = [
            *self._section("Fields", self._grid(found.fields) or same),
            *self._section("Args", self._grid(found.args, more) or same),
            *self._section("Error", self._diff(found.error) or same),
            *self._section(
                "Executions",
                self._grid(found.ran) or self._quiet("reading …" if unread else "history has none"),
            ),
        ]
        self.text.update(Group(*parts))

    def _quiet(self, text: str) -> Text:
        return Text(text, self._color("secondary"))

    def _section(self, title: str, body: Any) -> list[Any]:
        head = Text(title if title == "Fields" else f"\n{title}", f"bold {self._color('primary')}")
        return [head, Padding(body, (0, 0, 0, 2))]

    def _grid(self, rows: Sequence[Difference], more: str = "") -> TextGrid | None:
        if not rows:
            return None
        grid = TextGrid(
            box=None, padding=(0, 2, 0, 0), show_header=False, show_edge=False, expand=True
        )
        grid.add_column(ratio=2, style=self._color("secondary"))
        grid.add_column(ratio=3, style=self._color("error"))
        grid.add_column(ratio=3, style=self._color("success"))
        for row in rows:
            grid.add_row(*row)
        if more:
            grid.add_row(more)
        return grid

    def _diff(self, lines: Sequence[str]) -> Text | None:
        text = Text()
        for line in lines:
            text.append(f"{line}\n", self._color(_COLORS.get(line[:1], "foreground")))
        text.rstrip()
        return text if lines else None

    def saved(self) -> None:
        """Return None: the jobs will have gone when the view is shown."""

    def long_text(self) -> Copy:
        """Return the differences as text."""
        return self.copies()[0]

    def copies(self) -> list[Copy]:
        """Return the differences as text."""
        return [Copy("the differences", compared(*self._pages).text(*self._names()))]
