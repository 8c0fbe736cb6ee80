"""D4: the jobs of a dead pool are found, even if it has no heartbeat any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import GoJob
from workkit.errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.parity.defects.fleet import FleetPool
    from tests.parity.gopeer import GoPeer

ONE = GoJob(max_concurrency=1)
SCANNED_AT_ONCE = 500


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


def die_without_heartbeat(fleet: Fleet, pool: FleetPool | GoPeer) -> None:
    pool_id = pool.id if not hasattr(pool, "pool_id") else pool.pool_id
    pool.crash()
    fleet.redis.delete(fleet.go_keys.heartbeat(pool_id))


def reconcile_all(fleet: Fleet, pool: FleetPool) -> None:
    """Let a pool reconcile until it has walked the whole keyspace of a shared server."""
    for _ in range(20 * (fleet.redis.dbsize() // SCANNED_AT_ONCE + 1)):
        fleet.reconcile(pool)


def test_d4_the_original_loses_the_jobs_of_a_pool_without_a_heartbeat(fleet: Fleet) -> None:
    dead, reaper = fleet.go("go1", b=ONE), fleet.go("go2", a=ONE)
    dead.enqueue("b")
    assert dead.fetch() is not None
    die_without_heartbeat(fleet, dead)
    assert reaper.reap_step() == ["go1"]
    assert (fleet.queue("b"), len(fleet.held("b")), fleet.lock("b")) == ([], 1, 1)


def test_d4_a_pool_without_a_heartbeat_is_recovered_by_one_that_knows_none_of_its_jobs(
    fleet: Fleet,
) -> None:
    dead = fleet.pool({"b": lambda _job: None}, max_concurrency=1)
    reaper = fleet.pool({"a": lambda _job: None})
    job = fleet.enqueuer.enqueue("b")
    dead.claim()
    die_without_heartbeat(fleet, dead)

    fleet.watch(reaper, reaper)

    assert (fleet.queue("b"), fleet.held("b"), fleet.lock("b")) == ([job.raw], [], 0)
    assert fleet.registered() == {reaper.id}


def test_d4_a_go_pool_without_a_heartbeat_is_recovered_too(fleet: Fleet) -> None:
    go = fleet.go("go1", b=ONE)
    reaper = fleet.pool({"a": lambda _job: None})
    job = go.enqueue("b")
    assert go.fetch() is not None
    die_without_heartbeat(fleet, go)

    fleet.watch(reaper, reaper)

    assert (fleet.queue("b"), fleet.held("b"), fleet.lock("b")) == ([job.raw], [], 0)
    assert fleet.registered() == {reaper.id}


def test_d4_a_live_go_pool_whose_heartbeat_was_deleted_is_left_alone(fleet: Fleet) -> None:
    go = fleet.go("go1", b=ONE)
    reaper = fleet.pool({"a": lambda _job: None})
    go.enqueue("b")
    claim = go.fetch()
    assert claim is not None
    fleet.redis.delete(go.keys.heartbeat("go1"))

    fleet.watch(reaper, go, reaper)

    assert fleet.held("b") == [claim.fetched]
    go.process(claim)
    assert (fleet.held("b"), fleet.lock("b")) == ([], 0)


@pytest.mark.parametrize(
    "handled",
    [
        "a",
        pytest.param(
            "b",
        ),
    ],
)
def test_d4_jobs_that_a_go_reaper_has_orphaned_are_found(fleet: Fleet, handled: str) -> None:
    """A Go reaper wipes the pool's count from the locks of its own jobs, which leaves no trace."""
    dead = fleet.pool({"b": lambda _job: None}, max_concurrency=1)
    go = fleet.go("go1", 0, **{handled: ONE})
    finder = fleet.pool({"a": lambda _job: None})
    job = fleet.enqueuer.enqueue("b")
    dead.claim()
    die_without_heartbeat(fleet, dead)
    assert go.reap_step() == [dead.id]
    assert fleet.held("b") == [job.raw]

    reconcile_all(fleet, finder)
    fleet.watch(finder, go, finder)

    assert (fleet.queue("b"), fleet.held("b"), fleet.lock("b")) == ([job.raw], [], 0)


def test_d4_jobs_whose_names_nobody_knows_any_more_are_found(fleet: Fleet) -> None:
    dead = fleet.pool({"b": lambda _job: None})
    finder = fleet.pool({"a": lambda _job: None})
    job = fleet.enqueuer.enqueue("b")
    dead.claim()
    die_without_heartbeat(fleet, dead)
    fleet.redis.delete(fleet.go_keys.known_jobs, fleet.go_keys.lock_info("b"))
    fleet.redis.srem(fleet.go_keys.worker_pools, dead.id)

    reconcile_all(fleet, finder)
    fleet.watch(finder, finder)

    assert (fleet.queue("b"), fleet.held("b")) == ([job.raw], [])


def test_d4_a_live_pool_whose_heartbeat_vanished_keeps_what_it_runs(fleet: Fleet) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    job = fleet.enqueuer.enqueue("a")
    pool.claim()
    running = pool.runner.begin()
    former_id = pool.id
    fleet.redis.delete(fleet.keys.pool(pool.id))

    pool.duty("heartbeat")
    pool.turn()

    assert pool.id != former_id
    assert fleet.registered() == {pool.id}
    assert fleet.held("a") == [job.raw]
    pool.runner.run(running)
    assert pool.work() == []
    assert (fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([], [], 0)
    assert pool.engine.ledger.totals["done"] == 1


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        pytest.param("register", "drop"),
        pytest.param("register", "lose_reply"),
        pytest.param("adopt", "drop"),
        ("adopt", "lose_reply"),
    ],
)
def test_d4_a_pool_that_comes_back_over_a_bad_line_keeps_what_it_runs(
    fleet: Fleet, script: str, fault: str
) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    job = fleet.enqueuer.enqueue("a")
    pool.claim()
    running = pool.runner.begin()
    fleet.redis.delete(fleet.keys.pool(pool.id))
    pool.duty("heartbeat")
    pool.link.before(script, getattr(pool.link, fault))
    with pytest.raises(ServerUnavailable):
        pool.turn()

    pool.turn()

    assert fleet.held("a") == [job.raw]
    pool.runner.run(running)
    pool.work()
    assert pool.engine.ledger.totals["done"] == 1
    assert (fleet.queue("a"), fleet.held("a")) == ([], [])


def test_d4_a_live_pool_that_a_go_reaper_has_buried_keeps_its_job_and_its_lock(
    fleet: Fleet,
) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    go = fleet.go("go1", a=ONE)
    job = fleet.enqueuer.enqueue("a")
    pool.claim()
    pool.runner.begin()
    fleet.redis.delete(fleet.keys.pool(pool.id))
    assert go.reap_step() == [pool.id]

    pool.duty("heartbeat")
    pool.turn()
    fleet.reconcile(pool)

    assert (fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([], [job.raw], 1)
    fleet.enqueuer.enqueue("a")
    assert go.fetch() is None
