"""The page of a job that runs follows it until it has ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.stage import raw_job
from tests.tui.pressing import App, P
from tests.tui.stage import ConsoleStage, shown
from workkit.core.history import Record

pytestmark = pytest.mark.one_server


def ended(stage: ConsoleStage, job_id: str, outcome: Any) -> None:
    """Let the job of worker 0 end as workers do: history first, then the worker's row."""
    ms = stage.clock.epoch_ms
    stage.ran(Record(job_id, "export", stage.now - 60, ms - 50_000, ms - 2_000, outcome))
    stage.redis.delete(stage.keys.worker(f"{4242:020x}{0:04x}"))


async def open_worker_job(stage: ConsoleStage, pilot: P, app: App) -> None:
    await stage.press(pilot, app, "3")
    await pilot.press("o", "enter")
    await stage.look(pilot, app)


def test_it_shows_how_long_and_the_newest_check_in(stage: ConsoleStage) -> None:
    pool = stage.pool("web-1", 4242, ["export"], busy=1)
    stage.works(pool, 0, "export", 10, "page 7")

    async def play(pilot: P, app: App) -> None:
        await open_worker_job(stage, pilot, app)
        assert "running for 10s" in shown(app)
        assert "page 7" in shown(app)
        stage.clock.advance(36)
        stage.works(pool, 0, "export", 46, "page 23")
        await stage.look(pilot, app)
        assert "running for 46s" in shown(app)
        assert "page 23" in shown(app)

    stage.drive(play)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("done", "has ended: done 2s ago"),
        ("retry", "failed 2s ago; it will be tried again"),
        ("dead", "failed 2s ago for good; it is in the dead set"),
        ("discarded", "failed 2s ago and was discarded"),
    ],
)
def test_it_tells_how_the_job_has_ended(stage: ConsoleStage, outcome: str, said: str) -> None:
    pool = stage.pool("web-1", 4242, ["export"], busy=1)
    stage.works(pool, 0, "export", 50)

    async def play(pilot: P, app: App) -> None:
        await open_worker_job(stage, pilot, app)
        assert "running for 50s" in shown(app)
        ended(stage, f"{0:024x}", outcome)
        stage.clock.advance(0.001)
        await stage.look(pilot, app)
        await stage.until(pilot, lambda: said in shown(app))
        assert "running for" not in shown(app)
        await pilot.press("d")
        await stage.until(
            pilot, lambda: any("It has ended; f finds" in n.message for n in app._notifications)
        )

    stage.drive(play)


def test_a_job_that_ended_on_a_go_pool_is_told_as_far_as_it_is_known(stage: ConsoleStage) -> None:
    pool = stage.pool("web-1", 4242, ["export"])
    stage.works(pool, 0, "export", 50)

    async def play(pilot: P, app: App) -> None:
        await open_worker_job(stage, pilot, app)
        stage.works(pool, 0, "another", 1)
        stage.redis.hset(stage.keys.worker(f"{4242:020x}{0:04x}"), "job_id", "b" * 24)
        for _ in range(7):
            await stage.look(pilot, app)
        assert "has ended: its worker no longer runs it; f finds it" in shown(app)
        await stage.press(pilot, app, "f")
        await stage.look(pilot, app)
        assert "nowhere: it was not found: it was deleted, or a Go pool has ended it" in shown(app)

    stage.drive(play)


def test_a_running_job_that_was_jumped_to_is_followed_as_well(stage: ConsoleStage) -> None:
    pool = stage.pool("web-1", 4242, ["export"], busy=1)
    stage.works(pool, 0, "export", 10, "page 7")
    raw = raw_job(f"{0:024x}", "export", t=stage.now - 30)
    stage.redis.sadd(stage.keys.known_jobs, "export")
    stage.redis.lpush(f"{stage.namespace}:jobs:export:{pool}:inprogress", raw)

    async def play(pilot: P, app: App) -> None:
        await pilot.press("colon", *f"{0:024x}", "enter")
        await stage.until(pilot, lambda: "Why" in shown(app) or "running" in shown(app))
        await stage.look(pilot, app)
        assert "running for 10s" in shown(app)
        ended(stage, f"{0:024x}", "done")
        await stage.look(pilot, app)
        await stage.until(pilot, lambda: "has ended: done" in shown(app))

    stage.drive(play)


def test_the_history_of_a_job_that_runs_meanwhile_grows(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "enter")
        await stage.until(pilot, lambda: "history has no execution" in shown(app))
        ms = stage.clock.epoch_ms
        stage.ran(Record("a" * 24, "mail", stage.now - 60, ms - 900, ms - 100, "done"))
        await stage.look(pilot, app)
        await stage.until(pilot, lambda: "800 ms" in shown(app))

    stage.drive(play, size=(120, 50))
