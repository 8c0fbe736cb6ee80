"""The tab of cron entries says their specs in words."""

from __future__ import annotations

import json

import pytest
from textual.pilot import Pilot

from tests.tui.stage import ConsoleStage, shown
from workkit_tui.app import Console

pytestmark = pytest.mark.one_server


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("CRON_TZ=Europe/Berlin 0 30 4 * * *", "every day at 04:30 Europe/Berlin"),
        ("*/5 * * * *", "every 5 minutes"),
        ("@every 90s", "every 1 minute 30 seconds"),
        ("61 * * * *", "not a valid spec"),
    ],
)
def test_a_spec_is_said_in_words(stage: ConsoleStage, spec: str, words: str) -> None:
    stage.redis.hset(stage.keys.periodic_seen, json.dumps(["report", spec]), stage.now)
    stage.redis.hset(stage.keys.periodic, json.dumps(["report", spec]), stage.now + 240)

    async def play(pilot: Pilot[None], app: Console) -> None:
        await stage.press(pilot, app, "8")
        assert words in shown(app)

    stage.drive(play, size=(200, 30))
