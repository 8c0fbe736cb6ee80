"""The tab of acts: who did what, and whether the record is whole."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.stage import ConsoleStage, shown
from workkit import Client, Place
from workkit_tui.app import Console

pytestmark = pytest.mark.one_server


def test_what_is_done_in_the_console_is_on_the_tab_with_its_user(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60)
    stage.enqueuer.enqueue("export")

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "2", "p")
        await stage.until(pilot, lambda: "is paused" in shown(app))
        await stage.press(pilot, app, "6")
        await pilot.press("d")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await pilot.press("y")
        await stage.until(pilot, lambda: "1 job deleted" in shown(app))
        await stage.press(pilot, app, "escape", "0")
        deletion, pause = [line for line in shown(app).splitlines() if "ann@web-1" in line]
        assert "delete" in deletion
        assert "job " + "a" * 24 in deletion
        assert "running -> paused" in pause

    stage.drive(play)


def test_enter_shows_all_of_an_act(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60)
    stage.client.delete_all_dead_jobs()

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "0", "enter")
        text = shown(app)
        assert "delete, entry 1" in text
        for words in ("by           ann@web-1", "before       dead", "operation    "):
            assert words in text
        await stage.press(pilot, app, "escape")
        assert "entry 1" not in shown(app)

    stage.drive(play)


@pytest.mark.parametrize("changed", [False, True])
def test_v_verifies_the_record(stage: ConsoleStage, *, changed: bool) -> None:
    for _ in range(3):
        stage.client.pause("mail")
    if changed:
        stage.redis.xdel(stage.keys.acts, stage.redis.xrange(stage.keys.acts)[1][0])

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "0", "v")
        await stage.until(pilot, lambda: "The record is" in shown(app))
        assert ("The record is not whole" in shown(app)) == changed
        assert ("missing, and not trimmed: entry 2" in shown(app)) == changed

    stage.drive(play)


def test_words_pick_acts_and_e_writes_them(stage: ConsoleStage, tmp_path: Path) -> None:
    stage.client.pause("mail")
    stage.client.pause("export")

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "0", "slash", *"export", "enter")
        assert "queue mail" not in shown(app)
        path = tmp_path / "acts.csv"
        await pilot.press("e")
        await pilot.pause()
        app.screen.query_one("#prompt-input").value = str(path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await stage.until(pilot, path.exists)
        await stage.until(pilot, lambda: "Wrote 1 record" in shown(app))
        with path.open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["queue"], row["by"]) == ("export", "ann@web-1")

    stage.drive(play)


def test_no_text_of_an_act_reaches_the_terminal_as_a_command(stage: ConsoleStage) -> None:
    with Client(stage.namespace, stage.url, actor="\x1b[2J[bold]x[/]@y") as client:
        client.pause("\x1b[31m[red]q")

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "0")
        assert "\x1b" not in shown(app)
        assert "[bold]x[/]" in shown(app)
        await stage.press(pilot, app, "enter")
        assert "[red]q" in shown(app)

    stage.drive(play, size=(160, 30))


def test_further_secrets_of_the_console_are_not_recorded(stage: ConsoleStage) -> None:
    stage.dead("a" * 24, 60, args={"passport": "X1234567"})

    async def play(pilot: Pilot[None], app: Console) -> None:
        plan = stage.client.actions.plan("delete", Place("dead"), "args.passport:X1234567")
        assert plan is not None
        stage.client.actions.apply(plan)
        assert "X1234567" not in str(stage.redis.xrange(stage.keys.acts))

    stage.drive(play, masks_also=("*passport*",))
