"""Which pools a pool watches, if there are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.steps import FakeClock, StepPool
from workkit import Client, Enqueuer, WorkerPool
from workkit.core.liveness import DEAD_S
from workkit.engine.duties.reaper import _NEIGHBOURS
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target

MANY = 14


class CountingLink(Link):
    """Records which heartbeats are read."""

    def __init__(self, url: str) -> None:
        super().__init__(Target.of(url))
        self.read: Counter[bytes] = Counter()

    def send(self, commands: Sequence[Any], meanwhile: Any = None) -> list[Any]:
        self.read.update(command[1] for command in commands if command[0] == "HMGET")
        return super().send(commands, meanwhile)


@pytest.fixture
def fleet(redis_url: str, namespace: str) -> Iterator[list[StepPool]]:
    """Many pools that share a clock; each is registered and watches through a link that counts."""
    clock, pools = FakeClock(), []
    for seed in range(MANY):
        pool = WorkerPool(namespace, redis_url, concurrency=1)
        pool.job("a", lambda _job: None)
        stepped = StepPool(pool, redis_url, clock, seed).start()
        stepped.link = CountingLink(redis_url)  # type: ignore[assignment]
        pools.append(stepped)
    yield pools
    for pool_of_one in pools:
        pool_of_one.close()


def read_by(pool: StepPool) -> Counter[bytes]:
    link: Any = pool.link
    found: Counter[bytes] = link.read
    return found


def test_of_many_pools_each_watches_a_few_and_each_is_watched_by_as_many(
    fleet: list[StepPool],
) -> None:
    for pool in fleet:
        pool.duty("reaper")
    assert {len(read_by(pool)) for pool in fleet} == {_NEIGHBOURS}
    watched: Counter[bytes] = Counter()
    for pool in fleet:
        watched += read_by(pool)
    assert set(watched.values()) == {_NEIGHBOURS}
    assert len(watched) == MANY


def test_a_survivor_recovers_the_jobs_of_all_others(
    fleet: list[StepPool], redis_url: str, namespace: str
) -> None:
    survivor, *dead = fleet
    Enqueuer(namespace, redis_url).enqueue_many([("a", None)] * len(dead))
    for pool in dead:
        pool.turn()
    client = Client(namespace, redis_url)
    assert client.queued_jobs("a").total == 0
    survivor.watch(DEAD_S + 3)
    assert client.queued_jobs("a").total >= _NEIGHBOURS
    survivor.watch(DEAD_S)
    assert client.queued_jobs("a").total == len(dead)
    assert [beat.worker_pool_id for beat in client.worker_pool_heartbeats()] == [survivor.id]
