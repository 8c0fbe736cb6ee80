"""The console looks back: it remembers the last hour, and shows any time of a recording."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.client.stage import raw_job
from tests.tui.pressing import App, P, go, remember
from tests.tui.stage import ConsoleStage, shown
from workkit.recording import Recorder, Recording, RecordingWriter
from workkit_tui.app import Console
from workkit_tui.settings import Settings
from workkit_tui.tabs import TABS
from workkit_tui.widgets.bars import Status
from workkit_tui.widgets.strip import TimeStrip

pytestmark = pytest.mark.one_server

#: Keys that change something, of each tab; `enter` on Undo undoes.
ACTS = {
    "queues": ("p",), "retry": ("r", "d", "t"), "scheduled": ("r", "d"), "dead": ("r", "d", "t"),
    "errors": ("r", "d", "t"), "undo": ("u", "X", "enter"),
}  # fmt: skip


def status(app: App) -> str:
    return app.screen.query_one(Status).right.plain


def in_past(app: App) -> bool:
    return app.past is not None and app.past.moment is not None and not app._looking


def rows(text: str) -> list[str]:
    """Return the lines of the body that say something."""
    return [line.rstrip() for line in text.splitlines()[2:-1] if set(line) - set(" ▁▂▃▄▅▆▇█▌")]


# The last hour.


def test_every_screen_of_the_past_shows_what_it_showed(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        live: dict[str, list[str]] = {}
        await remember(stage, pilot, app, 60)
        for tab in TABS:
            await go(stage, pilot, app, tab.key)
            live[tab.name] = rows(shown(app))
        stage.redis.delete(stage.keys.dead, stage.keys.retry, stage.keys.scheduled)
        stage.redis.delete(stage.keys.worker_pools, stage.keys.periodic)
        stage.client.unpause("charge")
        await remember(stage, pilot, app, 600)
        await go(stage, pilot, app, "left_square_bracket")
        for tab in TABS:
            await go(stage, pilot, app, tab.key)
            past = rows(shown(app))
            missing = [row for row in live[tab.name] if row not in past]
            assert not missing, (tab.name, past)

    stage.drive(play, size=(110, 70))  # wider ones have percentiles, which are not recorded


def test_steps_go_back_and_on_and_beyond_the_end_to_the_present(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        for n in range(3):
            stage.dead(f"{n:024x}", 5)
            await remember(stage, pilot, app)
        assert "Dead 3" in shown(app)
        assert app.past is None
        await go(stage, pilot, app, "left_square_bracket")
        assert "Dead 2" in shown(app)
        assert "■" in status(app)
        await go(stage, pilot, app, "left_square_bracket")
        assert "Dead 1" in shown(app)
        await go(stage, pilot, app, "right_square_bracket")
        assert "Dead 2" in shown(app)
        await go(stage, pilot, app, "right_square_bracket")
        assert "Dead 3" in shown(app)
        await go(stage, pilot, app, "right_square_bracket")
        assert app.past is None
        assert app.reader is stage.client
        assert "every 2 s" in status(app)
        assert not app.screen.query_one(TimeStrip).display

    stage.drive(play)


def test_minutes_and_typed_times_lead_to_their_readings(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        for n in range(6):
            stage.dead(f"{n:024x}", 5)
            await remember(stage, pilot, app, 60)
        await go(stage, pilot, app, "colon", *"23:58", "enter")
        assert app.past is None  # such a time was not recorded
        await go(stage, pilot, app, "left_curly_bracket", "left_curly_bracket")
        assert "Dead 4" in shown(app)
        await go(stage, pilot, app, "right_curly_bracket")
        assert "Dead 5" in shown(app)
        await go(stage, pilot, app, "colon", *"-3m", "enter")
        assert "Dead 2" in shown(app)
        await go(stage, pilot, app, "colon", *"23:59", "enter")
        await stage.until(
            pilot, lambda: any("not in the recording" in n.message for n in app._notifications)
        )
        assert "Dead 2" in shown(app)
        await go(stage, pilot, app, "ctrl+r")
        assert app.past is None
        assert "Dead 6" in shown(app)
        await go(stage, pilot, app, "colon", *"-3m", "enter")
        assert "Dead 3" in shown(app)
        await go(stage, pilot, app, "colon", *"now", "enter")
        assert app.past is None

    stage.drive(play)


def test_it_plays_faster_and_slower_and_ends_in_the_present(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        for n in range(5):
            stage.dead(f"{n:024x}", 5)
            await remember(stage, pilot, app, 60)
        await go(stage, pilot, app, *["left_curly_bracket"] * 4, "z")
        past = app.past
        assert past is not None
        assert "Dead 1" in shown(app)
        assert "▶ 1x" in status(app)
        await go(stage, pilot, app, *["plus"] * 7)
        assert "▶ 60x" in status(app)
        stage.clock.advance(1)
        await stage.until(pilot, lambda: "Dead 2" in shown(app))
        await go(stage, pilot, app, "z")
        assert "■" in status(app)
        stage.clock.advance(2)
        await go(stage, pilot, app, "minus", "z")
        assert "Dead 2" in shown(app)
        assert "▶ 30x" in status(app)
        stage.clock.advance(3_600)
        await stage.until(pilot, lambda: app.past is None)

    stage.drive(play)


@pytest.mark.parametrize("tab", ACTS)
def test_acts_are_refused_by_name_in_the_past(stage: ConsoleStage, tab: str) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await remember(stage, pilot, app)
        await go(stage, pilot, app, next(each.key for each in TABS if each.name == tab))
        await go(stage, pilot, app, "left_square_bracket")
        keys = {name: key for key in app.console_screen.all_keys() for name in key.keys}  # type: ignore[union-attr]
        deep = len(app.screen_stack)
        for pressed in ACTS[tab]:
            assert keys[pressed].acts
            want = f"{keys[pressed].label.capitalize()} is refused: this is a recording, at "
            await pilot.press(pressed)
            found = [n.message for n in app._notifications if n.message.startswith(want)]
            assert found, (pressed, [n.message for n in app._notifications])
            assert found[-1].endswith("; ^r returns to the present.")
            assert len(app.screen_stack) == deep
        app.pause("mail", wanted=True)
        await pilot.pause()
        assert not any(queue.paused for queue in stage.client.queues() if queue.job_name == "mail")

    stage.drive(play)


def test_a_job_of_the_past_has_its_page_and_a_filter_follows_the_time(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60, args={"to": "ann", "api_token": "sk-1234567"})

    async def play(pilot: P, app: App) -> None:
        await remember(stage, pilot, app)
        stage.redis.delete(stage.keys.dead)
        stage.dead("b" * 24, 5, "ValueError: later")
        await remember(stage, pilot, app, 60)
        await go(stage, pilot, app, "6", "slash", *"fails:>0", "enter")
        assert "ValueError: later" in shown(app)
        await go(stage, pilot, app, "left_square_bracket")
        await stage.until(pilot, lambda: "Timeout: 30 s" in shown(app))
        assert "ValueError: later" not in shown(app)
        await go(stage, pilot, app, "enter")
        text = shown(app)
        assert "a" * 24 in text
        assert "•••" in text
        assert "a recording has only the failures of the minutes before" in text
        await go(stage, pilot, app, "escape", "7")
        await stage.until(pilot, lambda: "Timeout" in shown(app))
        await go(stage, pilot, app, "right_square_bracket")
        await stage.until(pilot, lambda: "later" in shown(app))

    stage.drive(play)


def test_jobs_that_were_not_recorded_are_shown_as_such(stage: ConsoleStage) -> None:
    for n in range(260):
        stage.dead(f"{n:024x}", 10 + n)

    async def play(pilot: P, app: App) -> None:
        await remember(stage, pilot, app)
        await go(stage, pilot, app, "6", "left_square_bracket", "G")
        assert "260 jobs" in shown(app)
        assert "this job was not recorded" in shown(app)
        await go(stage, pilot, app, "7")
        await stage.until(pilot, lambda: "60 more jobs were not recorded" in shown(app))

    stage.drive(play)


def test_a_console_that_remembers_nothing_says_so(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("left_square_bracket")
        await stage.until(pilot, lambda: "--look-back none was chosen" in shown(app))
        assert app.past is None

    stage.drive(play, look_back_s=0.0)


def test_an_outage_is_shown_as_a_time_without_readings(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await remember(stage, pilot, app)
        app.remember_trouble("the server does not answer")
        await remember(stage, pilot, app, 300)
        await go(stage, pilot, app, "left_square_bracket", "right_curly_bracket")
        text = shown(app)
        assert "nothing was recorded from " in text
        assert "this is the reading before" in text
        assert "✖" in text
        assert "the server does not answer" in text
        throughput, failures = text.splitlines()[2:4]
        assert "·····" in throughput
        assert "·····" in failures

    stage.drive(play)


# A file.


def recorded(stage: ConsoleStage, path: Path) -> Recording:
    """Record a busy namespace for ten minutes, in which a pool dies."""
    from tests.recording.made import MASKS
    from workkit.recording import Observer

    stage.busy()
    writer = RecordingWriter(
        path, stage.client.label, every_s=2, keep_s=86_400, most_bytes=10_000_000
    )
    made, observer = Recorder(stage.client, writer, MASKS), Observer(stage.client)
    (first, *_) = sorted(stage.redis.smembers(stage.keys.worker_pools))
    for n in range(120):
        if n < 60:
            stage.redis.hset(stage.keys.pool(first.decode()), "heartbeat_at", stage.now)
        if n == 90:
            stage.redis.zadd(stage.keys.dead, {raw_job("c" * 24, err="E: x"): stage.now})
        made.record(*observer.read())
        stage.clock.advance(5)
    made.close()
    observer.close()
    return Recording(path)


def drive(
    stage: ConsoleStage,
    recording: Recording,
    play: Callable[[P, App], Awaitable[None]],
    size: tuple[int, int] = (120, 30),
) -> None:
    """Run a console on a recording, and a play on it."""
    assert recording.span is not None
    start = recording.moment(recording.span[1])

    async def run() -> None:
        app = Console(
            start, settings=Settings(by="ann"), clock=stage.clock, recording=recording,
            at_s=start.at_s,
        )  # fmt: skip
        async with app.run_test(size=size, notifications=True) as pilot:
            await stage.until(pilot, lambda: app.looks > 0)
            await play(pilot, app)

    asyncio.run(run())
    recording.close()


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
def test_a_file_shows_a_strip_with_marks_at_every_size(
    stage: ConsoleStage, tmp_path: Path, size: tuple[int, int]
) -> None:
    recording = recorded(stage, tmp_path / "night.wkr")

    async def play(pilot: P, app: App) -> None:
        text = shown(app)
        strip = app.screen.query_one(TimeStrip)
        assert strip.size.height == (4 if size[1] >= 30 else 3)
        assert max(map(len, text.splitlines())) <= size[0]
        if size[0] > 80:
            assert "recorded in night.wkr" in text
        assert "✝" in text
        assert "lists of " in text
        await go(stage, pilot, app, "backslash", "backslash", "{", "left_curly_bracket")
        for tab in TABS:
            await go(stage, pilot, app, tab.key)
            assert max(map(len, shown(app).splitlines())) <= size[0]
        if size[0] > 100:
            await go(stage, pilot, app, "9")
            assert "bob@web-2" in shown(app)
        await go(stage, pilot, app, "1", "6", "r")
        assert "refused" in shown(app)
        assert "^r returns" not in shown(app)

    drive(stage, recording, play, size)


def test_a_file_plays_to_its_end_and_stops_there(stage: ConsoleStage, tmp_path: Path) -> None:
    recording = recorded(stage, tmp_path / "r")

    async def play(pilot: P, app: App) -> None:
        await go(stage, pilot, app, "z")
        await stage.until(pilot, lambda: "This is the end of the recording" in shown(app))
        await go(stage, pilot, app, "left_curly_bracket", "z")
        stage.clock.advance(30)
        await stage.until(pilot, lambda: app.past is not None and not app._looking)
        assert "▶" in status(app)
        stage.clock.advance(60)
        await stage.until(pilot, lambda: "■" in status(app))
        assert app.past is not None
        assert app.past.at_s == app.past.end_s
        assert app.is_running

    drive(stage, recording, play)


def test_a_damaged_file_leaves_a_console_that_says_so(stage: ConsoleStage, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "r"
    recording = recorded(stage, path)
    assert recording.span is not None
    start = recording.moment(recording.span[1])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE segments SET data = x'00'")
    database.close()

    async def play(pilot: P, app: App) -> None:
        await go(stage, pilot, app, "left_curly_bracket")
        assert "r is damaged" in shown(app)
        assert app.is_running

    damaged = Recording(path)

    async def run() -> None:
        app = Console(start, clock=stage.clock, recording=damaged, at_s=start.at_s)
        async with app.run_test(size=(120, 30)) as pilot:
            await stage.until(pilot, lambda: app.looks > 0)
            await play(pilot, app)

    asyncio.run(run())
    damaged.close()
    recording.close()


def test_a_system_without_locks_of_files_such_as_windows_opens_the_console() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import workkit_tui.app"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
