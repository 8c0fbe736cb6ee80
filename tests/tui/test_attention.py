"""Concerns are named, even if there are very many."""

from __future__ import annotations

import pytest

from tests.client.stage import raw_job
from tests.tools.cli.shell import Shell
from tests.tui.pressing import App, P, table
from tests.tui.stage import ConsoleStage, shown
from workkit.core.history import Record
from workkit_tui.screens.errors import ErrorsScreen
from workkit_tui.screens.queues import QueuesScreen

pytestmark = pytest.mark.one_server


def orphans(stage: ConsoleStage, number: int) -> None:
    pipe = stage.redis.pipeline()
    for n in range(number):
        name = f"old-{n:03d}"
        pipe.sadd(stage.keys.known_jobs, name)
        pipe.lpush(stage.keys.jobs(name), raw_job(f"{n:024x}", name, t=stage.now - 9_000 - n))
    pipe.execute()


def executions(stage: ConsoleStage, name: str, failed: int, done: int) -> list[Record]:
    ms = stage.clock.epoch_ms
    ends = ["retry"] * failed + ["done"] * done
    return [
        Record(f"{n:024x}", name, stage.now - 5, ms - 900, ms - 400 + n, end)  # type: ignore[arg-type]
        for n, end in enumerate(ends)
    ]


def test_many_queues_without_a_worker_do_not_bury_the_rest(stage: ConsoleStage) -> None:
    stage.busy()
    orphans(stage, 300)

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert app.view is not None
        texts = [concern.text for concern in app.view.concerns]
        (line,) = [text for text in texts if "old-" in text]
        assert line == (
            "300 queues have no live worker: 300 jobs, oldest 2h 34m "
            "(old-299, old-298, old-297 and 297 more)"
        )
        assert "queue charge: paused, 1 job" in shown(app)
        assert len(texts) < 6

    stage.drive(play, size=(120, 24))


def test_a_line_for_many_queues_opens_their_list(stage: ConsoleStage) -> None:
    stage.busy()
    orphans(stage, 300)

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert app.view is not None
        at = next(n for n, c in enumerate(app.view.concerns) if "300 queues" in c.text)
        await pilot.press(*["j"] * at, "enter")
        await stage.look(pilot, app)
        assert app.console_screen is app.get_screen("queues")
        assert "300 of 304 queues" in shown(app)
        assert table(app).sorted_by == "Oldest"
        stage.pool("web-3", 11, [f"old-{n:03d}" for n in range(299)])
        await stage.look(pilot, app)
        assert "1 of 304 queues" in shown(app), "the list follows the trouble"
        await pilot.press("escape")
        await stage.look(pilot, app)
        assert table(app).total == 304

    stage.drive(play)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("is:paused", ["charge"]), ("is:unserved", ["old-000"]), ("-is:paused char", []),
        ("is:slow", []), ("is:broken", []), ("is:failing", []), ("is:unserved is:paused", []),
    ],
)  # fmt: skip
def test_queues_of_one_trouble_are_picked_by_a_word(
    stage: ConsoleStage, words: str, names: list[str]
) -> None:
    stage.busy()
    orphans(stage, 1)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "2", "slash", *words, "enter")
        screen = app.get_screen("queues")
        assert isinstance(screen, QueuesScreen)
        assert [queue.job_name for queue in screen.exported()[1]] == names  # type: ignore[attr-defined]

    stage.drive(play)


def test_few_queues_without_a_worker_have_a_line_each(stage: ConsoleStage) -> None:
    stage.busy()
    orphans(stage, 2)

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert "queue old-001: no live worker takes its 1 job" in shown(app)
        assert "queue old-000: no live worker takes its 1 job" in shown(app)

    stage.drive(play)


def test_many_silent_pools_share_a_line(stage: ConsoleStage) -> None:
    stage.busy()
    for n in range(50):
        stage.pool("lost", 100 + n, ["mail"], beat_s=500 + n)

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert "50 pools send no heartbeat (lost:149, lost:148, lost:147 and 47 more)" in shown(app)

    stage.drive(play)


def test_a_queue_of_which_too_much_fails_is_named_though_the_whole_is_well(
    stage: ConsoleStage,
) -> None:
    stage.busy()
    stage.ran(*executions(stage, "charge", 30, 70), *executions(stage, "mail", 0, 900))

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert "queue charge: 30% of its last 100 executions failed" in shown(app)
        assert "queue mail: " not in shown(app)
        assert app.view is not None
        at = next(n for n, c in enumerate(app.view.concerns) if "30%" in c.text)
        await pilot.press(*["j"] * at, "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, ErrorsScreen))

    stage.drive(play)


def test_a_few_failures_are_not_called_a_share(stage: ConsoleStage) -> None:
    stage.ran(*executions(stage, "charge", 3, 2))

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert "% of its last" not in shown(app)

    stage.drive(play)


def test_the_overview_on_paper_fits_a_screen(
    stage: ConsoleStage, redis_url: str, namespace: str
) -> None:
    from workkit.core.clock import SystemClock

    stage.clock.epoch_ms = SystemClock().read().epoch_ms
    stage.busy()
    orphans(stage, 300)
    stage.ran(*executions(stage, "charge", 30, 70))
    lines = Shell(redis_url, namespace).lines("top", "--once")
    assert len(lines) < 40
    assert any("300 queues have no live worker" in line for line in lines)
    assert any("queue charge: 30% of its last 100" in line for line in lines)
    assert lines[-1] == "and 283 more queues; --json has all"
