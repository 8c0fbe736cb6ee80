"""The cost of a day of a small fleet depends on its jobs, not on its hours."""

from __future__ import annotations

import pytest

from tests.support.handlers import nothing
from workkit.core.entropy import Entropy
from workkit.simulation import Simulation


def fleet(sim: Simulation, jobs: int) -> None:
    """Three pools that share some jobs, spread over a day, and a cron job every minute."""
    for _ in range(3):
        pool = sim.pool(concurrency=5)
        pool.job("work", nothing, takes=(0.01, 2))
        pool.job("tick", nothing)
        pool.periodically_enqueue("CRON_TZ=UTC * * * * *", "tick")
    entropy = Entropy("day")
    for n in range(jobs):
        sim.at(entropy.uniform(0, 86_400), sim.enqueuer.enqueue, "work", {"n": n})


@pytest.mark.slow
def test_a_day_with_5000_jobs_and_a_cron_job_every_minute_is_complete() -> None:
    with Simulation(seed=1) as sim:
        fleet(sim, 5_000)
        sim.run_for(days=1)
        sim.run_for(10)
        sim.assert_ran("work", times=5_000)
        assert len(sim.runs("tick")) in {1_439, 1_440, 1_441}
        assert len(sim.trace.of(kind="recovered")) == len(sim.trace.of(kind="returned")) == 0
        # A hundred events a job would mean that heartbeats and looks are not jumped over.
        assert sim.world.steps < 100 * len(sim.trace.of(kind="started"))


def test_jumping_over_turns_changes_nothing_that_jobs_see() -> None:
    seen = []
    for jump in (True, False):
        with Simulation(seed=1, jump=jump) as sim:
            fleet(sim, 1_000)
            sim.run_for(hours=1)
            seen.append(
                [(round(run.at), run.name) for run in sim.trace.of(kind="started")],
            )
    assert seen[0] == seen[1]


def test_who_looks_from_outside_sees_fresh_heartbeats_though_they_are_jumped() -> None:
    with Simulation(seed=1) as sim:
        fleet(sim, 0)
        sim.run_for(hours=1, seconds=17)
        beats = sim.client.worker_pool_heartbeats()
        assert [sim.now_s - beat.heartbeat_at < 3 for beat in beats] == [True] * 3


def test_a_pool_that_crashes_in_a_calm_world_is_noticed_as_soon_as_ever() -> None:
    noticed = []
    for jump in (True, False):
        with Simulation(seed=1, jump=jump) as sim:
            for _ in range(2):
                sim.pool(concurrency=1).job("work", nothing, takes=300)
            sim.enqueuer.enqueue("work")
            sim.run_for(100)
            (holder,) = [pool for pool in sim.pools if pool.busy]
            sim.crash(holder)
            sim.run_until(lambda: sim.trace.of(kind="recovered"))
            noticed.append(sim.now - 100)
    assert all(12 <= seconds <= 18 for seconds in noticed)
