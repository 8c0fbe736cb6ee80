"""The table draws only rows that have changed."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Callable

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from workkit_tui import screens
from workkit_tui.widgets.table import Row, Table, TableColumn

pytestmark = pytest.mark.one_server


class Counting(Table):
    """A table that notes which lines it draws."""

    lines: set[int]

    def render_line(self, y: int) -> Strip:
        self.lines.add(y)
        return super().render_line(y)


class OneTable(App[None]):
    """A table of numbers."""

    CSS_PATH = None

    def __init__(self) -> None:
        super().__init__()
        self.cells = [str(n) for n in range(10)]
        self.table = Counting([TableColumn("N", 4)], lambda at: Row([self.cells[at]]))
        self.table.lines = set()

    def get_css_variables(self) -> dict[str, str]:
        return super().get_css_variables() | {"row-cursor": "#222222"}

    def compose(self) -> ComposeResult:
        yield self.table


def play(scene: Callable[[Pilot[None], OneTable], Awaitable[None]]) -> None:
    async def run() -> None:
        app = OneTable()
        async with app.run_test(size=(20, 12)) as pilot:
            app.table.total = len(app.cells)
            app.table.refresh_rows()
            await pilot.pause()
            app.table.lines.clear()
            await scene(pilot, app)

    asyncio.run(run())


def test_rows_that_are_as_they_were_are_not_drawn_again() -> None:
    async def scene(pilot: Pilot[None], app: OneTable) -> None:
        app.cells[3] = "three"
        app.table.refresh_rows()
        await pilot.pause()
        assert app.table.lines == {4}

    play(scene)


def test_a_cursor_that_moves_draws_two_rows() -> None:
    async def scene(pilot: Pilot[None], app: OneTable) -> None:
        app.table.move(1)
        await pilot.pause()
        assert app.table.lines == {1, 2}

    play(scene)


def test_another_order_draws_everything() -> None:
    async def scene(pilot: Pilot[None], app: OneTable) -> None:
        app.table.sorted_by = "N"
        app.table.refresh_rows()
        await pilot.pause()
        assert {0, 1, 10} <= app.table.lines

    play(scene)


WIDTHS = range(78, 260)


def tables_of_screens() -> list[tuple[str, tuple[TableColumn, ...]]]:
    """Return the columns of each screen that has a table."""
    found = []
    for each in pkgutil.iter_modules(screens.__path__):
        module = importlib.import_module(f"{screens.__name__}.{each.name}")
        classes = [one for one in vars(module).values() if isinstance(one, type)]
        for owner in (module, *(one for one in classes if one.__module__ == module.__name__)):
            for name, value in vars(owner).items():
                if isinstance(value, tuple) and value and isinstance(value[0], TableColumn):
                    found.append((f"{each.name}.{name}", value))
    return found


@pytest.mark.parametrize(("name", "columns"), tables_of_screens())
def test_no_column_is_cut_in_any_width(name: str, columns: tuple[TableColumn, ...]) -> None:
    table = Table(columns, lambda at: Row([]))
    for whole in WIDTHS:
        shown = table.fitting(whole)
        assert sum(column.width + 2 for column in shown) - 2 <= whole, f"{name} in {whole} columns"
        assert [column for column in columns if not column.needs] == [
            column for column in shown if not column.needs
        ]
