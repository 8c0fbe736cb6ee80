"""Workers: which pool is shown first, and who is counted as busy."""

from __future__ import annotations

import pytest

from tests.tui.pressing import App, P, table
from tests.tui.stage import ConsoleStage, shown

pytestmark = pytest.mark.one_server


def go_pool(stage: ConsoleStage, host: str, pid: int, *, runs: int) -> str:
    """Register a pool as Go does, which says nothing of its workers, and let some of them run."""
    pool = stage.pool(host, pid, ["mail"], concurrency=5)
    stage.redis.hdel(stage.keys.pool(pool), "workkit", "busy", "done")
    for at in range(runs):
        stage.works(pool, at, "mail", 5 + at)
    return pool


def test_busy_workers_of_go_pools_are_counted(stage: ConsoleStage) -> None:
    go_pool(stage, "go-1", 7, runs=2)
    stage.pool("web-1", 8, ["mail"], busy=1, concurrency=5)

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert "3 of 10 workers busy" in shown(app)
        await stage.press(pilot, app, "3")
        assert "3 of 10 workers busy" in shown(app)
        assert "2/5" in shown(app)
        assert "1/5" in shown(app)

    stage.drive(play)


@pytest.mark.parametrize("kind", ["workkit", "go"])
def test_the_first_busy_pool_is_shown_first(stage: ConsoleStage, kind: str) -> None:
    for n in range(3):
        stage.pool(f"a-{n}", n + 1, ["mail"])
    if kind == "go":
        go_pool(stage, "b-1", 42, runs=1)
    else:
        stage.works(stage.pool("b-1", 42, ["mail"], busy=1), 0, "mail", 5)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3")
        assert "Busy workers of b-1:42" in shown(app)
        assert "no worker is busy" not in shown(app)
        assert table(app).cursor == 3
        await pilot.press("g")
        await stage.until(pilot, lambda: "Busy workers of a-0:1" in shown(app))
        await stage.look(pilot, app)
        assert table(app).cursor == 0, "it moves the cursor once"

    stage.drive(play)


def test_all_pools_show_all_that_is_busy(stage: ConsoleStage) -> None:
    go_pool(stage, "go-1", 7, runs=2)
    go_pool(stage, "go-2", 8, runs=3)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3")
        await stage.press(pilot, app, "w")
        assert app.screen.query("Table").last().total == 5  # type: ignore[attr-defined]

    stage.drive(play)
