"""`:notify` rings a bell, and shows a toast, when a condition begins to hold."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.tui.stage import ConsoleStage, shown
from workkit_tui.app import Console

pytestmark = pytest.mark.one_server


def bells(app: Console, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    rung: list[int] = []
    monkeypatch.setattr(app, "bell", lambda: rung.append(1))
    return rung


async def ask(stage: ConsoleStage, pilot: Pilot[None], app: Console, text: str) -> None:
    await pilot.press("colon")
    await pilot.pause()
    app.screen.query_one("#prompt-input").value = text  # type: ignore[attr-defined]
    await stage.press(pilot, app, "enter")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("dead.rate>1/min", "2 jobs died in the last 1m 0s"),
        ("dead.count>1", "2 jobs in the dead set"),
    ],
)
def test_a_condition_is_told_once_when_it_begins_and_when_it_ends(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch, condition: str, said: str
) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        rung = bells(app, monkeypatch)
        await ask(stage, pilot, app, f"notify {condition}")
        assert f"A bell tells when {condition}" in shown(app)
        assert rung == []
        stage.clock.advance(2)
        stage.dead("a" * 24, 1)
        stage.dead("b" * 24, 1)
        await stage.look(pilot, app)
        assert said in shown(app)
        assert rung == [1]
        stage.clock.advance(2)
        await stage.look(pilot, app)
        assert rung == [1]
        stage.redis.delete(stage.keys.dead)
        stage.clock.advance(2)
        await stage.look(pilot, app)
        assert "Over: " in shown(app)
        assert rung == [1]

    stage.drive(play)


def test_conditions_add_up_are_listed_and_dropped(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        rung = bells(app, monkeypatch)
        await ask(stage, pilot, app, "notify")
        assert "nothing yet" in shown(app)
        await ask(stage, pilot, app, "notify dead.count>0")
        await ask(stage, pilot, app, "notify queue.count[mail]>100")
        await ask(stage, pilot, app, "notify")
        assert [str(each) for each in app.conditions] == ["dead.count>0", "queue.count[mail]>100"]
        await ask(stage, pilot, app, "notify off")
        stage.dead("a" * 24, 1)
        stage.clock.advance(2)
        await stage.look(pilot, app)
        assert rung == []
        assert app.conditions == ()

    stage.drive(play)


@pytest.mark.parametrize("text", ["dead.rte>5/min", "dead.rate>5", "dead.count>", "queue.count"])
def test_a_condition_that_is_none_is_refused_in_the_line(stage: ConsoleStage, text: str) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        await ask(stage, pilot, app, f"notify {text}")
        assert app.conditions == ()
        assert app.screen.query_one("Prompt").display
        assert app.screen.query_one("#prompt-complaint").display

    stage.drive(play)


def test_text_of_a_notice_is_harmless(stage: ConsoleStage) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        await ask(stage, pilot, app, "notify queue.count>0")
        stage.enqueuer.enqueue("\x1b[31m[bold]red")
        stage.clock.advance(2)
        await stage.look(pilot, app)
        assert "\x1b" not in shown(app)
        assert "[bold]red: 1 job waiting" in shown(app)

    stage.drive(play)
