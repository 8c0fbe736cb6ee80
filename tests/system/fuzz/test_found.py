"""Faults that the fuzzers have found, each with its bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from tests.support.steps import FakeClock, StepPool
from workkit import Client, Enqueuer, WorkerPool
from workkit.admin.attention import concerns
from workkit.admin.grouping import group_errors
from workkit.admin.obstacles import takers
from workkit.admin.trends import Trends
from workkit.core.liveness import DEAD_S

BIG = 2**70


def step_pool(url: str, namespace: str, *names: str, seed: int = 1) -> StepPool:
    pool = WorkerPool(namespace, url, concurrency=2)
    for name in names:
        pool.job(name, lambda _job: None)
    return StepPool(pool, url, FakeClock(), seed).start()


@pytest.fixture
def pool(redis_url: str, namespace: str) -> Iterator[StepPool]:
    stepped = step_pool(redis_url, namespace, "a", "b")
    yield stepped
    stepped.close()


@pytest.mark.parametrize("junk", [b"null", b"../..", b""])
def test_a_heartbeat_whose_numbers_are_none_does_not_stop_its_pool(
    pool: StepPool, redis_url: str, redis_client: Redis, namespace: str, junk: bytes
) -> None:
    enqueuer = Enqueuer(namespace, redis_url)
    for field in ("applied", "fence", "heartbeat_at"):
        redis_client.hset(f"{namespace}:worker_pools:{pool.id}", field, junk)
        enqueuer.enqueue("a")
        assert len(pool.work()) == 1


def test_a_heartbeat_of_a_wrong_type_gives_its_pool_a_new_one(
    pool: StepPool, redis_url: str, redis_client: Redis, namespace: str
) -> None:
    before = pool.id
    key = f"{namespace}:worker_pools:{before}"
    redis_client.delete(key)
    redis_client.rpush(key, "junk")
    pool.duty("heartbeat")
    Enqueuer(namespace, redis_url).enqueue("a")
    assert len(pool.work()) == 1
    assert pool.id != before


@pytest.mark.parametrize("field", [b'"t":%d', b'"t":1,"fails":%d', b'"t":-%d'])
def test_numbers_that_history_cannot_hold_do_not_stop_the_pool(
    pool: StepPool, redis_client: Redis, redis_url: str, namespace: str, field: bytes
) -> None:
    raw = b'{"name":"a","id":"x",%s,"args":null}' % (field % BIG)
    redis_client.lpush(f"{namespace}:jobs:a", raw)
    pool.work()
    client = Client(namespace, redis_url)
    assert client.queued_jobs("a").total == 0
    assert len(list(client.history())) == 1


def test_a_job_that_goes_back_to_a_queue_of_a_wrong_type_is_not_lost(
    pool: StepPool, redis_client: Redis, redis_url: str, namespace: str
) -> None:
    job = Enqueuer(namespace, redis_url).enqueue("a")
    assert pool.claim()
    redis_client.set(f"{namespace}:jobs:a", "junk")
    pool.engine.dispatcher.give_back()
    pool.turn()
    found = Client(namespace, redis_url).find(job.id)
    assert found is not None
    assert found.place == "retry"
    redis_client.delete(f"{namespace}:jobs:a")
    pool.duty("requeuer")
    assert [execution.job.id for execution in pool.work()] == [job.id]


def test_where_such_a_job_can_go_nowhere_it_stays_in_progress(
    pool: StepPool, redis_client: Redis, redis_url: str, namespace: str
) -> None:
    job = Enqueuer(namespace, redis_url).enqueue("a")
    assert pool.claim()
    for key in ("jobs:a", "retry"):
        redis_client.set(f"{namespace}:{key}", "junk")
    pool.engine.dispatcher.give_back()
    with pytest.raises(Exception, match="wrong type"):
        pool.turn()
    (held,) = redis_client.lrange(f"{namespace}:jobs:a:{pool.id}:inprogress", 0, -1)
    assert held == job.raw


def test_a_heartbeat_of_a_wrong_type_does_not_keep_others_from_being_recovered(
    pool: StepPool, redis_client: Redis, redis_url: str, namespace: str
) -> None:
    redis_client.sadd(f"{namespace}:worker_pools", "aaa-strange")
    redis_client.rpush(f"{namespace}:worker_pools:aaa-strange", "junk")
    dead = step_pool(redis_url, namespace, "b", seed=2)
    Enqueuer(namespace, redis_url).enqueue("b")
    assert dead.claim()
    dead.close()
    pool.watch(DEAD_S + 4)
    assert Client(namespace, redis_url).queued_jobs("b").total == 1
    assert redis_client.smembers(f"{namespace}:worker_pools") == {pool.id.encode()}


def test_a_pool_whose_dispatcher_fails_can_be_stopped(
    private_server: PrivateServer, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """A bug of ours must not keep the process from ending; other pools recover its jobs."""
    server = private_server()
    pool = WorkerPool("work", server.url)
    started, over = threading.Event(), threading.Event()

    @pool.job
    def hold(_job: Any) -> None:
        started.set()
        over.wait(30)

    monkeypatch.setattr("workkit.engine.serving._LAST_WORDS_S", 0.1)
    monkeypatch.setattr("workkit.engine.serving._AFTER_BUG_S", 0.01)
    Enqueuer("work", server.url).enqueue("hold")
    pool.start()
    assert started.wait(10)
    driver = pool._driver
    assert driver is not None

    def fail(**_options: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(driver.engine.dispatcher, "turn", fail)
    pool.stop(0.1)
    over.set()
    assert not pool.running
    with Redis.from_url(server.url) as client:
        assert client.keys("work:jobs:hold:*:inprogress")


@pytest.mark.parametrize("junk", [b"9" * 400, b"-" + b"9" * 400, b"9" * 5_000])
def test_numbers_that_no_float_can_hold_are_none_to_those_who_look(
    redis_client: Redis, redis_url: str, namespace: str, junk: bytes
) -> None:
    redis_client.sadd(f"{namespace}:worker_pools", "strange")
    redis_client.hset(f"{namespace}:worker_pools:strange", "heartbeat_at", junk)
    redis_client.hset(f"{namespace}:worker_pools:strange", "worker_ids", "w")
    redis_client.hset(f"{namespace}:worker:w", "started_at", junk)
    for key in ("lock", "max_concurrency"):
        redis_client.set(f"{namespace}:jobs:a:{key}", junk)
    redis_client.sadd(f"{namespace}:known_jobs", "a")
    client = Client(namespace, redis_url)
    seen = client.overview()
    assert concerns(seen, Trends(), takers(seen))
    assert [pool.heartbeat_at for pool in seen.pools] == [0]
    assert [(queue.running, queue.max_concurrency) for queue in client.queues()] == [(0, 0)]
    assert [observation.started_at for observation in client.worker_observations()] == [0]


@pytest.mark.parametrize("failed_at", [10**400, 2**53, -(10**400)])
def test_a_failure_at_a_time_that_no_clock_shows_is_counted_and_placed_by_its_death(
    redis_client: Redis, redis_url: str, namespace: str, failed_at: int
) -> None:
    raw = b'{"name":"a","id":"x","t":1,"args":null,"fails":1,"err":"no","failed_at":%d}' % failed_at
    redis_client.zadd(f"{namespace}:dead", {raw: 1_700_000_000})
    *_, grouped = group_errors(Client(namespace, redis_url))
    (group,) = grouped.groups.groups()
    assert (group.count, group.last_at) == (1, 1_700_000_000)
    assert group.trend(1_700_000_000, 10, 3_600) == [0] * 10
