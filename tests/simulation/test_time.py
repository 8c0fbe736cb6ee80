"""Virtual time: events happen when they are due, and nothing waits."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest

from tests.support.handlers import fail
from workkit import InvalidOption, PoolState
from workkit.simulation import Simulation


def test_a_backoff_is_tested_in_five_lines() -> None:
    with Simulation(seed=7) as sim:
        sim.pool().job("send_email", fail, backoff=lambda job: 60, max_fails=3)
        job = sim.enqueuer.enqueue("send_email", {"address": "a@example.com"})
        sim.run_for(hours=1)
        assert sim.retry_schedule(job) == [0, 60, 120]
        assert [dead.job.id for dead in sim.client.dead_jobs().jobs] == [job.id]


@pytest.mark.parametrize("skew_s", [3_600, -3_600])
def test_a_host_with_a_wrong_clock_retries_in_time_and_dates_failures_rightly(
    sim: Simulation, skew_s: int
) -> None:
    pool = sim.pool()
    pool.job("work", fail, backoff=lambda job: 60, max_fails=3)
    sim.step_clock(pool, skew_s)
    job = sim.enqueuer.enqueue("work")
    sim.run_for(minutes=5)
    assert sim.retry_schedule(job) == pytest.approx([0, 60, 120], abs=3)
    (dead,) = sim.client.dead_jobs().jobs
    assert sim.now_s - dead.job.failed_at == pytest.approx(180, abs=3)


def test_the_default_backoff_stays_within_its_bounds(sim: Simulation) -> None:
    sim.pool().job("work", fail)
    job = sim.enqueuer.enqueue("work")
    sim.run_for(hours=1)
    tries = sim.retry_schedule(job)
    assert len(tries) == 4
    for fails, (before, after) in enumerate(itertools.pairwise(tries), 1):
        assert fails**4 + 15 <= after - before <= fails**4 + 15 + 30 * (fails + 1) + 1


def test_a_scheduled_job_runs_when_it_is_due(sim: Simulation) -> None:
    ran: list[float] = []
    sim.pool().job("work", lambda job: ran.append(sim.now))
    sim.enqueuer.enqueue_in("work", 90)
    sim.run_until(89.9)
    assert ran == []
    sim.run_for(1)
    assert ran == [pytest.approx(90, abs=0.1)]
    sim.assert_ran("work", times=1, at=90)


def test_a_cron_job_runs_once_a_slot_however_many_pools_plan_it(sim: Simulation) -> None:
    ran: list[int] = []
    for _ in range(3):
        pool = sim.pool()
        pool.job("tick", lambda job: ran.append(round(sim.now_s) % 3600))
        pool.periodically_enqueue("CRON_TZ=UTC */10 * * * *", "tick")
    sim.run_for(hours=1)
    assert sorted(ran) == [600, 1200, 1800, 2400, 3000] or sorted(ran) == [
        0, 600, 1200, 1800, 2400, 3000,
    ]  # fmt: skip


def test_a_unique_key_expires_in_virtual_time(sim: Simulation) -> None:
    pool = sim.pool()
    pool.job("other", fail)
    assert sim.enqueuer.enqueue_unique("work", {"a": 1}) is not None
    sim.run_for(hours=23, minutes=59)
    assert sim.enqueuer.enqueue_unique("work", {"a": 1}) is None
    sim.run_for(minutes=2)
    assert sim.enqueuer.enqueue_unique("work", {"a": 1}) is not None
    sim.assert_ran("work", times=0)


def test_a_world_can_begin_on_any_day() -> None:
    day = datetime.datetime(2027, 3, 28, tzinfo=datetime.UTC)
    with Simulation(start=day) as sim:
        sim.run_until(day + datetime.timedelta(minutes=5))
        assert sim.now == 300
        assert sim.now_s == day.timestamp() + 300


def test_a_world_runs_until_something_is_true(sim: Simulation) -> None:
    ran: list[float] = []
    sim.pool().job("work", lambda job: ran.append(sim.now))
    sim.enqueuer.enqueue_in("work", 500)
    sim.run_until(lambda: ran)
    assert ran == [pytest.approx(sim.now, abs=0.01)]


def test_what_never_becomes_true_is_said_with_the_timeline(sim: Simulation) -> None:
    sim.pool().job("work", lambda job: None)
    sim.enqueuer.enqueue("work")
    with pytest.raises(AssertionError, match=r"within 60 s \(seed 7\)[\s\S]*started +work"):
        sim.run_until(lambda: False, within=60)


def test_a_world_is_idle_when_nothing_is_left_to_do(sim: Simulation) -> None:
    sim.pool(concurrency=1).job("work", lambda job: None, takes=10)
    for _ in range(6):
        sim.enqueuer.enqueue("work")
    sim.run_until_idle()
    assert 60 <= sim.now < 61
    sim.assert_ran("work", times=6)


def test_time_does_not_pass_while_a_test_enqueues(sim: Simulation) -> None:
    sim.enqueuer.enqueue("work")
    sim.client.pause("work")
    assert sim.now == 0


def test_a_namespace_that_is_in_use_is_refused(
    redis_url: str, namespace: str, redis_client: Any
) -> None:
    redis_client.set(f"{namespace}:known_jobs", "")
    with pytest.raises(InvalidOption, match="not empty"):
        Simulation(server=redis_url, namespace=namespace)
    assert redis_client.exists(f"{namespace}:known_jobs")


def test_only_the_keys_of_the_world_are_deleted(
    redis_url: str, namespace: str, redis_client: Any
) -> None:
    with Simulation(server=redis_url, namespace=f"{namespace}.own") as sim:
        sim.pool().job("work", fail, max_fails=1)
        sim.enqueuer.enqueue("work")
        sim.enqueuer.enqueue_unique("other")
        sim.run_for(minutes=1)
        redis_client.set(f"{namespace}.own:jobs:work:mine", "x")
        assert len(redis_client.keys(f"{namespace}.own:*")) > 5
    assert redis_client.keys(f"{namespace}*") == [f"{namespace}.own:jobs:work:mine".encode()]


def test_no_key_is_left_with_a_life_in_real_time(
    redis_url: str, namespace: str, redis_client: Any
) -> None:
    with Simulation(server=redis_url, namespace=namespace) as sim:
        for _ in range(2):
            pool = sim.pool(concurrency=2)
            pool.job("work", lambda job: job.checkin("here"), takes=20)
            pool.periodically_enqueue("@every 30s", "work")
        sim.enqueuer.enqueue_unique_by_key("work", {}, {"k": 1})
        sim.run_for(minutes=1)
        sim.crash(sim.pools[0])
        sim.run_for(minutes=3)
        lives = {key: redis_client.ttl(key) for key in redis_client.keys(f"{namespace}:*")}
        assert any(life > 10**10 for life in lives.values())
        assert {key for key, life in lives.items() if 0 <= life < 10**10} == set()


def test_a_closed_world_does_not_run(sim: Simulation) -> None:
    sim.close()
    with pytest.raises(PoolState, match="closed"):
        sim.run_for(1)
