"""Text from Redis and from the keyboard is shown as text: never obeyed, never read as markup."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast
from unicodedata import category

import pytest
from textual import events

from tests.client.stage import raw_job
from tests.tui.pressing import NUMBER, App, P, dead_ids
from tests.tui.stage import ConsoleStage, shown
from workkit.core.history import Record
from workkit_tui.guarded import harmless
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.plan import PlanScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.widgets.prompt import PromptField

pytestmark = pytest.mark.one_server

ROOT = Path(__file__).parents[2]
#: Escapes, C1 codes, bidirectional overrides and isolates, and texts that look like markup.
RAW = "\x1b[2J\x9b31m\x9d0;t\x07\u202eevil\u202c\u2066\u200f\u2028"
MARKUP = "[/srv/out/7.pdf] [red]x[/nope] [@click=app.quit]q[/] [$x"
WORST = f"{MARKUP}{RAW}"


def is_harmless(text: str) -> bool:
    return not [c for c in text if c != "\n" and category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def hostile(stage: ConsoleStage) -> None:
    """Fill everything that a stranger can write with the worst text."""
    stage.redis.sadd(stage.keys.known_jobs, WORST, "[/nope]")
    pool_id = stage.pool(f"host{WORST}", 7, [WORST, "[/nope]"], busy=1, workkit=f"1{WORST}")  # type: ignore[arg-type]
    stage.works(pool_id, 0, WORST, 60, WORST)
    worker = f"{7:020x}{0:04x}"
    stage.redis.hset(stage.keys.worker(worker), "args", json.dumps({WORST: WORST}))
    fields = {
        "err": f'{WORST}: {WORST}\n  File "{WORST}"',
        "args": {WORST: [WORST, {"deep": WORST}]},
        "unique": True,
        "unique_key": f"key {WORST}",
    }
    stage.redis.lpush(
        stage.keys.jobs(WORST),
        raw_job(f"id{WORST}", WORST, t=stage.now - 60, **fields),
        f"{{junk {WORST}".encode("utf-8", "surrogatepass"),
    )
    for key in (stage.keys.dead, stage.keys.retry, stage.keys.scheduled):
        raw = raw_job(
            f"id{WORST}", WORST, t=stage.now - 60, fails=2, failed_at=stage.now - 5, **fields
        )
        stage.redis.zadd(key, {raw: stage.now + 60, f"junk {WORST}".encode(): stage.now + 61})
    field = json.dumps([WORST, f"0 * * * * * {WORST}"])
    stage.redis.hset(stage.keys.periodic_seen, field, stage.now - 12)
    stage.redis.hset(stage.keys.periodic, field, stage.now + 240)
    ms, odd = stage.clock.epoch_ms, cast("Any", WORST)
    stage.ran(
        Record(f"id{WORST}", WORST, stage.now - 5, ms - 900, ms - 400, "dead", 2, WORST, "f" * 12,
               WORST, WORST),
        Record(f"id{WORST}", WORST, stage.now - 5, ms - 900, ms - 300, odd, 2, WORST),
    )  # fmt: skip
    from workkit import Place

    place = Place("scheduled")
    made = stage.client.actions.plan_for("delete", place, stage.client.jobs(place, 0, 1).jobs)
    stage.client.actions.apply(made, by=WORST)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_no_screen_shows_a_control_character_or_reads_markup(
    stage: ConsoleStage, size: tuple[int, int]
) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        async def see() -> None:
            await stage.look(pilot, app)
            await stage.until(pilot, lambda: not app.workers._workers)
            text = shown(app)
            assert is_harmless(text), repr(text)
            assert max(map(len, text.splitlines())) <= size[0]

        for name, key in NUMBER.items():
            await pilot.press("escape", "escape", key)
            await see()
            if name == "workers":
                await pilot.press("o")
            await pilot.press("enter")
            await see()
            if name in {"overview", "queues"}:
                await pilot.press("enter")  # from the queue to a job
                await see()
            if isinstance(app.screen, JobScreen):
                assert "[/srv/out/7.pdf]" in shown(app)
            await pilot.press("question_mark")
            await see()
            await pilot.press("escape", "escape")
            if name in {"retry", "dead", "queues", "errors"}:
                await pilot.press("d")
                await see()
                await pilot.press("escape")
        assert app.is_running

    stage.drive(play, size=size)


def test_neither_names_of_other_programs_nor_deep_args_end_the_console(
    stage: ConsoleStage,
) -> None:
    """Go takes names that workkit refuses, and Python has no stack for args of any depth."""
    deep = {"password": "hunter2", "a": json.loads("[" * 400 + "]" * 400)}
    for name in ("", "a,b", "nul\0", "mail:lock"):
        stage.redis.sadd(stage.keys.known_jobs, name)
        stage.redis.lpush(stage.keys.jobs(name), raw_job("1", name, t=stage.now - 60))
    for key in (stage.keys.dead, stage.keys.retry, stage.keys.scheduled):
        fields = {"fails": 2, "err": "hunter2 was wrong", "args": deep}
        stage.redis.zadd(key, {raw_job("deep", "mail", t=stage.now - 60, **fields): stage.now + 60})

    async def play(pilot: P, app: App) -> None:
        for name, key in NUMBER.items():
            await pilot.press("escape", "escape", key)
            await stage.look(pilot, app)
            for _ in range(4 if name == "queues" else 1):
                await pilot.press("enter")
                await stage.look(pilot, app)
                assert "hunter2" not in shown(app)
                await pilot.press("escape", "j")
        assert app.is_running
        assert app._recording is not None
        assert app._recording.span is not None

    stage.drive(play, size=(120, 36))


def test_no_screen_of_the_past_shows_a_control_character_or_reads_markup(
    stage: ConsoleStage,
) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        recording = app._recording
        assert recording is not None
        await stage.until(pilot, lambda: recording.span is not None)
        stage.clock.advance(60)
        stage.client.pause(WORST)  # which is a mark
        stage.redis.srem(stage.keys.worker_pools, f"{7:024x}")
        app.remember_trouble(WORST)
        await stage.look(pilot, app)
        await stage.until(pilot, lambda: len(recording.marks(0, 10**11)) > 3)
        await pilot.press("left_square_bracket")
        await stage.look(pilot, app)
        for key in NUMBER.values():
            for keys in ((key,), ("enter",), ("escape", "right_curly_bracket"), ("d", "p", "t")):
                await pilot.press(*keys)
                await stage.look(pilot, app)
                await stage.until(pilot, lambda: not app.workers._workers)
                assert is_harmless(shown(app)), repr(shown(app))
            await pilot.press("escape", "escape", "left_curly_bracket")
        await pilot.press("colon", *"-5m[/x][red]", "enter")
        await stage.look(pilot, app)
        assert is_harmless(shown(app))
        assert app.is_running

    stage.drive(play, size=(160, 60))


def test_args_are_shown_with_the_escapes_of_json(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60, args={"to": "\x9b31m", "note": "\u202eevil\u202c", "name": "Zoë 猫"})

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "enter")
        text = shown(app)
        assert r'"to": "\u009b31m"' in text
        assert r'"note": "\u202eevil\u202c"' in text
        assert "Zoë 猫" in text

    stage.drive(play)


def test_toasts_show_names_as_they_are(stage: ConsoleStage) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        app.pause("[/nope]", wanted=True)
        await stage.until(pilot, lambda: "Queue [/nope] is paused" in shown(app))
        app.pause(WORST, wanted=True)
        await stage.until(pilot, lambda: r"\x9b31m" in shown(app))
        assert is_harmless(shown(app))

    stage.drive(play)


@pytest.mark.parametrize("typed", ["[/x]", "[red]nobody[/red]", "[@click=app.quit]x[/]"])
def test_what_is_typed_is_no_markup_either(stage: ConsoleStage, typed: str) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await pilot.press("colon", *typed, "enter")
        await stage.until(
            pilot, lambda: any(f"is called {typed}" in n.message for n in app._notifications)
        )
        assert typed in shown(app)
        for key in ("2", "3"):
            await pilot.press(key, "slash", *typed, "enter")
            await stage.look(pilot, app)
            assert f"/{typed}" in shown(app)
            await pilot.press("escape")
        await pilot.press("6", "slash", *typed, "enter")
        await stage.look(pilot, app)
        await pilot.press("escape", "ctrl+p")
        await pilot.press(*typed)
        await pilot.pause()
        assert app.is_running

    stage.drive(play)


def test_pasted_text_is_shown_harmlessly(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("2", "slash")
        app.post_message(events.Paste(f"a{RAW}{MARKUP}\nq"))
        await stage.until(pilot, lambda: app.screen.query_one(PromptField).value)
        assert is_harmless(shown(app))
        await pilot.press("enter")
        await stage.look(pilot, app)
        assert is_harmless(shown(app))
        assert app.is_running

    stage.drive(play)


def test_a_character_is_made_harmless_without_moving_the_others() -> None:
    assert harmless("a\u202eb") == "ab"
    assert is_harmless(harmless(WORST))
    assert harmless("Zoë 猫") == "Zoë 猫"


# Keys in order


def burst(app: App, *keys: str) -> None:
    """Type faster than anything can happen."""
    for key in keys:
        names = {"/": "slash", ":": "colon", "\n": "enter", ">": "greater_than_sign"}
        app.post_message(events.Key(names.get(key, key), key if key.isprintable() else None))


@pytest.mark.parametrize("before", ["", "6"])
def test_keys_typed_right_after_a_slash_are_text(stage: ConsoleStage, before: str) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        if not before:
            await stage.press(pilot, app, "6")
        burst(app, *before, *"/dyq", "X")
        await stage.until(pilot, lambda: app.screen.query_one(PromptField).value == "dyqX")
        assert len(dead_ids(stage)) == 41
        assert app.console_screen is app.get_screen("dead")

    stage.drive(play)


def test_a_whole_line_can_be_typed_at_once(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        burst(app, *"6/error:address\n")
        await stage.until(pilot, lambda: "1 match" in shown(app))
        burst(app, *":exp\n")
        await stage.until(pilot, lambda: isinstance(app.screen, QueueScreen))

    stage.drive(play)


def test_a_plan_is_not_applied_before_it_was_seen(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit_tui.screens.box._SEEN_S", 3_600)
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        burst(app, "d", "y", "\n")
        await stage.until(pilot, lambda: isinstance(app.screen, PlanScreen))
        plan = app.screen
        assert isinstance(plan, PlanScreen)
        await stage.until(pilot, lambda: plan.stage == "showing")
        await pilot.press("y", "enter")
        assert plan.stage == "showing"
        assert "y goes ahead" not in shown(app)
        assert len(dead_ids(stage)) == 41
        plan._may_answer()
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await pilot.press("y")
        await stage.until(pilot, lambda: plan.stage == "done")
        assert len(dead_ids(stage)) == 40

    stage.drive(play)


def test_a_trash_is_not_emptied_before_the_question_was_seen(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit_tui.screens.box._SEEN_S", 3_600)
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "9")
        burst(app, "X", "y")
        await stage.until(pilot, lambda: "Empty this trash?" in shown(app))
        await pilot.press("y")
        assert "y empties it" not in shown(app)
        assert len(stage.client.actions.operations()) == 1

    stage.drive(play)


def test_a_copied_id_holds_nothing_that_a_shell_would_run(stage: ConsoleStage) -> None:
    stage.dead("a\nrm -rf x\x1b", 60)

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("y")
        assert app.clipboard == r"a\nrm -rf x\x1b"
        await stage.press(pilot, app, "enter")
        await pilot.press("y")
        assert app.clipboard == r"a\nrm -rf x\x1b"

    stage.drive(play)


# The end

_CRASHES = """
import sys
from workkit import Client
from workkit.tools.console import open_console
from workkit_tui.screens.overview import OverviewScreen

