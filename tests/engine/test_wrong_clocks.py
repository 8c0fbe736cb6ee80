"""A pool on a host with a wrong clock works as with a right clock."""

from __future__ import annotations

import logging

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import Notes
from workkit import Client, Enqueuer, Place
from workkit.core.clock import Instant, SystemClock


class Wrong:
    """A machine's clocks; a test sets the wall clock."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s
        self._right = SystemClock()

    def read(self) -> Instant:
        """Read both clocks."""
        now = self._right.read()
        return Instant(now.epoch_ms + int(self.ahead_s * 1000), now.monotonic_s)


@pytest.mark.parametrize("when", ["from the start", "later"])
@pytest.mark.parametrize("ahead_s", [86_400, -86_400])
def test_a_clock_that_is_a_day_off_moves_nothing_early_and_keeps_no_cron_slot_from_running(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
    when: str,
    ahead_s: float,
) -> None:
    clock = Wrong(ahead_s if when == "from the start" else 0.0)
    pool, ran, slots = make_pool(concurrency=2, clock=clock), Notes(), Notes()
    pool.job("work", ran)
    pool.job("tick", lambda job: slots(int(job.id.rpartition(":")[2])))
    pool.periodically_enqueue("* * * * * *", "tick")
    enqueuer.enqueue_in("work", 600)
    with caplog.at_level(logging.WARNING), pool:
        slots.wait_for(1)
        clock.ahead_s = ahead_s
        seen = len(slots.items)
        found = slots.wait_for(seen + 3)
        enqueuer.enqueue_in("work", 0)
        ran.wait_for(1)
    now_s = SystemClock().read().epoch_s
    assert all(abs(now_s - slot) < 120 for slot in found)
    waiting = [item for part in client.walk(Place("scheduled")) for item in part.jobs]
    assert [item.job.name for item in waiting].count("work") == 1
    assert client.dead_jobs().total == 0
