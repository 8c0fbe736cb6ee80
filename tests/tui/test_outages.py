"""Redis goes away, and comes back."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.conftest import PrivateServer
from tests.tui.stage import ConsoleStage, shown
from workkit.errors import ServerRefused
from workkit_tui.app import Console
from workkit_tui.screens.plan import PlanScreen

pytestmark = pytest.mark.one_server


def test_an_outage_is_shown_acts_are_refused_and_it_recovers_by_itself(
    private_server: PrivateServer,
) -> None:
    from redis import Redis

    server = private_server()
    with Redis.from_url(server.url) as redis:
        stage = ConsoleStage(redis, server.url, "work")
        stage.busy()

        async def play(pilot: Pilot[None], app: Console) -> None:
            await stage.press(pilot, app, "6")
            server.kill()
            await stage.look(pilot, app)
            stage.clock.advance(65)
            app._say_state()
            await pilot.pause()
            banner = shown(app).splitlines()[2]
            assert "no answer from Redis" in banner
            assert "1m 5s ago" in banner
            assert "41 jobs" in shown(app), "what was read stays on the screen"
            await pilot.press("d")
            await pilot.pause()
            assert not isinstance(app.screen, PlanScreen)
            assert any("cannot be reached" in n.message for n in app._notifications)
            server.start()
            await stage.look(pilot, app)
            assert app.trouble == ""
            assert "no answer" not in shown(app).splitlines()[2]

        stage.drive(play)
        stage.close()


@pytest.mark.parametrize("keys", [("2",), ("2", "enter"), ("6", "enter")])
def test_a_pause_that_is_refused_is_said_and_ends_nothing(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    def refuse(name: str) -> None:
        raise ServerRefused("OOM", f"{name} cannot be written")

    stage.busy()
    monkeypatch.setattr(stage.client, "pause", refuse)

    async def play(pilot: Pilot[None], app: Console) -> None:
        for key in keys:
            await stage.press(pilot, app, key)
        await pilot.press("p")
        await stage.until(pilot, lambda: "mail cannot be written" in shown(app))

    stage.drive(play)