def show(self, view):
    secret = "hunter" + str(2)
    raise RuntimeError("\\x9b31m[/x] password=hunter" + str(3))

OverviewScreen.show = show
open_console(Client(sys.argv[1], sys.argv[2]))
"""


def test_a_crash_is_told_without_values_and_by_the_exit_code(stage: ConsoleStage) -> None:
    mine, theirs = pty.openpty()
    env = {
        **os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tui'}",
    }  # fmt: skip
    command = [sys.executable, "-c", _CRASHES, stage.namespace, stage.url]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                told += os.read(mine, 65_536)
            except OSError:  # Linux says so at the end
                break
        assert process.wait(30) == 1
    os.close(mine)
    text = told.decode()
    assert "RuntimeError: \\x9b31m[/x]" in text
    assert "hunter2" not in text
    assert "\x9b" not in text


def test_only_the_widgets_of_words_know_those_that_read_markup() -> None:
    readers = re.compile(r"rich\.table|rich\.markup|from_markup|\bStatic\b|\bLabel\b")
    found = {
        path.name
        for path in (ROOT / "tui" / "workkit_tui").rglob("*.py")
        if readers.search(path.read_text("utf-8"))
    }
    assert found == {"words.py"}


def test_a_complaint_about_a_line_that_was_typed_quickly_stays(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "2")
        burst(app, *"exyz", "\n")
        written = "workkit-queues.csvxyz"
        await stage.until(pilot, lambda: app.screen.query_one(PromptField).value == written)
        await stage.look(pilot, app)
        assert "end the name in" in shown(app)
        burst(app, "q")
        await stage.until(pilot, lambda: "end the name in" not in shown(app))

    stage.drive(play)
