"""Checkers see what is wrong, and users add their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.simulation.fleet import SCENARIOS
from tests.support.handlers import fail, nothing
from workkit import Job, WorkerPool
from workkit.engine.observing import Executed, PoolObserver
from workkit.simulation import Checker, Simulation, Violation, explore
from workkit.simulation.checkers import ClaimsAreTakenUp, HandlerRun, RedisChange, all_checkers


@pytest.fixture
def watched() -> Any:
    """A world with all checkers and a pool whose handlers take 10 s."""
    with Simulation(seed=7, checkers=all_checkers()) as sim:
        sim.pool().job("work", lambda job: None, takes=10)
        yield sim


def write(sim: Simulation, *command: Any) -> None:
    """Do something to the namespace that nobody should do."""
    sim.server.execute([command])


def test_a_world_in_which_nothing_is_wrong_passes(watched: Simulation) -> None:
    watched.enqueuer.enqueue("work", {"n": 1})
    watched.enqueuer.enqueue_unique_in("work", 60, {"n": 2})
    watched.run_for(minutes=5)
    watched.check_at_rest()


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        (("INCRBY", "simulation:jobs:work:lock", 1), "locks equal"),
        (("LPUSH", "simulation:jobs:work", "{raw}"), "none is in two places"),
        (("DEL", "simulation:unique:work:{key}\n"), "a unique key is held"),
    ],
)
def test_what_breaks_a_rule_is_found_at_once(
    watched: Simulation, command: tuple[Any, ...], rule: str
) -> None:
    job = watched.enqueuer.enqueue_unique_in("work", 60, {"n": 2})
    assert job is not None
    words = {"raw": job.job.raw.decode(), "key": '{"n":2}'}
    filled = tuple(
        each.replace("{raw}", words["raw"]).replace("{key}", words["key"])
        if isinstance(each, str)
        else each
        for each in command
    )
    write(watched, filled[0], filled[1].encode(), *filled[2:])
    with pytest.raises(Violation, match=rule):
        watched.run_for(1)


def test_a_violation_shows_the_job_and_its_timeline(watched: Simulation) -> None:
    watched.enqueuer.enqueue("other")
    job = watched.enqueuer.enqueue("work", {"n": 1})
    write(watched, "LPUSH", b"simulation:jobs:other", job.raw)
    with pytest.raises(Violation) as caught:
        watched.run_for(1)
    text = str(caught.value)
    assert f"job {job.id}: LPUSH put it in two places" in text
    assert "enqueued   work" in text
    assert "other " not in caught.value.timeline


def test_what_is_stuck_at_rest_is_found(watched: Simulation) -> None:
    watched.enqueuer.enqueue("nobody_handles_this")
    watched.run_for(60)
    with pytest.raises(Violation, match="stays in the queue 'nobody_handles_this' for ever"):
        watched.check_at_rest()


def test_a_claim_of_which_its_pool_knows_nothing_is_found() -> None:
    with Simulation(checkers=[ClaimsAreTakenUp()]) as sim:
        pool = sim.pool()
        pool.job("work", lambda job: None, takes=1)
        for n in range(40):
            sim.at(n, sim.enqueuer.enqueue, "work", {"n": n})
        sim.run_for(2)
        stray = b'{"name":"work","id":"stray","t":1800000000,"args":null}'
        write(sim, "LPUSH", sim.keys.queue("work", pool.pool_id).inprogress, stray)
        with pytest.raises(Violation, match="stray: pool-1 has claimed it and goes on without it"):
            sim.run_for(35)


class AtMostTwoWait(Checker):
    """A rule of a user."""

    rule = "at most two wait"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def changed(self, change: RedisChange) -> None:
        self.seen.append(change.command)
        if len(self.scene.standing("queued", "work")) > 2:
            self.violated("there are more")

    def started(self, run: HandlerRun) -> None:
        self.seen.append(f"started {run.name} in {run.pool}")

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        self.seen.append(f"ended {run.name} with {error!r}")

    def crashed(self, pool: str) -> None:
        self.seen.append(f"crashed {pool}")

    def wiped(self) -> None:
        self.seen.append("wiped")


def test_users_write_checkers_of_their_own() -> None:
    checker = AtMostTwoWait()

    with Simulation(checkers=[checker]) as sim:
        pool = sim.pool()
        pool.job("work", fail, max_fails=1)
        sim.enqueuer.enqueue("work")
        sim.run_for(1)
        sim.wipe_redis()
        sim.crash(pool)
        seen = [each for each in checker.seen if " " in each or each == "wiped"]
        assert seen == [
            "started work in pool-1",
            "ended work with ValueError('no')",
            "wiped",
            "crashed pool-1",
        ]
        assert "enqueue" in checker.seen
        for _ in range(3):
            sim.enqueuer.enqueue("work")
        with pytest.raises(Violation, match="there are more"):
            sim.run_for(1)


class Hearing(Checker):
    rule = "observers are heard"

    def __init__(self) -> None:
        self.heard_of: list[tuple[str, str, int]] = []

    def heard(self, pool: str, what: str, report: Any) -> None:
        count = len(report) if what != "reaped" else report.requeued
        if count:
            self.heard_of.append((pool, what, count))


class Counting(PoolObserver):
    is_quick = True

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def executed(self, executions: Sequence[Executed]) -> None:
        self.outcomes += [each.record.outcome for each in executions]


def test_a_checker_hears_what_observers_hear_and_they_still_do() -> None:
    checker, counting = Hearing(), Counting()
    with Simulation(checkers=[checker], jump=False) as sim:
        shipped = WorkerPool("simulation", sim.redis, concurrency=1)
        shipped.observe(counting)
        first, second = sim.pool(shipped), sim.pool(concurrency=1)
        for pool in (first, second):
            pool.job("work", nothing, takes=4)
        sim.enqueuer.enqueue_in("work", 3)
        sim.run_for(30)
        sim.enqueuer.enqueue("work")
        sim.run_for(2)
        (busy,) = [pool for pool in sim.pools if pool.busy]
        sim.crash(busy)
        sim.run_for(minutes=1)
    heard = [(what, count) for _, what, count in checker.heard_of]
    assert heard == [("requeued", 1), ("executed", 1), ("reaped", 1), ("executed", 1)]
    of_first = [pool for pool, what, _ in checker.heard_of if what == "executed"].count(first.name)
    assert counting.outcomes == ["done"] * of_first


def test_a_failure_that_arrives_after_a_crash_is_told_to_nobody() -> None:
    with Simulation(checkers=all_checkers(), jump=False) as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", fail, max_fails=2, backoff=lambda job: 45)
        pool.on("failed", lambda job, error: told.append(sim.now))
        told: list[float] = []
        sim.run_for(5)
        sim.enqueuer.enqueue("work")
        sim.slow(pool, 10, by=0.5)
        sim.run_until(lambda: bool(sim.trace.of(kind="failed")), within=10)
        sim.run_for(0.2)
        assert sim.trace.of(kind="retried") == []
        sim.crash(pool, restart_after=2)
        sim.run_until(lambda: bool(sim.trace.of(kind="retried")), within=10)
        sim.run_for(minutes=3)
        assert len(sim.trace.of(kind="failed")) == 2
        assert len(told) == 1


def test_a_process_that_registers_after_its_crash_does_not_speak_for_the_next_one() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        sim.pool().job("work", nothing)
        pool = sim.pool()
        pool.job("work", nothing)
        sim.run_for(30)
        for _ in range(2):  # both are registered when the third is
            sim.crash(pool)
            pool.start()
            sim.run_for(0.0003)  # its registration is under way
        sim.crash(pool)
        pool.start()
        sim.enqueuer.enqueue("work")
        sim.run_for(minutes=5)
        sim.check_at_rest()


def test_a_limit_that_redis_has_lost_does_not_hold_until_it_is_written_again() -> None:
    with Simulation(checkers=all_checkers(), jump=False) as sim:
        sim.pool(concurrency=4).job("work", nothing, takes=20, max_concurrency=1)
        sim.run_for(30)
        sim.disturbances.strike("", 5, "evict")
        sim.server.evict(sim.keys.queue("work", "").max_concurrency)
        for _ in range(3):
            sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        assert {event.at_us // 5_000_000 for event in sim.runs("work")} == {6}
        sim.enqueuer.enqueue_many([("work", None)] * 3)
        sim.run_until_idle()
        sim.assert_ran("work", times=6)
        sim.check_at_rest()


def test_an_async_handler_that_times_out_is_tried_again_whatever_retry_on_says() -> None:
    async def endless(job: Job) -> None:
        await asyncio.sleep(3_600)

    with Simulation(checkers=all_checkers()) as sim:
        sim.pool().job("endless", endless, timeout=2, max_fails=2, retry_on=(ConnectionError,))
        sim.enqueuer.enqueue("endless")
        sim.run_until_idle()
        (dead,) = sim.client.dead_jobs().jobs
        assert dead.job.fails == 2
        sim.check_at_rest()


def test_a_pool_that_was_frozen_may_start_a_job_on_its_last_recovery_beside_others() -> None:
    reaping, faults = SCENARIOS["reaping"]
    explore(reaping, [700_037], faults=faults)


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        # Its pool has lost a job and claimed it again, while the first handler still runs.
        ("suspects", 900_000),
        # Redis has lost what was paused since, with its newest writes.
        ("lossy", 900_002),
        # A heartbeat was under way while the pool counted what others had taken.
        ("half_reaped", 900_003),
        # The requeuer has read the time before several slow round trips.
        ("orphans", 3),
    ],
)
def test_worlds_in_which_a_rule_saw_a_fault_of_its_own(name: str, seed: int) -> None:
    scenario, faults = SCENARIOS[name]
    explore(scenario, [seed], faults=faults)
