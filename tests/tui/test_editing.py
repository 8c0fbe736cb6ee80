"""`c` changes the args of a job: the difference is shown first, and it can be undone."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from tests.tui.stage import ConsoleStage, shown
from workkit_tui.app import Console
from workkit_tui.screens.args import ArgsArea
from workkit_tui.screens.editing import EditScreen

pytestmark = pytest.mark.one_server

ID = "a" * 24


async def type_args(
    stage: ConsoleStage, pilot: Pilot[None], app: Console, text: str, *, key: str = "c"
) -> None:
    """Open the text area by a key, and use a text."""
    await pilot.press(key)
    await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
    app.screen.query_one(TextArea).text = text
    await pilot.press("ctrl+s")
    await stage.until(pilot, lambda: isinstance(app.screen, EditScreen))
    await stage.until(pilot, lambda: app.screen.stage in {"asking", "failed"})  # type: ignore[attr-defined]


def queued_args(stage: ConsoleStage) -> list[Any]:
    return [entry.job.args for entry in stage.client.iter_queued_jobs("mail")]


@pytest.mark.parametrize("opened", [False, True])
def test_a_dead_job_is_edited_runs_again_and_comes_back(
    stage: ConsoleStage, *, opened: bool
) -> None:
    raw = stage.dead(ID, 60, args={"n": 1, "to": "a"})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6", *(["enter"] if opened else []))
        await type_args(stage, pilot, app, '{"n": 2, "to": "a"}')
        text = shown(app)
        for words in (
            '-  "n": 1,',
            '+  "n": 2,',
            "changes args.n",
            "runs the job again",
            "y goes ahead",
        ):
            assert words in text
        assert queued_args(stage) == []
        await pilot.press("y")
        await stage.until(pilot, lambda: "The job is edited" in shown(app))
        assert queued_args(stage) == [{"n": 2, "to": "a"}]
        await pilot.press("u")
        await stage.until(pilot, lambda: "1 job is back" in shown(app))
        assert stage.redis.zrange(stage.keys.dead, 0, -1) == [raw]
        (act,) = [act for act in stage.client.acts() if act.verb == "edit"]
        assert (act.by, act.undone_by) == ("ann@web-1", "ann@web-1")

    stage.drive(play)


def test_a_text_that_cannot_be_used_is_kept(stage: ConsoleStage) -> None:
    stage.dead(ID, 60, args={"n": 1})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6")
        await type_args(stage, pilot, app, '{"n": 2,}')
        assert "the args are not JSON" in shown(app)
        assert "Your text is kept" in shown(app)
        await pilot.press("escape")
        await stage.until(pilot, lambda: not isinstance(app.screen, EditScreen))
        await pilot.press("c")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        assert app.screen.query_one(TextArea).text == '{"n": 2,}'
        app.screen.query_one(TextArea).text = '{"n": 2}'
        await pilot.press("ctrl+s")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await pilot.press("y")
        await stage.until(pilot, lambda: "The job is edited" in shown(app))
        assert ID not in EditScreen.kept

    stage.drive(play)


def test_keys_that_are_commands_elsewhere_are_text_in_the_area(stage: ConsoleStage) -> None:
    stage.dead(ID, 60, args=None)

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6", "c")
        await stage.until(pilot, lambda: isinstance(app.screen, ArgsArea))
        area = app.screen.query_one(TextArea)
        area.text = ""
        await pilot.press(*"q1dy0", "escape")
        assert area.text == "q1dy0"
        await stage.until(pilot, lambda: not isinstance(app.screen, ArgsArea | EditScreen))

    stage.drive(play)


def test_a_job_that_has_moved_meanwhile_is_told_and_the_text_kept(stage: ConsoleStage) -> None:
    stage.dead(ID, 60, args={"n": 1})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6")
        await type_args(stage, pilot, app, '{"n": 2}')
        stage.redis.delete(stage.keys.dead)
        await pilot.press("y")
        await stage.until(pilot, lambda: "Nothing was changed" in shown(app))
        assert "it has run, moved" in shown(app)
        assert EditScreen.kept.pop(ID) == '{"n": 2}'

    stage.drive(play)


def test_secrets_are_hidden_in_the_difference(stage: ConsoleStage) -> None:
    stage.dead(ID, 60, args={"n": 1, "api_token": "sk-1secret"})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6")
        await type_args(stage, pilot, app, '{"n": 2, "api_token": "sk-2secret"}')
        assert "secret" not in shown(app)
        assert '"api_token": "•••"' in shown(app)
        assert "changes args.n, args.api_token" in shown(app)
        await pilot.press("escape")

    stage.drive(play)
    EditScreen.kept.clear()


def test_a_malformed_payload_is_told(stage: ConsoleStage) -> None:
    stage.redis.zadd(stage.keys.dead, {b"{junk": stage.now - 5})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6", "c")
        await stage.until(pilot, lambda: "malformed payload" in shown(app))

    stage.drive(play)


def test_a_console_that_only_reads_edits_nothing(stage: ConsoleStage) -> None:
    stage.dead(ID, 60, args={"n": 1})

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "6", "c")
        assert "read-only" in shown(app)
        assert not isinstance(app.screen, ArgsArea | EditScreen)

    stage.drive(play, read_only=True)


def test_a_waiting_job_stays_where_it_is(stage: ConsoleStage) -> None:
    stage.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(3)])

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "enter", "j")
        await type_args(stage, pilot, app, '{"n": 7}')
        await pilot.press("y")
        await stage.until(pilot, lambda: "The job is edited" in shown(app))
        assert queued_args(stage) == [{"n": 0}, {"n": 7}, {"n": 2}]

    stage.drive(play)
