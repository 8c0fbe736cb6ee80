"""`v` shows all that is known in the user's pager, or in a text area."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import TextArea

from tests.conftest import WaitUntil
from tests.tui.pressing import App, P, table
from tests.tui.stage import ConsoleStage, shown
from tests.tui.test_hostile_text import hostile, is_harmless
from tests.tui.test_in_tmux import terminal
from workkit.core.history import Record
from workkit_tui.screens.paging import TextScreen

pytestmark = pytest.mark.one_server

SECRET = "hunter2-hunter2"  # noqa: S105 - a secret of nobody


def area(app: App) -> str:
    assert isinstance(app.screen, TextScreen)
    return app.screen.query_one(TextArea).text


def test_a_job_is_read_as_a_whole_from_its_page_and_from_a_list(stage: ConsoleStage) -> None:
    said = f"Denied: password={SECRET}\n\nTraceback:\n  post('https://a:{SECRET}@b/')"
    stage.dead("a" * 24, 60, said, args={"to": "ann", "password": SECRET})
    ms = stage.clock.epoch_ms
    stage.ran(Record("a" * 24, "mail", stage.now - 90, ms - 900, ms - 400, "dead", 4, "E: x", "f"))

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("v")
        await pilot.pause()
        from_list = area(app)
        await pilot.press("j", "escape")
        await stage.press(pilot, app, "enter")
        await stage.until(pilot, lambda: "500 ms" in shown(app))
        await pilot.press("v")
        await pilot.pause()
        text = area(app)
        assert text.startswith(f"mail {'a' * 24}\n  place     dead, for 1m 0s")
        for part in (
            "Why it is not running\n  it died 1m 0s ago", 'Args\n  {\n    "to": "ann",',
            "Error\n  Denied: password=•••\n\n  Traceback:", "dead 500 ms web-1 E: x",
        ):  # fmt: skip
            assert part in text
        assert "Executions" not in from_list
        assert SECRET not in text + from_list + shown(app)
        await pilot.press("q")
        await pilot.pause()
        assert not isinstance(app.screen, TextScreen)

    stage.drive(play)


def test_an_error_and_a_difference_are_read_too(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "7")
        await stage.until(pilot, lambda: table(app).total == 3)
        await pilot.press("v")
        await pilot.pause()
        assert 'File "/srv/shop/mail.py", line 41, in send' in area(app)
        await pilot.press("escape")
        await stage.press(pilot, app, "6", "equals_sign", "G", "equals_sign")
        await pilot.press("v")
        await pilot.pause()
        assert area(app).startswith("--- mail")
        await pilot.press("escape")
        await stage.press(pilot, app, "3", "v")
        assert "There is nothing to read here." in [n.message for n in app._notifications]

    stage.drive(play)


def test_hostile_jobs_are_read_harmlessly(stage: ConsoleStage) -> None:
    hostile(stage)

    async def play(pilot: P, app: App) -> None:
        for key in ("4", "6", "7"):
            await stage.press(pilot, app, key)
            await stage.until(pilot, lambda: table(app).total > 0)
            await pilot.press("v")
            await pilot.pause()
            assert is_harmless(area(app))
            assert is_harmless(shown(app))
            await pilot.press("escape")

    stage.drive(play)


def test_the_pager_of_the_terminal_is_opened(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.dead("a" * 24, 60, args={"note": "a long text"})
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\ncat; echo 'this is the pager'; read x < /dev/tty\n")
    pager.chmod(0o700)
    monkeypatch.setenv("PAGER", str(pager))
    with terminal(stage, tmp_path) as seen:
        wait_until(lambda: "Overview" in seen.text, 30)
        seen.type("6")
        wait_until(lambda: "1 job · newest first" in seen.text)
        seen.type("v")
        wait_until(lambda: "this is the pager" in seen.text, 30)
        assert '"note": "a long text"' in seen.text
        assert "Overview" not in seen.text
        seen.type("Enter")
        wait_until(lambda: "1 job · newest first" in seen.text, 30)
