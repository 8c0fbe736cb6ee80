"""The keys of errors, jobs, workers, cron, undo and files, and refused actions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tui.pressing import NUMBER, SCREENS, App, P, carry_out, dead_ids, table
from tests.tui.stage import ConsoleStage, shown
from workkit import Place
from workkit_tui.keys import Key
from workkit_tui.screens.plan import PlanScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.screens.undoing import UndoingScreen

pytestmark = pytest.mark.one_server


# Errors


def test_groups_are_opened_retried_and_deleted(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await pilot.press("7")
        await stage.until(pilot, lambda: table(app).total == 3)
        await pilot.press("s")
        await pilot.pause()
        assert "Trend, day" in shown(app)
        await carry_out(stage, pilot, app, "G", "r")
        await pilot.press("escape")
        await stage.until(pilot, lambda: table(app).total == 2)
        assert len(dead_ids(stage)) == 40
        await carry_out(stage, pilot, app, "g", "d")
        await pilot.press("escape")
        await stage.until(pilot, lambda: table(app).total == 1)
        assert dead_ids(stage) == []
        await pilot.press("slash", *"queue:nobody", "enter")
        await stage.until(pilot, lambda: table(app).total == 0)
        await pilot.press("escape", "c")
        await stage.until(pilot, lambda: table(app).total == 1)
        await pilot.press("t")
        await stage.until(pilot, lambda: "with care" in shown(app))

    stage.drive(play)


def test_a_count_of_many_jobs_says_how_old_it_is(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit_tui.screens.errors._CHEAP", 20)
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await pilot.press("7")
        await stage.until(pilot, lambda: table(app).total == 3)
        await stage.until(pilot, lambda: not app.workers._workers)
        await stage.look(pilot, app)
        assert "counted" not in shown(app)
        stage.dead("b" * 24, 1, "KeyError: 'new'")
        stage.clock.advance(61)
        await stage.look(pilot, app)
        assert "counted 1m 1s ago; c counts again" in shown(app)
        assert table(app).total == 3
        await pilot.press("c")
        await stage.until(pilot, lambda: table(app).total == 4)
        await stage.until(pilot, lambda: not app.workers._workers)
        await stage.look(pilot, app)
        assert "counted" not in shown(app)

    stage.drive(play, size=(80, 24))


# Jobs, workers, cron, undo


def test_a_job_shows_everything_and_hides_secrets(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await pilot.press("2", *"jj", "enter")
        await stage.look(pilot, app)
        await pilot.press("enter")
        await stage.look(pilot, app)
        text = shown(app)
        assert "queue 'charge' is paused" in text
        assert '"api_token": "•••"' in text
        assert "sk-secret" not in text
        await stage.press(pilot, app, "p")
        assert not any(q.paused for q in stage.client.queues())
        await stage.press(pilot, app, "p")
        for key in ("j", "k", "G", "g", "ctrl+d", "ctrl+u"):
            await pilot.press(key)
        await pilot.press("r")
        await stage.until(
            pilot, lambda: any("in its queue already" in n.message for n in app._notifications)
        )
        await carry_out(stage, pilot, app, "d")
        await stage.press(pilot, app, "escape")
        await stage.press(pilot, app, "f")
        await stage.look(pilot, app)
        assert "nowhere: deleted by ann@web-1" in shown(app)

    stage.drive(play, size=(120, 24))


def test_a_dead_job_is_retried_from_its_own_screen_and_found_again(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await stage.press(pilot, app, "enter")
        assert "dead, for 0s" in shown(app)
        assert "dead      1.9 s" not in shown(app)
        await carry_out(stage, pilot, app, "r")
        await stage.press(pilot, app, "escape")
        assert "it is not in the dead set any more" in shown(app)
        await pilot.press("f")
        await stage.until(pilot, lambda: "queued" in shown(app).splitlines()[3])
        await pilot.press("y", "y")
        assert app.clipboard == f"{100:024x}"

    stage.drive(play)


def test_workers_are_those_of_the_pool_or_all_and_lead_to_their_jobs(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3")
        assert "Busy workers of web-1:4242" in shown(app)
        assert "page 12 of 40" in shown(app)
        await stage.press(pilot, app, "j")
        await stage.until(pilot, lambda: "no worker is busy" in shown(app))
        await stage.press(pilot, app, "w")
        assert "Busy workers of all pools" in shown(app)
        assert "page 12 of 40" in shown(app)
        await pilot.press("o", "enter")
        await stage.look(pilot, app)
        assert "running for 1h 2m" in shown(app)
        await pilot.press("escape", "escape", "slash", *"web-2", "enter")
        await stage.look(pilot, app)
        assert table(app).total == 1
        await pilot.press("escape")
        await stage.look(pilot, app)
        assert table(app).total == 2

    stage.drive(play)


def test_a_cron_entry_leads_to_its_slots(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "8")
        await pilot.press("enter")
        await stage.until(pilot, lambda: "is:cron" in shown(app))

    stage.drive(play)


def test_what_was_done_is_undone_or_forgotten(stage: ConsoleStage) -> None:
    stage.busy()
    scheduled = Place("scheduled")

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "9")
        assert "bob@web-2" in shown(app)
        total = stage.client.jobs(scheduled).total
        await pilot.press("u")
        await stage.until(pilot, lambda: isinstance(app.screen, UndoingScreen))
        await stage.until(pilot, lambda: "1 job is back" in shown(app))
        await pilot.press("escape")
        assert stage.client.jobs(scheduled).total == total + 1
        await stage.press(pilot, app, "5")
        await carry_out(stage, pilot, app, "d")
        await stage.press(pilot, app, "escape", "9")
        await pilot.press("X", "n")
        await stage.look(pilot, app)
        assert len(stage.client.actions.operations()) == 1, "it asks first"
        await pilot.press("X")
        await stage.until(pilot, lambda: "y empties it" in shown(app))
        await pilot.press("y")
        await stage.until(pilot, lambda: "gone for good" in shown(app))
        assert stage.client.actions.operations() == []
        assert stage.client.jobs(scheduled).total == total

    stage.drive(play)


def test_a_concern_leads_to_where_it_is_mended(stage: ConsoleStage) -> None:
    stage.broken()

    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert app.view is not None
        texts = [concern.text for concern in app.view.concerns]
        assert "no pool is alive" in texts[0], "what is wrong with the whole comes first"
        odd = next(at for at, text in enumerate(texts) if text.startswith("queue odd"))
        await pilot.press("enter")
        await pilot.pause()
        assert app.console_screen is app.get_screen("workers")
        await pilot.press("1")
        await stage.look(pilot, app)
        await pilot.press(*["j"] * odd, "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, QueueScreen))

    stage.drive(play)


# Files


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("number", ["2", "3", "4", "5", "6", "7", "8"])
def test_what_is_listed_is_written_to_a_file(
    stage: ConsoleStage, tmp_path: Path, number: str, suffix: str
) -> None:
    stage.busy()
    path = tmp_path / f"out.{suffix}"

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, number)
        await stage.until(pilot, lambda: table(app).total > 0)
        await pilot.press("e")
        await pilot.pause()
        app.screen.query_one("#prompt-input").value = str(path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await stage.until(pilot, lambda: "Wrote" in shown(app))
        assert not app.screen.query_one("Prompt").display
        await pilot.press("e")
        app.screen.query_one("#prompt-input").value = str(path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await pilot.pause()
        assert "exists" in shown(app)

    stage.drive(play)
    text = path.read_text("utf-8")
    assert "sk-" not in text
    lines = text.splitlines()
    if suffix == "json":
        assert len(json.loads(text)) > 0
    elif suffix == "jsonl":
        assert all(json.loads(line) for line in lines)
    else:
        assert len(lines) > 1


def test_jobs_that_were_not_looked_at_are_written_as_well(
    stage: ConsoleStage, tmp_path: Path
) -> None:
    for n in range(250):
        stage.dead(f"{n:024x}", n, "Timeout: 30 s" if n % 2 else "KeyError: 'to'")
    everything, picked = tmp_path / "all.jsonl", tmp_path / "some.jsonl"

    async def play(pilot: P, app: App) -> None:
        async def write(path: Path, records: int) -> None:
            await pilot.press("e")
            app.screen.query_one("#prompt-input").value = str(path)  # type: ignore[attr-defined]
            await pilot.press("enter")
            await stage.until(pilot, lambda: f"Wrote {records} records" in shown(app))

        await stage.press(pilot, app, "6")
        await write(everything, 250)
        await pilot.press("slash", *"error:keyerror", "enter")
        await stage.until(pilot, lambda: "125 matches" in shown(app))
        await write(picked, 125)

    stage.drive(play)
    assert len(everything.read_text().splitlines()) == 250
    assert len(picked.read_text().splitlines()) == 125


# What may not be done


def keys_that_act() -> list[tuple[str, Key]]:
    return [(name, key) for name in NUMBER for key in SCREENS[name].KEYS if key.acts]


def test_a_console_that_only_reads_refuses_every_act(stage: ConsoleStage) -> None:
    stage.busy()

    def contents() -> list[Any]:
        keys = sorted(stage.redis.scan_iter(f"{stage.namespace}*"))
        return [(key, stage.redis.dump(key)) for key in keys]

    async def play(pilot: P, app: App) -> None:
        before = contents()
        for name, key in keys_that_act():
            app.action_tab(name)
            await stage.look(pilot, app)
            if name == "errors":
                await stage.until(pilot, lambda: table(app).total > 0)
            footer = shown(app).splitlines()[-1]
            assert not key.label or f"{key.shown} {key.label}" not in footer
            await pilot.press(key.keys[0])
            await pilot.pause()
            assert not isinstance(app.screen, PlanScreen | UndoingScreen), key
        assert any("read-only" in n.message for n in app._notifications)
        assert "read-only" in shown(app).splitlines()[0]
        assert contents() == before

    stage.drive(play, read_only=True)
