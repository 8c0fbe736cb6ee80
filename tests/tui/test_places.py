"""Several namespaces in one console: one list, what needs attention in each, and the way there."""

from __future__ import annotations

import asyncio
import re

import pytest
from textual.pilot import Pilot

from tests.tui.stage import ConsoleStage, shown
from workkit import Client
from workkit_tui.app import Console
from workkit_tui.places import Place, Places

pytestmark = pytest.mark.one_server

#: Places are read at the same time; the one that answers first may be either.
ALL_READ = r"\A(?![\s\S]*is being read)[\s\S]*no answer from Redis"


def see(stage: ConsoleStage, places: Places, *keys: str, wait_for: str = "") -> tuple[str, object]:
    """Return what the list of places shows, and with what the console ends after some keys."""
    seen = ""

    async def run() -> object:
        nonlocal seen
        app = Console(stage.client, actions=stage.client.actions, clock=stage.clock, places=places)
        async with app.run_test(size=(140, 30)) as pilot:
            await settle(pilot, app)
            seen = shown(app)
            await pilot.press(*keys)
            await pilot.pause()
        return app.return_value

    async def settle(pilot: Pilot[None], app: Console) -> None:
        async with asyncio.timeout(20):
            while not re.search(wait_for, shown(app)):
                await pilot.pause(0.01)

    ended_with = asyncio.run(run())
    return seen, ended_with


def places(stage: ConsoleStage, *others: Place) -> Places:
    own = Client(stage.namespace, stage.url, clock=stage.clock)
    return Places([Place("the shop", own), *others])


def nowhere(title: str) -> Place:
    return Place(title, Client("work", "unix:///nowhere/redis.sock"))


def test_each_place_has_its_figures_and_what_needs_attention(stage: ConsoleStage) -> None:
    stage.broken()
    all_places = places(stage, nowhere("[b]gone[/b] \x1b[2J"))
    seen, _ = see(stage, all_places, wait_for=ALL_READ)
    lines = [line.strip() for line in seen.splitlines()]
    (first,) = [line for line in lines if line.startswith("the shop")]
    view = all_places.all[0].view
    assert view is not None
    assert view.concerns[0].text[:30] in first
    assert f" {view.seen.dead} " in first
    (gone,) = [line for line in lines if "gone" in line]
    assert gone.startswith("[b]gone[/b] \\x1b[2J"), "nothing in a title is interpreted"
    assert "2 places · 2 need attention" in seen


def test_enter_opens_the_place_under_the_cursor_and_q_leaves(stage: ConsoleStage) -> None:
    assert see(stage, places(stage, nowhere("gone")), "G", "enter", wait_for="no answer")[1] == 1
    assert see(stage, places(stage, nowhere("gone")), "enter", wait_for="no answer")[1] == 0
    assert see(stage, places(stage, nowhere("gone")), "q", wait_for="no answer")[1] is None


def test_a_chosen_place_begins_with_its_overview(stage: ConsoleStage) -> None:
    chosen = places(stage)
    chosen.chosen = True
    seen, _ = see(stage, chosen, wait_for="Queued")
    assert "P Places" in seen
    assert "Attention" not in seen


def test_a_single_namespace_has_no_list_of_places(stage: ConsoleStage) -> None:
    async def play(pilot: Pilot[None], app: Console) -> None:
        await pilot.press("P")
        await pilot.pause()
        assert "Places" not in shown(app)

    stage.drive(play)
