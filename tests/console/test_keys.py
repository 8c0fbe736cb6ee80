"""Every key of every screen, pressed on a console that looks at a real server."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from textual.pilot import Pilot

from tests.console.stage import Stage, shown
from workkit import Place
from workkit_tui.app import Console
from workkit_tui.keys import COMMON, TABS, Key
from workkit_tui.screens import TAB_SCREENS
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.help import HelpScreen
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.plan import PlanScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.screens.undoing import UndoingScreen
from workkit_tui.widgets.table import Table

pytestmark = pytest.mark.one_server

P: TypeAlias = Pilot[None]
App: TypeAlias = Console
NUMBER = {name: str(at) for at, (name, _) in enumerate(TABS, 1)}
SCREENS: dict[str, type[ConsoleScreen]] = {
    **{name: screen for name, screen in TAB_SCREENS.items() if isinstance(screen, type)},
    "queue": QueueScreen,
    "job": JobScreen,
}
DEAD = Place("dead")


def table(app: Console) -> Table:
    return app.screen.query(Table).first()


def dead_ids(stage: Stage) -> list[str]:
    return [record.job.id for record in stage.client.jobs(DEAD, 0, 1_000, reverse=True).jobs]


async def carry_out(stage: Stage, pilot: P, app: App, *keys: str) -> PlanScreen:
    """Press keys that ask for a plan, say yes, and wait for the end."""
    await pilot.press(*keys)
    await stage.until(pilot, lambda: isinstance(app.screen, PlanScreen))
    plan = app.screen
    assert isinstance(plan, PlanScreen)
    await stage.until(pilot, lambda: plan.stage == "asking")
    await pilot.press("y")
    await stage.until(pilot, lambda: plan.stage == "done")
    return plan


def _more(app: Console, looks: int) -> bool:
    return app.looks > looks


# Keys as data


@pytest.mark.parametrize("name", SCREENS)
def test_every_key_has_an_action_and_no_key_means_two_things(name: str) -> None:
    screen = SCREENS[name]
    keys = [*screen.KEYS, *COMMON]
    used = [each for key in keys for each in key.keys]
    assert len(used) == len(set(used))
    for key in keys:
        home: type = Console if key.action.startswith("app.") else screen
        method = key.action.removeprefix("app.").partition("(")[0]
        assert hasattr(home, f"action_{method}"), key
        assert key.help
        assert not key.help.endswith(".")


def test_capital_letters_are_for_what_cannot_be_undone_and_for_the_last_row() -> None:
    capitals = {
        (name, each)
        for name, screen in SCREENS.items()
        for key in screen.KEYS
        for each in key.keys
        if len(each) == 1 and each.isupper() and key.action not in {"cursor_last", "bottom"}
    }
    assert capitals == {("undo", "X")}


@pytest.mark.parametrize("name", NUMBER)
@pytest.mark.parametrize("state", ["empty", "busy"])
def test_every_key_can_be_pressed_on_every_screen(stage: Stage, name: str, state: str) -> None:
    if state == "busy":
        stage.busy()

    async def play(pilot: P, app: App) -> None:
        screen = SCREENS[name]
        for key in (*screen.KEYS, *COMMON):
            if key.action in {"app.quit", "app.command_palette"}:
                continue
            for each in key.keys:
                app.action_tab(name)
                await pilot.pause()
                await pilot.press(each)
                await pilot.pause()
                while len(app.screen_stack) > 2:
                    app.pop_screen()
                    await pilot.pause()
        await stage.until(pilot, lambda: not app._looking)
        assert app.is_running

    stage.drive(play)


def test_the_footer_and_the_help_are_made_of_the_keys(stage: Stage) -> None:
    async def play(pilot: P, app: App) -> None:
        for name, screen in TAB_SCREENS.items():
            app.action_tab(name)
            await pilot.pause()
            footer = shown(app).splitlines()[-1]
            labelled = [key for key in screen().KEYS if key.label]
            for key in labelled:
                assert f"{key.shown} {key.label}" in footer, (name, key)
            await pilot.press("question_mark")
            await stage.until(pilot, lambda: isinstance(app.screen, HelpScreen))
            text = shown(app)
            assert labelled[0].help.split()[0] in text
            await pilot.press("j", "k", "escape")
            await pilot.pause()

    stage.drive(play, size=(200, 70))


# Going about


def test_numbers_names_and_neighbours_lead_to_the_screens(stage: Stage) -> None:
    async def play(pilot: P, app: App) -> None:
        for name, number in NUMBER.items():
            await pilot.press(number)
            await pilot.pause()
            assert app.console_screen is app.get_screen(name)
        for key, expected in (
            ("l", "overview"), ("right", "queues"), ("tab", "workers"),
            ("h", "queues"), ("left", "overview"), ("shift+tab", "undo"),
        ):  # fmt: skip
            await pilot.press(key)
            await pilot.pause()
            assert app.console_screen is app.get_screen(expected), key
        for typed, expected in (("dead", "dead"), ("Que", "queues")):
            await pilot.press("colon", *typed, "enter")
            await pilot.pause()
            assert app.console_screen is app.get_screen(expected)

    stage.drive(play)


def test_a_queue_and_a_job_are_jumped_to_by_name_and_id(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await pilot.press("colon", *"exp", "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, QueueScreen))
        await pilot.press("escape", "colon", *f"{105:024x}", "enter")
        await stage.until(pilot, lambda: isinstance(app.screen, JobScreen))
        await stage.look(pilot, app)
        assert f"{105:024x}" in shown(app)
        assert "dead, for 5m 0s" in shown(app)
        await pilot.press("escape", "colon", *"nobody", "enter")
        await stage.until(pilot, lambda: any("nobody" in n.message for n in app._notifications))

    stage.drive(play)


@pytest.mark.parametrize("keys", [("q",), ("ctrl+c",), ("colon", "q", "enter")])
def test_it_can_be_left(stage: Stage, keys: tuple[str, ...]) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press(*keys)
        await stage.until(pilot, lambda: app._exit)

    stage.drive(play)


def test_the_cursor_goes_everywhere_in_vim_and_in_arrows(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        room = table(app).room
        for key, expected in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 40), ("g", 0), ("end", 40),
            ("home", 0), ("ctrl+d", room), ("ctrl+u", 0), ("ctrl+f", room), ("ctrl+b", 0),
            ("pagedown", room), ("pageup", 0),
        ):  # fmt: skip
            await pilot.press(key)
            await pilot.pause()
            assert table(app).cursor == expected, key

    stage.drive(play, size=(80, 24))


def test_the_mouse_chooses_opens_sorts_and_switches(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.click(Table, offset=(30, 4))
        await pilot.pause()
        assert table(app).cursor == 3
        await pilot.click(Table, offset=(30, 4), times=2)
        await stage.until(pilot, lambda: isinstance(app.screen, JobScreen))
        await pilot.press("escape", "2")
        await stage.look(pilot, app)
        await pilot.click(Table, offset=(3, 0))
        await pilot.pause()
        assert table(app).sorted_by == "Queue"
        await pilot.click(Table, offset=(3, 0))
        assert table(app).inverted
        await pilot.click("Tabs", offset=(3, 0))
        await pilot.pause()
        assert app.console_screen is app.get_screen("overview")

    stage.drive(play)


# How it looks, and how often


def test_refreshing_holding_and_themes(stage: Stage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("plus")
        assert app.feed.refresh_s == 1
        await pilot.press("minus", "minus")
        assert app.feed.refresh_s == 4
        for key in ("ctrl+r", "f5"):
            looks = app.looks
            await pilot.press(key)
            await stage.until(pilot, partial(_more, app, looks))
        theme = app.theme
        await pilot.press("ctrl+t")
        assert app.theme != theme
        await pilot.press("z")
        await pilot.pause()
        assert "held, z goes on" in shown(app).splitlines()[0]
        await pilot.press("z")
        await pilot.pause()
        assert "held" not in shown(app).splitlines()[0]

    stage.drive(play)


def test_the_palette_offers_the_keys_of_the_screen(stage: Stage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("2", "ctrl+p")
        await pilot.pause()
        await pilot.press(*"pause the queue")
        await stage.until(pilot, lambda: "Pause the queue" in shown(app))

    stage.drive(play)


def test_every_theme_can_be_used(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        for theme in app.available_themes:
            app.theme = theme
            await pilot.pause()
        assert app.is_running

    stage.drive(play)


def test_it_follows_the_size_of_the_terminal(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        for size in ((40, 10), (200, 60), (80, 24)):
            await pilot.resize_terminal(*size)
            for number in NUMBER.values():
                await stage.press(pilot, app, number)
                lines = shown(app).splitlines()
                assert len(lines) == size[1]
                assert max(map(len, lines)) <= size[0]

    stage.drive(play)


# Queues


def test_queues_are_paused_filtered_sorted_and_opened(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "2")

        def paused() -> list[str]:
            return [queue.job_name for queue in stage.client.queues() if queue.paused]

        await pilot.press("p")
        await stage.until(pilot, lambda: paused() == ["charge", "mail"])
        await stage.look(pilot, app)
        await pilot.press("p")
        await stage.until(pilot, lambda: paused() == ["charge"])
        await pilot.press("slash", *"xp", "enter")
        await pilot.pause()
        assert table(app).total == 1
        assert "1 of 4 queues" in shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert table(app).total == 4
        await pilot.press("s", "s")
        assert table(app).sorted_by == "Running"
        await pilot.press("i")
        assert table(app).inverted
        await stage.press(pilot, app, "enter")
        assert isinstance(app.screen, QueueScreen)
        await stage.press(pilot, app, "p")

    stage.drive(play)


def test_jobs_of_a_queue_are_deleted_and_brought_back(stage: Stage) -> None:
    stage.busy()
    mail = Place("queued", "mail")

    async def play(pilot: P, app: App) -> None:
        await pilot.press("2", "enter")
        await stage.look(pilot, app)
        before = [record.job.raw for record in stage.client.jobs(mail).jobs]
        await carry_out(stage, pilot, app, "space", "space", "d")
        assert [r.job.raw for r in stage.client.jobs(mail).jobs] == before[2:]
        await pilot.press("u")
        await stage.until(pilot, lambda: "are back" in shown(app))
        assert [r.job.raw for r in stage.client.jobs(mail).jobs] == before

    stage.drive(play)


# Sets


def test_one_job_the_marked_ones_or_all_are_deleted(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        ids = dead_ids(stage)
        await carry_out(stage, pilot, app, "j", "d")
        await stage.press(pilot, app, "escape")
        assert dead_ids(stage) == [ids[0], *ids[2:]]
        await carry_out(stage, pilot, app, "g", "space", "j", "space", "d")
        await stage.press(pilot, app, "escape")
        assert dead_ids(stage) == [ids[2], *ids[4:]]
        await pilot.press("a")
        await pilot.pause()
        assert "all are marked" in shown(app)
        await pilot.press("u")
        await pilot.pause()
        assert "marked" not in shown(app).splitlines()[2]
        await carry_out(stage, pilot, app, "a", "d")
        assert dead_ids(stage) == []

    stage.drive(play)


def test_only_what_a_filter_picks_is_acted_on(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await pilot.press("6", "slash", *"error:address", "enter")
        await stage.until(pilot, lambda: table(app).total == 1)
        await carry_out(stage, pilot, app, "a", "r")
        assert len(dead_ids(stage)) == 40
        await pilot.press("escape", "escape")
        await stage.look(pilot, app)
        assert table(app).total == 40

    stage.drive(play)


def test_a_filter_that_cannot_be_read_is_refused_where_it_is_typed(stage: Stage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("6", "slash", *"erorr:x", "enter")
        await pilot.pause()
        assert "there is no field 'erorr'" in shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "erorr" not in shown(app)

    stage.drive(play)


@pytest.mark.parametrize(("number", "place"), [("4", "retry"), ("5", "scheduled")])
def test_waiting_jobs_run_now_or_are_deleted(stage: Stage, number: str, place: Any) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        total = stage.client.jobs(Place(place)).total
        await stage.press(pilot, app, number)
        await carry_out(stage, pilot, app, "r")
        await stage.press(pilot, app, "escape")
        await carry_out(stage, pilot, app, "d")
        await stage.press(pilot, app, "escape", "o")
        assert stage.client.jobs(Place(place)).total == total - 2

    stage.drive(play)


def test_the_order_is_turned_and_an_id_is_copied(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("y")
        assert app.clipboard == f"{100:024x}"
        await stage.press(pilot, app, "o")
        assert "the longest dead first" in shown(app)
        await pilot.press("y")
        assert app.clipboard == f"{200:024x}"

    stage.drive(play)


def test_the_cursor_stays_on_its_job_when_others_die(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("j", "j", "j", "y")
        for n in range(3):
            stage.dead(f"new-{n}", 0)
        await stage.look(pilot, app)
        before = app.clipboard
        await pilot.press("y")
        assert app.clipboard == before
        assert table(app).cursor == 6

    stage.drive(play)


def test_retrying_with_care_says_what_it_will_do(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("t")
        await stage.until(pilot, lambda: "First 1, then 10, then 50 a second" in shown(app))
        await pilot.press("plus", "plus")
        await stage.until(pilot, lambda: "then 200 a second" in shown(app))
        await pilot.press(*["minus"] * 20)
        await stage.until(pilot, lambda: "then 1 a second" in shown(app))
        await pilot.press("n")
        await pilot.pause()
        assert not isinstance(app.screen, PlanScreen)
        assert len(dead_ids(stage)) == 41

    stage.drive(play)


def test_a_plan_can_be_refused_with_escape_and_accepted_with_enter(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        for refuse in ("escape", "n", "q"):
            await pilot.press("d")
            await stage.until(pilot, lambda: "y goes ahead" in shown(app))
            await pilot.press(refuse)
            await pilot.pause()
            assert not isinstance(app.screen, PlanScreen)
        assert len(dead_ids(stage)) == 41
        await pilot.press("d")
        await stage.until(pilot, lambda: "y goes ahead" in shown(app))
        await pilot.press("enter")
        await stage.until(pilot, lambda: "1 job deleted" in shown(app))

    stage.drive(play)


# Errors


def test_groups_are_opened_retried_and_deleted(stage: Stage) -> None:
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


# Jobs, workers, cron, undo


def test_a_job_shows_everything_and_hides_secrets(stage: Stage) -> None:
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
        await pilot.press("f")
        await stage.until(
            pilot, lambda: any("It is nowhere" in n.message for n in app._notifications)
        )

    stage.drive(play, size=(120, 24))


def test_a_dead_job_is_retried_from_its_own_screen_and_found_again(stage: Stage) -> None:
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
        await pilot.press("y")
        assert app.clipboard == f"{100:024x}"

    stage.drive(play)


def test_workers_are_those_of_the_pool_or_all_and_lead_to_their_jobs(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "3")
        assert "Busy workers of web-1:4242" in shown(app)
        assert "page 12 of 40" in shown(app)
        await stage.press(pilot, app, "j")
        await stage.until(pilot, lambda: "nobody is busy" in shown(app))
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


def test_a_cron_entry_leads_to_its_slots(stage: Stage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "8")
        await pilot.press("enter")
        await stage.until(pilot, lambda: "is:cron" in shown(app))

    stage.drive(play)


def test_what_was_done_is_undone_or_forgotten(stage: Stage) -> None:
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
        await pilot.press("X", "y")
        await stage.until(pilot, lambda: "gone for good" in shown(app))
        assert stage.client.actions.operations() == []
        assert stage.client.jobs(scheduled).total == total

    stage.drive(play)


def test_a_concern_leads_to_where_it_is_mended(stage: Stage) -> None:
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
    stage: Stage, tmp_path: Path, number: str, suffix: str
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


def test_jobs_that_were_not_looked_at_are_written_as_well(stage: Stage, tmp_path: Path) -> None:
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


def test_a_console_that_only_reads_refuses_every_act(stage: Stage) -> None:
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
