"""A unique job that has begun in a Go pool comes back, and a newer one has its key by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import GoJob, GoPeer
from workkit.core.job import decode

if TYPE_CHECKING:
    from redis import Redis

    from tests.parity.defects.fleet import FleetPool
    from workkit import Job

KEY = {"k": 1}
Enqueue = Callable[[Fleet, GoPeer, int], Any]


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


class Ran:
    """The jobs that ran in workkit pools."""

    def __init__(self) -> None:
        self.args: list[int] = []

    def __call__(self, job: Job) -> None:
        self.args.append(job.arg_int("v"))


def by_go(fleet: Fleet, go: GoPeer, v: int) -> Any:
    return go.enqueue_unique_by_key("a", {"v": v}, KEY)


def by_us(fleet: Fleet, go: GoPeer, v: int) -> Any:
    return fleet.enqueuer.enqueue_unique_by_key("a", {"v": v}, KEY)


def begun_in_go(fleet: Fleet, enqueue: Enqueue) -> GoPeer:
    """Let a job begin in a Go pool, which is then killed."""
    go = fleet.go(a=GoJob())
    assert enqueue(fleet, go, 1) is not None
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    go.crash()
    return go


def is_clean(fleet: Fleet) -> bool:
    unique = list(fleet.redis.scan_iter(f"{fleet.namespace}:unique:*"))
    begun = fleet.redis.hgetall(fleet.keys.begun)
    return (fleet.queue("a"), fleet.held("a"), unique, begun) == ([], [], [], {})


def recovered(fleet: Fleet, **options: Any) -> tuple[FleetPool, Ran]:
    ran = Ran()
    pool = fleet.pool({"a": ran}, **options)
    fleet.watch(pool, pool)
    return pool, ran


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("older", [by_go, by_us])
@pytest.mark.parametrize("newer", [by_go, by_us])
def test_both_run_once(fleet: Fleet, concurrency: int, older: Enqueue, newer: Enqueue) -> None:
    go = begun_in_go(fleet, older)
    assert newer(fleet, go, 2) is not None
    pool, ran = recovered(fleet, concurrency=concurrency)
    pool.work()
    assert sorted(ran.args) == [1, 2]
    assert is_clean(fleet)


def test_the_newer_one_keeps_its_key_and_takes_its_updates(fleet: Fleet) -> None:
    go = begun_in_go(fleet, by_go)
    assert by_go(fleet, go, 2) is not None
    pool, ran = recovered(fleet, concurrency=1)
    pool.claim()
    older = pool.runner.begin()
    assert by_us(fleet, go, 3) is None
    pool.runner.run(older)
    pool.work()
    assert ran.args == [1, 3]
    assert is_clean(fleet)


@pytest.mark.parametrize("update", [by_go, by_us])
def test_a_newer_one_that_was_updated_before_keeps_its_key_and_its_update(
    fleet: Fleet, update: Enqueue
) -> None:
    go = begun_in_go(fleet, by_go)
    assert by_us(fleet, go, 2) is not None
    assert update(fleet, go, 3) is None
    pool, ran = recovered(fleet, concurrency=1)
    pool.claim()
    older = pool.runner.begin()
    assert by_us(fleet, go, 4) is None
    pool.runner.run(older)
    pool.work()
    assert ran.args == [1, 4]
    assert is_clean(fleet)


@pytest.mark.parametrize("mover", ["nobody", "go", "us"])
def test_a_newer_one_that_is_scheduled_or_was_moved_is_told_from_an_update(
    fleet: Fleet, mover: str
) -> None:
    """A Go pool that moves it writes its bytes again; the bytes in the key stay the same."""
    go = begun_in_go(fleet, by_go)
    assert fleet.enqueuer.enqueue_unique_in_by_key("a", 20, {"v": 2}, KEY) is not None
    pool, ran = recovered(fleet, concurrency=1)
    fleet.advance(10)
    if mover == "go":
        fleet.go("go2", a=GoJob()).requeue_step()
    elif mover == "us":
        pool.duty("requeuer")
    pool.work()
    pool.duty("requeuer")
    pool.work()
    assert ran.args == [1, 2]
    assert is_clean(fleet)
    assert go.errors == []


def test_a_newer_one_that_another_pool_has_claimed_keeps_its_key(fleet: Fleet) -> None:
    go = begun_in_go(fleet, by_go)
    pool, ran = recovered(fleet, concurrency=1)
    (older,) = fleet.queue("a")
    assert by_go(fleet, go, 2) is not None
    other = fleet.go("go2", a=GoJob())
    fleet.redis.rpop(fleet.go_keys.queue("a"))
    claim = other.fetch()
    assert claim is not None
    fleet.redis.rpush(fleet.go_keys.queue("a"), older)
    pool.work()
    assert ran.args == [1]
    assert other.begin(claim).args == {"v": 2.0}
    other.settle(claim)
    assert is_clean(fleet)


@pytest.mark.parametrize("updates", [0, 2])
def test_a_job_that_had_not_begun_takes_its_update(fleet: Fleet, updates: int) -> None:
    go = fleet.go(a=GoJob())
    by_go(fleet, go, 1)
    assert go.fetch() is not None
    for n in range(updates):
        assert by_go(fleet, go, 2 + n) is None
    go.crash()
    pool, ran = recovered(fleet, concurrency=1)
    pool.work()
    assert ran.args == [1 + updates]
    assert is_clean(fleet)


def test_what_go_gives_back_itself_runs_beside_the_newer_one(fleet: Fleet) -> None:
    go = begun_in_go(fleet, by_go)
    fleet.advance(15)
    reaper = fleet.go("go2", a=GoJob())
    assert reaper.reap_step() == ["go1"]
    assert by_us(fleet, go, 2) is not None  # behind it
    ran = Ran()
    fleet.pool({"a": ran}, concurrency=1).work()
    assert ran.args == [1, 2]
    assert is_clean(fleet)


def test_by_args_as_well_the_newer_one_keeps_its_key(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    go.enqueue_unique("a", {"v": 1})
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    go.crash()
    assert go.enqueue_unique("a", {"v": 1}) is not None
    pool, ran = recovered(fleet, concurrency=1)
    pool.claim()
    pool.runner.begin()
    assert go.enqueue_unique("a", {"v": 1}) is None
    pool.runner.run(pool.runner.running[0])
    pool.work()
    assert ran.args == [1, 1]
    assert is_clean(fleet)


@pytest.mark.parametrize("how", ["dies", "is deleted"])
def test_the_end_of_the_older_one_leaves_the_key_of_the_newer_one(fleet: Fleet, how: str) -> None:
    go = begun_in_go(fleet, by_go)
    assert by_us(fleet, go, 2) is not None
    if how == "dies":
        (raw,) = fleet.held("a")
        fleet.redis.hset(fleet.keys.recoveries, decode(raw).id, 5)
    pool, _ = recovered(fleet)
    if how == "is deleted":
        fleet.client.delete_queued_job("a", decode(fleet.queue("a")[-1]).id)
    else:
        assert len(fleet.jobs("dead")) == 1
    assert by_us(fleet, go, 3) is None
    pool.work()
    assert fleet.client.dead_jobs().total == (how == "dies")
    assert by_us(fleet, go, 4) is not None
