"""The keys that act on waiting, scheduled, retrying and dead jobs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tui.pressing import App, P, carry_out, dead_ids, table
from tests.tui.stage import ConsoleStage, shown
from workkit import Place
from workkit_tui.screens.plan import PlanScreen
from workkit_tui.screens.queue import QueueScreen

pytestmark = pytest.mark.one_server


# Queues


def test_queues_are_paused_filtered_sorted_and_opened(stage: ConsoleStage) -> None:
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


def test_jobs_of_a_queue_are_deleted_and_brought_back(stage: ConsoleStage) -> None:
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


def test_one_job_the_marked_ones_or_all_are_deleted(stage: ConsoleStage) -> None:
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


def test_what_is_marked_is_said_first_and_all_is_unmarked_with_the_tab(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("slash", *"error:timeout or error:address or fails:>0", "enter")
        await stage.until(pilot, lambda: "41 matches" in shown(app))
        await pilot.press("a")
        await pilot.pause()
        assert shown(app).splitlines()[2].strip().startswith("all are marked · /error:timeout")
        await pilot.press("2", "6")
        await stage.look(pilot, app)
        assert "marked" not in shown(app).splitlines()[2]
        await pilot.press("space")
        await pilot.pause()
        await pilot.press("2", "6")
        await stage.look(pilot, app)
        assert shown(app).splitlines()[2].strip().startswith("1 marked"), "named jobs stay named"
        await pilot.press("a", "enter")
        await stage.look(pilot, app)
        await pilot.press("escape")
        await stage.look(pilot, app)
        assert "all are marked" in shown(app), "a job is looked at without leaving the tab"

    stage.drive(play, size=(80, 24))


def test_only_what_a_filter_picks_is_acted_on(stage: ConsoleStage) -> None:
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


def test_a_filter_that_cannot_be_read_is_refused_where_it_is_typed(stage: ConsoleStage) -> None:
    async def play(pilot: P, app: App) -> None:
        await pilot.press("6", "slash", *"erorr:x", "enter")
        await pilot.pause()
        assert "unknown field 'erorr'" in shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "erorr" not in shown(app)

    stage.drive(play)


@pytest.mark.parametrize(("number", "place"), [("4", "retry"), ("5", "scheduled")])
def test_waiting_jobs_run_now_or_are_deleted(stage: ConsoleStage, number: str, place: Any) -> None:
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


def test_the_order_is_turned_and_an_id_is_copied(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "6")
        await pilot.press("y")
        assert app.clipboard == f"{100:024x}"
        await stage.press(pilot, app, "o")
        assert "oldest first" in shown(app)
        await pilot.press("y")
        assert app.clipboard == f"{200:024x}"

    stage.drive(play)


def test_the_cursor_stays_on_its_job_when_others_die(stage: ConsoleStage) -> None:
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


def test_retrying_with_care_says_what_it_will_do(stage: ConsoleStage) -> None:
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


def test_a_plan_can_be_refused_with_escape_and_accepted_with_enter(stage: ConsoleStage) -> None:
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
