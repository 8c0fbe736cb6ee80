"""Pools that find nothing to do cost the server little while others enqueue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from tests.engine.signals import Gate
from workkit import Client, Enqueuer, WorkerPool

_ENQUEUED = 60
#: The enqueuer's pace, milliseconds: slow enough for a pool to react to each job by itself.
_EVERY_MS = 50
#: How often a machine that does not keep the pace is measured, and how much later than planned it
#: may end.
_MEASUREMENTS: Final = 4
_LATE: Final = 1.1
#: What a pool and an enqueuer send, and what an idle pool may add to it, per job.
_BOUNDS = {1: 5.0, 5: 10.0}

Enqueue = Callable[[Enqueuer], object]


def until_idle(pools: list[WorkerPool], wait_until: WaitUntil) -> None:
    drivers: list[Any] = [pool._driver for pool in pools]
    wait_until(lambda: all(driver._link.armed for driver in drivers))


def commands(redis: Any) -> int:
    """Count the commands of the server, those inside scripts included, without the test's own."""
    stats: dict[str, dict[str, int]] = redis.info("commandstats")
    own = ("cmdstat_info", "cmdstat_time")
    return sum(row["calls"] for name, row in stats.items() if name not in own)


def server_ms(redis: Any) -> float:
    seconds, micros = redis.time()
    return float(seconds * 1_000 + micros / 1_000)


def has_come(redis: Any, at_ms: float) -> bool:
    return server_ms(redis) >= at_ms


def an_enqueue_costs(redis: Any, enqueue: Callable[[], object], wait_until: WaitUntil) -> float:
    """Enqueue at a steady pace by the server's clock; return commands an enqueue.

    What pools send each second counts as well. So a busy machine that does not keep the pace is
    measured again.
    """
    enqueue()  # the connection and the script are known from now on
    cost = 0.0
    for _ in range(_MEASUREMENTS):
        began_ms, before = server_ms(redis), commands(redis)
        for number in range(1, _ENQUEUED + 1):
            enqueue()
            wait_until(partial(has_come, redis, began_ms + number * _EVERY_MS))
        cost = (commands(redis) - before) / _ENQUEUED
        if server_ms(redis) - began_ms <= _LATE * _ENQUEUED * _EVERY_MS:
            break
    return cost


@pytest.mark.parametrize("count", _BOUNDS)
@pytest.mark.parametrize(
    ("state", "enqueue"),
    [
        pytest.param("paused", lambda e: e.enqueue("work"), id="a job of a paused queue"),
        pytest.param("full", lambda e: e.enqueue("work"), id="a job of a full queue"),
        pytest.param("", lambda e: e.enqueue("of others"), id="a job of others"),
        pytest.param("", lambda e: e.enqueue_in("work", 3_600), id="a job for later"),
        pytest.param("paused", lambda e: e.enqueue_in("work", 0), id="a job that is due"),
        pytest.param("paused", lambda e: e.enqueue_in("work", 1), id="a job that is due soon"),
    ],
)
def test_a_job_that_nobody_may_run_now_costs_idle_pools_little(
    private_server: PrivateServer,
    wait_until: WaitUntil,
    count: int,
    state: str,
    enqueue: Enqueue,
) -> None:
    server = private_server()
    redis, gate = Redis.from_url(server.url), Gate()
    client, enqueuer = Client("n", server.url), Enqueuer("n", server.url)
    busy, pools = WorkerPool("n", server.url, concurrency=1), []
    busy.job("work", gate.pass_through, max_concurrency=1)
    if state == "paused":
        client.pause("work")
    elif state == "full":
        enqueuer.enqueue("work")
        busy.start()
        gate.arrived.wait_for(1)
    for _ in range(count):
        pool = WorkerPool("n", server.url, concurrency=4)
        pool.job("work", lambda job: None, max_concurrency=1 if state == "full" else 0)
        pool.start()
        pools.append(pool)
    enqueue(enqueuer)
    until_idle(pools, wait_until)
    cost = an_enqueue_costs(redis, lambda: enqueue(enqueuer), wait_until)
    gate.open()
    for pool in [*pools, busy]:
        pool.stop(0)
    assert cost <= _BOUNDS[count]


def test_an_idle_pool_reads_the_sets_of_due_jobs_once_a_second_at_most(
    private_server: PrivateServer, wait_until: WaitUntil
) -> None:
    server = private_server()
    redis: Any = Redis.from_url(server.url)
    pool, enqueuer = WorkerPool("n", server.url, concurrency=2), Enqueuer("n", server.url)
    pool.job("work", lambda job: None)

    def readings() -> int:
        stats: Any = redis.info("commandstats")
        calls: int = stats.get("cmdstat_client|caching", {"calls": 0})["calls"]
        return calls

    with pool:
        until_idle([pool], wait_until)
        began_s, before = redis.time()[0], readings()
        while (now_s := redis.time()[0]) < began_s + 3:
            enqueuer.enqueue_in("work", 3_600)
            redis.zadd("n:retry", {f"{now_s}": 9_999_999_999})
        until_idle([pool], wait_until)
        # Each second at most one reading of two sets, and one more from before.
        assert 1 <= readings() - before <= 2 * (now_s - began_s + 2)
