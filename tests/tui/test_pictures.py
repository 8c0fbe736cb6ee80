"""Every screen as text, at two sizes, in three states.

To accept what has changed: WORKKIT_UPDATE_GOLDEN=1 make test ARGS=tests/tui/test_pictures.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.pressing import go, remember
from tests.tui.stage import ConsoleStage, shown
from workkit_tui.app import Console
from workkit_tui.tabs import TABS

pytestmark = pytest.mark.one_server

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((80, 24), (200, 60))
#: Ids that are new each time.
OPERATION = re.compile(r"\b[0-9a-f]{12}\b")


def check(name: str, text: str) -> None:
    """Compare with what was accepted."""
    text = OPERATION.sub("<operation>", text) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("WORKKIT_UPDATE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), f"{name} looks different"


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", ["empty", "busy", "broken"])
def test_every_screen_looks_as_it_was_accepted(
    stage: ConsoleStage, state: str, size: tuple[int, int]
) -> None:
    if state != "empty":
        getattr(stage, state)()

    async def play(pilot: Pilot[None], app: Console) -> None:
        for tab in TABS:
            await stage.press(pilot, app, tab.key)
            await stage.until(pilot, lambda: not app.workers._workers)
            check(f"{tab.name}-{state}-{size[0]}x{size[1]}", shown(app))

    stage.drive(play, size=size)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_what_is_opened_from_a_screen_looks_as_it_was_accepted(
    stage: ConsoleStage, size: tuple[int, int]
) -> None:
    stage.busy()

    async def play(pilot: Pilot[None], app: Console) -> None:
        async def see(name: str, *keys: str) -> None:
            await stage.press(pilot, app, *keys)
            await stage.until(pilot, lambda: not app.workers._workers)
            check(f"{name}-{size[0]}x{size[1]}", shown(app))

        await see("queue", "2", "enter")
        await see("queued-job", "enter")
        await see("dead-marked", "6", "space", "space")
        await pilot.press("d")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await see("plan")
        await see("dead-job", "escape", "escape", "enter")
        await see("worker-job", "3", "o", "enter")
        await see("dead-filter", "6", "slash", *"id:*c8 or error:address", "enter")
        await see("errors-group", "7", "j", "enter")
        await see("help", "6", "question_mark")
        await see("compare", "escape", "escape", "equals_sign", "G", "equals_sign")

    stage.drive(play, size=size)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_past_looks_as_it_was_accepted(stage: ConsoleStage, size: tuple[int, int]) -> None:
    stage.busy()

    async def play(pilot: Pilot[None], app: Console) -> None:
        await remember(stage, pilot, app, 60)
        stage.client.unpause("charge")
        await remember(stage, pilot, app, 4)
        app.remember_trouble("the server does not answer")
        await remember(stage, pilot, app, 120)
        await go(stage, pilot, app, "left_square_bracket")
        check(f"overview-past-{size[0]}x{size[1]}", shown(app))
        await go(stage, pilot, app, "right_curly_bracket", "6")
        check(f"dead-past-{size[0]}x{size[1]}", shown(app))

    stage.drive(play, size=size)
