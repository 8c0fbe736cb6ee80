"""The table draws only rows that have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

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
