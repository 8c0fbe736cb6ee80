"""Pools that are alive in name only: a loop of theirs stands still or has ended."""

from __future__ import annotations

from typing import Any

import pytest

from workkit.engine.process.vitals import STILL_S
from workkit.simulation import Simulation
from workkit.simulation.checkers import all_checkers


def stand_still(life: Any) -> None:
    """Let the dispatcher's thread hang: it goes on with nothing."""
    life._dispatcher._advance = lambda resume, value: None


def die(life: Any) -> None:
    """Let the dispatcher's thread end."""
    stand_still(life)
    life._dispatcher._routine.close()


@pytest.mark.parametrize("end", [stand_still, die])
def test_the_jobs_of_a_pool_whose_dispatcher_does_not_turn_are_run_by_others(end: Any) -> None:
    with Simulation(checkers=all_checkers(), jump=False) as sim:
        for name in ("first", "second"):
            sim.pool(name=name, concurrency=2).job("work", lambda job: sim.sleep(1))
        sim.run_until(1.0)
        (first, second) = sim.pools
        sim.enqueuer.enqueue_many([("work", {"n": n}) for n in range(4)])
        sim.run_until(lambda: first.busy and second.busy)
        held = first.pool_id
        end(first._process)
        sim.disturbances.strike("first", 3_600)  # rules about pools without a fault leave it out
        sim.run_until(lambda: len(sim.trace.of(kind="done")) == 4, within=2 * STILL_S + 60)
        assert held not in {beat.worker_pool_id for beat in sim.client.worker_pool_heartbeats()}
