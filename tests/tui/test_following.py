"""`f` follows a job until it ends: its page goes along, and a bell rings at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.stage import raw_job
from tests.conftest import WaitUntil
from tests.tui.pressing import App, P, carry_out, remember
from tests.tui.stage import ConsoleStage, shown
from tests.tui.test_hostile_text import hostile, is_harmless
from tests.tui.test_in_tmux import terminal
from tests.tui.test_notify import bells
from workkit import Job, WorkerPool
from workkit.core.clock import SystemClock
from workkit.core.history import Record
from workkit_tui.app import Console
from workkit_tui.model.following import Following
from workkit_tui.screens.job import JobScreen
from workkit_tui.settings import Settings

pytestmark = pytest.mark.one_server

ONE = "a" * 24


class Followed:
    """A job that is followed by hand."""

    def __init__(self, stage: ConsoleStage, monotonic_s: Callable[[], float] | None = None) -> None:
        self.stage = stage
        found = stage.client.find(ONE)
        assert found is not None
        self.following = Following(found, monotonic_s or (lambda: stage.clock.monotonic_s))

    def step(self, times: int = 1) -> list[str]:
        for _ in range(times):
            self.following.step(self.stage.client, self.stage.client.overview())
        return [each.text for each in self.following.told]

    def ran(self, outcome: Any, fails: int = 0, error: str = "") -> None:
        """Let an execution end, a second later."""
        ms = self.stage.clock.epoch_ms
        self.stage.ran(
            Record(ONE, "export", self.stage.now - 5, ms - 900, ms - 400, outcome, fails, error)
        )
        self.stage.clock.advance(1)


def queue(stage: ConsoleStage, pool: str = "") -> None:
    """Put the job into its queue, or into the hands of a pool."""
    stage.redis.sadd(stage.keys.known_jobs, "export")
    key = f"{stage.namespace}:jobs:export"
    stage.redis.lpush(f"{key}:{pool}:inprogress" if pool else key, raw_job(ONE, "export"))


def empty(stage: ConsoleStage) -> None:
    for key in stage.redis.scan_iter(f"{stage.namespace}:jobs:export*"):
        stage.redis.delete(key)
    stage.redis.delete(stage.keys.retry, stage.keys.dead, stage.keys.scheduled)


def works(stage: ConsoleStage, pool: str, for_s: int = 0) -> None:
    stage.works(pool, 0, "export", for_s)
    worker = stage.keys.worker(f"{4242:020x}{0:04x}")
    stage.redis.hset(worker, "job_id", ONE)


def test_each_step_of_a_life_is_told(stage: ConsoleStage) -> None:
    pool = stage.pool("web-1", 4242, ["export"], busy=1)
    stage.redis.zadd(stage.keys.scheduled, {raw_job(ONE, "export"): stage.now + 60})
    job = Followed(stage)
    assert job.step() == ["scheduled, due in 1m 0s"]
    assert job.step() == ["scheduled, due in 1m 0s"]
    empty(stage)
    queue(stage)
    assert job.step(2)[1:] == ["queued"]
    empty(stage)
    queue(stage, pool)
    works(stage, pool, 2)
    assert job.step(2)[2:] == ["running on web-1:4242"]
    empty(stage)
    retry = raw_job(ONE, "export", fails=1)
    stage.redis.zadd(stage.keys.retry, {retry: stage.now + 21})
    job.ran("retry", 1, "Timeout: 30 s\n\nTraceback")
    # The worker's row outlives the execution for a moment.
    assert job.step(2)[3:] == [
        "failed once after 500 ms on web-1: Timeout: 30 s", "is tried again in 20s",
    ]  # fmt: skip
    empty(stage)
    works(stage, pool)
    assert job.step(2)[5:] == ["running on web-1:4242"]
    job.ran("done")
    assert job.step(2)[6:] == ["done after 500 ms on web-1"]
    assert job.following.has_ended
    assert job.following.is_nowhere


def test_a_job_that_dies_is_found_in_the_dead_set_and_can_be_retried(stage: ConsoleStage) -> None:
    queue(stage)
    job = Followed(stage)
    job.step()
    empty(stage)
    stage.redis.zadd(stage.keys.dead, {raw_job(ONE, "export", fails=4): stage.now})
    job.ran("dead", 4, "E: x")
    assert job.step()[1:] == ["failed for good, is dead after 500 ms on web-1: E: x"]
    assert job.following.has_ended
    assert not job.following.is_nowhere
    assert job.following.placed.place == "dead"


def test_a_job_that_is_dead_from_the_start_is_followed_when_it_is_retried(
    stage: ConsoleStage,
) -> None:
    stage.redis.zadd(stage.keys.dead, {raw_job(ONE, "export", fails=4): stage.now})
    job = Followed(stage)
    assert job.step(2) == ["dead; it runs again only if it is retried"]
    assert not job.following.has_ended
    empty(stage)
    queue(stage)
    assert job.step()[1:] == ["queued"]


def test_a_job_that_was_deleted_says_by_whom(stage: ConsoleStage) -> None:
    stage.busy()
    place, (record,) = stage._first_scheduled()
    following = Following(record, lambda: 0.0)
    following.step(stage.client, stage.client.overview())
    stage.client.actions.apply(stage.client.actions.plan_for("delete", place, [record]), by="x")
    for _ in range(2):
        following.step(stage.client, stage.client.overview())
    assert following.told[-1].text == "deleted by x; undo brings it back"
    assert following.has_ended


def test_a_job_that_is_nowhere_is_looked_for_twice(stage: ConsoleStage) -> None:
    queue(stage)
    job = Followed(stage)
    job.step()
    empty(stage)
    assert job.step() == ["queued"]
    assert not job.following.has_ended
    assert "a Go pool has ended it" in job.step()[-1]
    assert job.following.has_ended
    assert job.step() == job.step(), "nothing is told after the end"


def test_a_job_that_had_ended_before_says_how(stage: ConsoleStage) -> None:
    queue(stage)
    job = Followed(stage)
    empty(stage)
    job.ran("done")
    assert job.step(2) == ["done after 500 ms on web-1"]
    assert job.following.has_ended


def test_looking_everywhere_takes_a_twentieth_of_the_time(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(stage)
    finds, find = [], stage.client.find
    now = [0.0]

    def slow(job_id: str) -> Any:
        finds.append(now[0])
        now[0] += 2
        return find(job_id)

    job = Followed(stage, lambda: now[0])
    monkeypatch.setattr(stage.client, "find", slow)
    for _ in range(50):
        job.step()
        now[0] += 2
    assert len(finds) == 3


def test_the_page_goes_along_and_a_bell_rings(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        rung = bells(app, monkeypatch)
        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "f")
        assert isinstance(app.screen, JobScreen)
        assert "Followed; f stops" in shown(app)
        await carry_out(stage, pilot, app, "r")
        await stage.press(pilot, app, "escape")
        await stage.look(pilot, app)
        await stage.until(pilot, lambda: "queued" in shown(app).splitlines()[3])
        await stage.press(pilot, app, "escape", "1")  # it is followed behind other screens as well
        stage.redis.delete(stage.keys.jobs("mail"))
        stage.clock.advance(1)
        ms = stage.clock.epoch_ms
        secret = "password=hunter2-hunter2"  # noqa: S105 - a secret of nobody
        stage.ran(Record(f"{100:024x}", "mail", stage.now, ms, ms + 1_500, "discarded", 5, secret))
        await stage.look(pilot, app)
        await stage.look(pilot, app)
        said = [n.message for n in app._notifications][-1]
        assert said == f"mail {100:024x}: discarded after 1.5 s on web-1: password=•••"
        assert rung == [1]
        await stage.look(pilot, app)
        assert rung == [1]

    stage.drive(play)


def test_f_again_stops_it_and_esc_does_not(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        rung = bells(app, monkeypatch)
        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "f")
        await stage.press(pilot, app, "escape")
        await stage.press(pilot, app, "f")
        assert "Followed; f stops" in shown(app), "it was opened again"
        await stage.press(pilot, app, "f")
        assert "Followed" not in shown(app)
        stage.redis.delete(stage.keys.dead)
        for _ in range(3):
            await stage.look(pilot, app)
        assert rung == []

    stage.drive(play)


def test_a_running_job_is_followed_from_the_list_of_workers(stage: ConsoleStage) -> None:
    pool = stage.pool("web-1", 4242, ["export"], busy=1)
    stage.works(pool, 0, "export", 10, "page 7")

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3", "f")
        assert not isinstance(app.screen, JobScreen), "a pool is not a job"
        await stage.press(pilot, app, "o", "f")
        await stage.look(pilot, app)
        assert "running on web-1:4242" in shown(app)
        ms = stage.clock.epoch_ms
        stage.ran(Record(f"{0:024x}", "export", stage.now - 60, ms - 9_000, ms - 2_000, "done"))
        stage.redis.delete(stage.keys.worker(f"{4242:020x}{0:04x}"))
        await stage.look(pilot, app)
        await stage.until(pilot, lambda: "nowhere: done after 7.0 s on web-1" in shown(app))
        assert "Followed until it ended" in shown(app)

    stage.drive(play)


def test_only_so_many_are_followed(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        for _ in range(21):
            await stage.press(pilot, app, "f", "escape", "j")
        assert len(app.feed.followed) == 20
        assert any("20 are followed already" in n.message for n in app._notifications)

    stage.drive(play)


def test_the_past_says_why_it_cannot_be_followed(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await remember(stage, pilot, app, 60)
        await stage.press(pilot, app, "left_square_bracket", "6", "enter", "f")
        said = [n.message for n in app._notifications]
        assert any("this is a recording, and what happens next" in text for text in said)
        assert app.feed.followed == ()

    stage.drive(play)


def test_a_snapshot_says_so_too(stage: ConsoleStage, tmp_path: Path) -> None:
    import asyncio

    from workkit.snapshot import Snapshot, write_snapshot

    stage.busy()
    path = tmp_path / "a.wks"
    write_snapshot(stage.client, path)

    async def run() -> None:
        app = Console(Snapshot(path), settings=Settings(), clock=stage.clock)
        async with app.run_test(size=(120, 30), notifications=True) as pilot:
            await stage.until(pilot, lambda: app.looks > 0)
            await stage.press(pilot, app, "6", "f")
            said = [n.message for n in app._notifications]
            assert any("this is a snapshot, in which nothing happens" in text for text in said)

    asyncio.run(run())


def test_hostile_jobs_are_followed_harmlessly(stage: ConsoleStage) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6", "f")
        await stage.look(pilot, app)
        assert is_harmless(shown(app))
        stage.redis.delete(stage.keys.dead, stage.keys.retry, stage.keys.scheduled)
        for _ in range(3):
            await stage.look(pilot, app)
            assert is_harmless(shown(app))

    stage.drive(play)


def test_a_real_job_is_followed_to_its_end(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil
) -> None:
    stage.clock.epoch_ms = SystemClock().read().epoch_ms
    pool = WorkerPool(stage.namespace, stage.url, concurrency=2)

    @pool.job(backoff=lambda job: 1)
    def export(job: Job) -> None:
        if not job.fails:
            raise TimeoutError("30 s")

    with terminal(stage, tmp_path) as seen:
        wait_until(lambda: "Overview" in seen.text, 30)
        job = stage.enqueuer.enqueue_in("export", 3_600)
        assert job is not None
        seen.type("5")
        wait_until(lambda: "1 job · next due first" in seen.text)
        seen.type("f")
        wait_until(lambda: "scheduled, due in" in seen.text)
        place, records = stage._first_scheduled()
        with pool:
            stage.client.actions.apply(stage.client.actions.plan_for("retry", place, records))
            wait_until(lambda: "failed once after" in seen.text, 30)
            wait_until(lambda: "Followed until it ended" in seen.text, 30)
            assert "nowhere: done after" in seen.text
