"""Keys as data, and those that lead about."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.tui.pressing import NUMBER, SCREENS, App, P, more, table
from tests.tui.stage import ConsoleStage, shown
from workkit_tui.app import Console
from workkit_tui.keys import COMMON
from workkit_tui.screens.help import HelpScreen
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.screens.queues import QueuesScreen
from workkit_tui.tabs import TABS
from workkit_tui.widgets.bars import Footer
from workkit_tui.widgets.table import Table

pytestmark = pytest.mark.one_server


# Keys as data


@pytest.mark.parametrize("name", SCREENS)
def test_every_key_has_an_action_and_no_key_means_two_things(name: str) -> None:
    screen = SCREENS[name]
    keys = [*screen.KEYS, *COMMON]
    used = [*(tab.key for tab in TABS), *(each for key in keys for each in key.keys)]
    assert len(used) == len(set(used))
    for key in keys:
        home: type = Console if key.action.startswith("app.") else screen
        method = key.action.removeprefix("app.").partition("(")[0]
        assert hasattr(home, f"action_{method}"), key
        assert key.help
        assert not key.help.endswith(".")


def test_each_tab_has_a_key_of_its_own_and_a_screen_that_names_it() -> None:
    assert len({tab.key for tab in TABS}) == len({tab.name for tab in TABS}) == len(TABS)
    for tab in TABS:
        assert len(tab.key) == 1, "one press goes there"
        assert (tab.name, tab.title) == (tab.screen.TAB, tab.screen.TITLE_SHOWN)


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
def test_every_key_can_be_pressed_on_every_screen(
    stage: ConsoleStage, name: str, state: str
) -> None:
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


def test_the_footer_and_the_help_are_made_of_the_keys(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        for tab in TABS:
            name, screen = tab.name, tab.screen
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


def test_numbers_names_and_neighbours_lead_to_the_screens(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        for name, number in NUMBER.items():
            await pilot.press(number)
            await pilot.pause()
            assert app.console_screen is app.get_screen(name)
        for key, expected in (
            ("l", "overview"), ("right", "queues"), ("tab", "workers"),
            ("h", "queues"), ("left", "overview"), ("shift+tab", "acts"),
        ):  # fmt: skip
            await pilot.press(key)
            await pilot.pause()
            assert app.console_screen is app.get_screen(expected), key
        for typed, expected in (("dead", "dead"), ("Que", "queues")):
            await pilot.press("colon", *typed, "enter")
            await pilot.pause()
            assert app.console_screen is app.get_screen(expected)

    stage.drive(play)


def test_a_queue_and_a_job_are_jumped_to_by_name_and_id(stage: ConsoleStage) -> None:
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
def test_it_can_be_left(stage: ConsoleStage, keys: tuple[str, ...]) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press(*keys)
        await stage.until(pilot, lambda: app._exit)

    stage.drive(play)


def test_the_cursor_goes_everywhere_in_vim_and_in_arrows(stage: ConsoleStage) -> None:
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


def test_the_mouse_chooses_opens_sorts_and_switches(stage: ConsoleStage) -> None:
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
        await pilot.click("TabBar", offset=(3, 0))
        await pilot.pause()
        assert app.console_screen is app.get_screen("overview")

    stage.drive(play)


# How it looks, and how often


def test_refreshing_holding_and_themes(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("plus")
        assert app.feed.refresh_s == 1
        await pilot.press("minus", "minus")
        assert app.feed.refresh_s == 4
        for key in ("ctrl+r", "f5"):
            looks = app.looks
            await pilot.press(key)
            await stage.until(pilot, partial(more, app, looks))
        theme = app.theme
        await pilot.press("ctrl+t")
        assert app.theme != theme
        await pilot.press("z")
        await pilot.pause()
        assert "frozen; z resumes" in shown(app).splitlines()[0]
        await pilot.press("z")
        await pilot.pause()
        assert "frozen" not in shown(app).splitlines()[0]

    stage.drive(play)


def test_the_palette_offers_the_keys_of_the_screen(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("2", "ctrl+p")
        await pilot.pause()
        await pilot.press(*"pause the queue")
        await stage.until(pilot, lambda: "Pause the queue" in shown(app))

    stage.drive(play)


def test_every_theme_can_be_used(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        for theme in app.available_themes:
            app.theme = theme
            await pilot.pause()
        assert app.is_running

    stage.drive(play)


def test_it_follows_the_size_of_the_terminal(stage: ConsoleStage) -> None:
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


def test_a_screen_whose_table_is_not_there_yet_waits_for_the_next_view(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await stage.look(pilot, app)
        assert app.view is not None
        screen = QueuesScreen()
        app.push_screen(screen)
        while not screen.query(Footer):  # noqa: ASYNC110 - no event tells of this moment
            await asyncio.sleep(0)
        assert not screen.query(Table), "the bars are there before the body"
        screen.take(app.view)
        await stage.look(pilot, app)
        assert "mail" in shown(app)

    stage.busy()
    stage.drive(play)
