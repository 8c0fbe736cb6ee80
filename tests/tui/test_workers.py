"""Workers: which pool is shown first, and who is counted as busy."""

from __future__ import annotations

import threading

import pytest

from tests.tui.pressing import App, P, table
from tests.tui.stage import ConsoleStage, shown
from workkit.core.stacks import RunningStack, StackFrame, encode

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


def answers(stage: ConsoleStage, pool: str, stack: RunningStack) -> None:
    """Answer as the pool would, once the console has asked."""
    while stage.redis.hget(stage.keys.pool(pool), "asked") != f"{stack.job_id}\n".encode():
        pass
    stage.redis.set(stage.keys.stack(stack.job_id), encode(stack))


@pytest.mark.parametrize("opened", [False, True])
def test_the_stack_of_a_running_handler_is_asked_for(stage: ConsoleStage, opened: bool) -> None:
    pool = stage.pool("web-1", 8, ["mail"], busy=1)
    stage.redis.hset(stage.keys.pool(pool), "fence", 1)
    stage.works(pool, 0, "mail", 5)
    job_id = stage.client.worker_observations()[0].job_id
    frames = tuple(
        StackFrame(f"/srv/app[/b]{n}.py", n, "send", f'log("\x1b[31m", token="s3cret{n}")')
        for n in range(30)
    )
    stack = RunningStack(job_id, "mail", "w", "thread", 9_000, 2_000, frames)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3", "enter", *(["enter"] if opened else []))
        await pilot.press("s")
        await stage.until(pilot, lambda: "answers with its next heartbeat" in shown(app))
        answering = threading.Thread(target=answers, args=(stage, pool, stack))
        answering.start()
        await stage.until(pilot, lambda: "then, in a thread" in shown(app))
        answering.join()
        assert 'File "/srv/app[/b]29.py", line 29, in send' in shown(app)
        assert "lines above; workkit stack shows all" in shown(app)
        assert "s3cret" not in shown(app)
        await pilot.press("escape")

    stage.drive(play)


def test_a_console_that_changes_nothing_asks_for_no_stack(stage: ConsoleStage) -> None:
    stage.works(stage.pool("web-1", 8, ["mail"], busy=1), 0, "mail", 5)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3", "enter", "s")
        assert "This console is read-only." in shown(app)

    stage.drive(play, read_only=True)


def test_what_a_go_pool_cannot_tell_is_said(stage: ConsoleStage) -> None:
    go_pool(stage, "go-1", 7, runs=1)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3", "enter")
        await pilot.press("s")
        await stage.until(pilot, lambda: "runs in the Go pool go-1:7" in shown(app))
        await pilot.press("escape")

    stage.drive(play)
