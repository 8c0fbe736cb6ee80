"""Helpers of the console's tests: they press keys and read the screen."""

from __future__ import annotations

from typing import TypeAlias

from textual.pilot import Pilot

from tests.tui.stage import ConsoleStage
from workkit import Place
from workkit_tui.app import Console
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.plan import PlanScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.tabs import TABS
from workkit_tui.widgets.table import Table

P: TypeAlias = Pilot[None]
App: TypeAlias = Console
NUMBER = {tab.name: tab.key for tab in TABS}
SCREENS: dict[str, type[ConsoleScreen]] = {
    **{tab.name: tab.screen for tab in TABS},
    "queue": QueueScreen,
    "job": JobScreen,
}
DEAD = Place("dead")


def table(app: Console) -> Table:
    return app.screen.query(Table).first()


def dead_ids(stage: ConsoleStage) -> list[str]:
    return [record.job.id for record in stage.client.jobs(DEAD, 0, 1_000, reverse=True).jobs]


async def carry_out(stage: ConsoleStage, pilot: P, app: App, *keys: str) -> PlanScreen:
    """Press keys that ask for a plan, say yes, and wait for the end."""
    await pilot.press(*keys)
    await stage.until(pilot, lambda: isinstance(app.screen, PlanScreen))
    plan = app.screen
    assert isinstance(plan, PlanScreen)
    await stage.until(pilot, lambda: plan.stage == "asking")
    await pilot.press("y")
    await stage.until(pilot, lambda: plan.stage == "done")
    return plan


def more(app: Console, looks: int) -> bool:
    return app.looks > looks


async def go(stage: ConsoleStage, pilot: P, app: App, *keys: str) -> None:
    """Press keys that move in time, and let the console look."""
    await stage.press(pilot, app, *keys)
    await stage.until(pilot, lambda: not app._looking and not app.workers._workers)


async def remember(stage: ConsoleStage, pilot: P, app: App, seconds: float = 2) -> None:
    """Let time pass, and the console remember what there is now."""
    recording = app._recording
    assert recording is not None
    span = recording.span
    stage.clock.advance(seconds)
    await stage.look(pilot, app)
    await stage.until(pilot, lambda: recording.span != span)
