"""Faults of the engine that the simulator has found; each test failed before the repair."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.fleet import SCENARIOS, everything, two_hundred_jobs
from tests.simulation.mishaps import before_next
from tests.simulation.test_exploring import short
from workkit import Job
from workkit.simulation import Fault, Simulation, explore
from workkit.simulation.checkers import all_checkers
from workkit.simulation.exploration.playing import PlaySettings, WorldCase, play


@pytest.mark.parametrize(
    ("enqueue", "arguments"),
    [
        ("enqueue_unique", {"until": "start"}),
        ("enqueue_unique", {"until": "done"}),
        ("enqueue_unique_by_key", {"key": {"k": 1}}),
    ],
)
def test_a_job_that_dies_with_its_pools_leaves_no_unique_key(
    enqueue: str, arguments: dict[str, Any]
) -> None:
    with Simulation(checkers=all_checkers()) as sim:

        def kill(job: Job) -> None:
            sim.sleep(1)
            for pool in sim.pools:
                if pool.busy:
                    sim.crash(pool, restart_after=1)
            sim.sleep(100)

        for _ in range(2):
            sim.pool(concurrency=1).job("poison", kill)
        assert getattr(sim.enqueuer, enqueue)("poison", {"n": 1}, **arguments) is not None
        sim.run_until(lambda: sim.client.dead_jobs().total, within=600)
        assert getattr(sim.enqueuer, enqueue)("poison", {"n": 1}, **arguments) is not None


def test_a_job_that_dies_before_it_begins_leaves_no_unique_key() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        for _ in range(2):
            sim.pool(concurrency=1).job("work", lambda job: None)

        def crash_before_begin() -> None:
            for pool in sim.pools:
                if pool.running and not pool.host.line.traps:
                    sim.crash(pool, before="begin", restart_after=1)

        for second in range(100):
            sim.at(second, crash_before_begin)
        assert sim.enqueuer.enqueue_unique("work", {"n": 1}) is not None
        sim.run_until(lambda: sim.client.dead_jobs().total, within=600)
        assert sim.runs("work") == []
        assert sim.enqueuer.enqueue_unique("work", {"n": 1}) is not None


def test_recoveries_go_with_an_update_that_replaces_a_recovered_job() -> None:
    crash = Fault("crash", 0.0, "pool-2", after=28, for_s=2.0)
    for at in range(1, 40):
        for seed in (0, 1):
            plan = (Fault(crash.kind, 0.0, crash.pool, after=at, for_s=crash.for_s),)
            outcome = play(PlaySettings(short, None, trouble_s=6), WorldCase(seed, plan))
            assert outcome.failure is None, outcome.failure


def test_a_pool_that_comes_back_while_it_is_reaped_does_not_run_a_settled_job_again() -> None:
    explore(everything, [552])
    with Simulation(seed=3, checkers=all_checkers()) as sim:
        for _ in range(2):
            sim.pool(concurrency=1).job("work", lambda job: None, takes=20)
        sim.enqueuer.enqueue("work")
        sim.run_for(1)
        (holder,) = [pool for pool in sim.pools if pool.busy]
        (reaper,) = [pool for pool in sim.pools if pool is not holder]
        sim.freeze(holder, 30)
        sim.slow(reaper, 60, by=1.5)  # so that much happens between reaping and forgetting
        sim.run_for(minutes=3)
        sim.run_until_idle()
        sim.check_at_rest()


@pytest.mark.parametrize("seed", range(8))
def test_nobody_is_taken_for_dead_because_redis_was_a_replica_for_a_while(seed: int) -> None:
    with Simulation(seed, checkers=all_checkers()) as sim:
        for _ in range(3):
            sim.pool(concurrency=1).job("work", lambda job: None, takes=120)
        for _ in range(3):
            sim.enqueuer.enqueue("work")
        sim.run_for(10)
        sim.refuse_writes(40, "READONLY")
        sim.run_for(minutes=10)
        sim.assert_ran("work", times=3)
        assert sim.trace.of(kind="recovered") == []


def test_a_reaper_whose_connection_is_slow_waits_no_less_for_a_heartbeat() -> None:
    scenario, faults, *_ = SCENARIOS["reaping"]
    explore(scenario, [35], faults=faults)
    with Simulation(seed=5, checkers=all_checkers()) as sim:
        for _ in range(2):
            sim.pool(concurrency=1).job("work", lambda job: None, takes=100)
        sim.enqueuer.enqueue("work")
        sim.run_for(5)
        (holder,) = [pool for pool in sim.pools if pool.busy]
        (reaper,) = [pool for pool in sim.pools if pool is not holder]
        sim.slow(reaper, 120, by=0.8)
        sim.run_for(7)
        sim.crash(holder)
        sim.run_for(minutes=2)
        assert len(sim.trace.of(kind="recovered")) == 1


def test_a_slot_that_ran_in_a_process_that_crashed_runs_again_though_its_copy_was_dropped() -> None:
    explore(everything, [24])
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool(concurrency=1)
        pool.job("tick", lambda job: None, takes=1)
        pool.periodically_enqueue("CRON_TZ=UTC 0 */5 * * * *", "tick")
        sim.run_for(120)
        (slot,) = sim.client.scheduled_jobs().jobs
        sim.run_until(lambda: sim.runs("tick"))
        sim.crash(pool, before="exchange", restart_after=2)
        sim.run_for(4)
        sim.server.execute([("LPUSH", sim.keys.jobs("tick"), slot.job.raw)])
        sim.run_until(lambda: len(sim.runs("tick")) == 2, within=120)
        kinds = [event.kind for event in sim.trace if event.job_id == slot.job.id]
        assert kinds.count("claimed") == 3  # the copy that was dropped among them
        assert kinds.index("recovered") > kinds.index("done")
        sim.run_for(30)


def test_a_copy_of_a_slot_that_has_run_does_not_run_though_its_pool_dies_with_it() -> None:
    explore(two_hundred_jobs, [507])
    with Simulation(checkers=all_checkers()) as sim:
        first, second = (sim.pool(concurrency=1) for _ in range(2))
        for pool in (first, second):
            pool.job("tick", lambda job: None)
            pool.periodically_enqueue("CRON_TZ=UTC 0 */5 * * * *", "tick")
        sim.run_for(120)
        (slot,) = sim.client.scheduled_jobs().jobs
        sim.run_until(lambda: sim.trace.of(kind="done"))
        sim.crash(first)
        sim.crash(second, after="exchange", restart_after=60)
        sim.server.execute([("LPUSH", sim.keys.jobs("tick"), slot.job.raw)])
        sim.run_for(20)
        sim.restart(first)
        sim.run_until(lambda: sim.trace.of(kind="recovered"), within=120)
        sim.run_for(60)
        sim.assert_ran("tick", times=1)


def test_what_a_lost_reply_had_claimed_goes_back_though_its_pool_was_expelled_meanwhile() -> None:
    explore(two_hundred_jobs, [379])
    with Simulation(checkers=all_checkers(), jump=False) as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", lambda job: None, takes=1)
        sim.run_for(1)
        before = pool.pool_id
        sim.lose_reply(pool, "exchange")
        sim.enqueuer.enqueue("work")
        sim.run_for(1)
        sim.server.execute([("SREM", sim.keys.worker_pools, before)])
        sim.run_for(15)
        assert pool.pool_id != before
        sim.assert_ran("work", times=1)


def test_jobs_of_a_pool_that_nobody_has_registered_are_recovered_in_a_calm_world_too() -> None:
    with Simulation() as sim:
        sim.pool().job("work", lambda job: None)
        sim.run_for(hours=1)
        job = sim.enqueuer.enqueue_in("work", 86_400)
        queue = sim.keys.queue("work", "gone")
        sim.server.execute(
            [
                ("LPUSH", queue.inprogress, job.job.raw),
                ("SET", queue.lock, 1),
                ("HSET", queue.lock_info, "gone", 1),
            ]
        )
        sim.run_for(minutes=15)
        sim.assert_ran("work", times=1)


def test_a_pool_that_was_expelled_does_not_lift_its_own_limits() -> None:
    with Simulation(jump=False) as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", lambda job: None, max_concurrency=1)
        sim.run_for(30)
        expel = [("SREM", sim.keys.worker_pools, pool.pool_id)]
        # Just before it takes on the reconciler's duty for a minute.
        before_next(pool, "SET", lambda: sim.server.execute(expel))
        before = pool.pool_id
        limit = ("GET", sim.keys.queue("work", "").max_concurrency)
        sim.run_until(lambda: pool.pool_id != before or sim.server.read(limit) != b"1", within=120)
        assert sim.server.read(limit) == b"1"
        sim.assert_ran("work", times=0)


@pytest.mark.timeout(60)
def test_a_pool_whose_workers_are_all_busy_waits_where_only_a_limited_queue_has_jobs() -> None:
    """It asked what to claim again and again, without a pause: in virtual time, for ever."""
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool(concurrency=4)
        pool.job("mail", lambda job: None, takes=0.02)
        pool.job("report", lambda job: None, takes=0.5, max_concurrency=3)
        for n in range(400):
            sim.at(n / 100, sim.enqueuer.enqueue, "report" if n % 8 == 0 else "mail")
        sim.run_until_idle(within=600)
        assert len(sim.runs("report")) == 50


def test_a_pool_counts_its_own_jobs_beside_the_handlers_whose_jobs_were_taken() -> None:
    fenced, faults = SCENARIOS["fenced"]
    explore(fenced, [300_050], faults=faults)
