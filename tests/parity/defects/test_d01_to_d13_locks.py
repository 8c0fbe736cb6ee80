"""D1, D3, D12: a lock counts the running jobs, even after lost replies and wrong deaths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import Fleet, member
from tests.parity.gopeer import GoJob
from tests.support.handlers import boom
from workkit.errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.parity.defects.fleet import FleetPool
    from tests.parity.gopeer import Claim, GoPeer

ONE = GoJob(max_concurrency=1)
#: Not a job for Go, whose `t` is an int64.
FLOAT_TIME = b'{"name":"a","id":"x","t":1700000000.5,"args":null}'


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


def fetch(go: GoPeer) -> Claim:
    claim = go.fetch()
    assert claim is not None
    return claim


def nothing_runs(fleet: Fleet, name: str) -> bool:
    """Tell whether a queue is empty, with nothing in progress and no lock held."""
    return (fleet.queue(name), fleet.held(name), fleet.lock(name)) == ([], [], 0)


# D1: the script has run, its reply is lost.


def test_d1_the_original_holds_the_lock_of_a_claim_it_never_heard_of(fleet: Fleet) -> None:
    go = fleet.go(a=ONE)
    go.enqueue("a")
    go.enqueue("a")
    go.forget(fetch(go))
    assert go.fetch() is None
    assert fleet.lock("a") == 1


@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
def test_d1_a_job_whose_claim_was_not_received_runs_once_and_its_lock_is_free(
    fleet: Fleet, fault: str
) -> None:
    ran: list[str] = []
    pool = fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1)
    jobs = [fleet.enqueuer.enqueue("a").id for _ in range(2)]
    pool.link.before("exchange", getattr(pool.link, fault))
    with pytest.raises(ServerUnavailable):
        pool.turn()

    pool.work()

    assert sorted(ran) == sorted(jobs)
    assert nothing_runs(fleet, "a")


def test_d1_a_claim_that_reaches_redis_too_late_claims_nothing(fleet: Fleet) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    fleet.enqueuer.enqueue("a")
    pool.link.before("exchange", pool.link.delay)
    with pytest.raises(ServerUnavailable):
        pool.turn()
    assert len(pool.work()) == 1
    job = fleet.enqueuer.enqueue("a")

    pool.link.deliver_late()

    assert fleet.queue("a") == [job.raw]
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)


def test_d1_equal_payloads_are_told_apart_after_a_lost_reply(fleet: Fleet) -> None:
    ran: list[str] = []
    pool = fleet.pool({"a": lambda job: ran.append(job.id)}, concurrency=2)
    fleet.redis.lpush(fleet.go_keys.queue("a"), *[member("a", "same")] * 5)
    running = pool.claim()
    assert len(running) == 2
    pool.runner.run(pool.runner.begin())
    pool.link.before("exchange", pool.link.lose_reply)
    with pytest.raises(ServerUnavailable):
        pool.turn()

    pool.work()

    assert ran == ["same"] * 5
    assert nothing_runs(fleet, "a")


def test_d1_a_go_pool_gets_the_lock_that_a_lost_reply_had_taken(fleet: Fleet) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    go = fleet.go(a=ONE)
    job = go.enqueue("a")
    pool.link.before("exchange", pool.link.lose_reply)
    with pytest.raises(ServerUnavailable):
        pool.turn()
    assert go.fetch() is None
    pool.engine.dispatcher.stop_claiming()

    pool.work()

    assert fetch(go).job.id == job.id


def test_d1_a_claim_that_a_go_pool_lost_is_recovered_when_that_pool_is_gone(fleet: Fleet) -> None:
    ran: list[str] = []
    pool = fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1)
    go = fleet.go(a=ONE)
    job = go.enqueue("a")
    go.forget(fetch(go))
    assert pool.claim() == []

    fleet.watch(pool, pool)
    pool.work()

    assert ran == [job.id]
    assert nothing_runs(fleet, "a")


def test_d1_bytes_that_are_no_job_give_their_lock_back(fleet: Fleet) -> None:
    go = fleet.go(a=ONE)
    fleet.redis.lpush(go.keys.queue("a"), FLOAT_TIME)
    assert go.fetch() is None
    assert fleet.lock("a") == 1
    go.stop()
    fleet.redis.delete(go.keys.lock("a"), go.keys.lock_info("a"))

    ran: list[str] = []
    pool = fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1)
    fleet.redis.rpush(go.keys.queue("a"), FLOAT_TIME)
    job = fleet.enqueuer.enqueue("a")
    pool.work()

    assert ran == [job.id]
    assert (fleet.queue("a"), fleet.lock("a")) == ([], 0)
    (dead,) = fleet.jobs("dead")
    assert "undecodable" in dead["err"]


# D3: a pool that was taken for dead goes on.


def test_d3_a_pool_that_was_reaped_releases_nothing_a_second_time(fleet: Fleet) -> None:
    paused, reaper = fleet.go("go1", a=ONE), fleet.go("go2", a=ONE)
    paused.enqueue("a")
    claim = fetch(paused)
    fleet.advance(11)
    reaper.heartbeat()
    assert reaper.reap_step() == ["go1"]
    paused.process(claim)
    assert fleet.lock("a") == -1

    late = fleet.pool({"b": lambda _job: None}, max_concurrency=1)
    other = fleet.pool({"b": lambda _job: None}, max_concurrency=1)
    job = fleet.enqueuer.enqueue("b")
    late.claim()
    late.runner.begin()
    fleet.watch(other, other)
    (taken,) = other.claim()
    assert taken.job.id == job.id

    late.runner.run(late.runner.running[0])
    late.work()

    assert fleet.lock("b") == 1
    assert fleet.held("b") == [job.raw]
    other.work()
    assert nothing_runs(fleet, "b")


def test_d3_a_go_reaper_and_a_paused_workkit_pool_keep_the_lock_right(fleet: Fleet) -> None:
    late = fleet.pool({"a": boom}, max_concurrency=1)
    go = fleet.go(a=ONE)
    fleet.enqueuer.enqueue("a")
    late.claim()
    running = late.runner.begin()
    fleet.advance(11)
    go.heartbeat()
    assert go.reap_step() == [late.id]
    claim = fetch(go)
    former_id = late.id

    late.runner.run(running)
    late.work()

    assert fleet.lock("a") == 1
    assert fleet.members("retry") == {}
    assert fleet.registered() == {"go1", late.id} - {former_id}
    go.process(claim)
    assert nothing_runs(fleet, "a")


def test_d3_a_lock_that_a_go_pool_released_twice_is_counted_anew(fleet: Fleet) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    go = fleet.go(a=ONE)
    go.enqueue("a")
    claim = fetch(go)
    fleet.watch(pool, pool)
    assert len(pool.claim()) == 1
    pool.runner.begin()
    go.process(claim)
    go.heartbeat()
    fleet.enqueuer.enqueue("a")
    assert fleet.lock("a") == 0

    fleet.reconcile(pool)

    assert fleet.lock("a") == 1
    assert go.fetch() is None


@pytest.mark.parametrize("count", [pytest.param(-5), 5])
def test_d3_a_wrong_count_of_a_pool_that_dies_does_not_stay_in_the_lock(
    fleet: Fleet, count: int
) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    fleet.go(a=ONE)
    fleet.redis.hset(fleet.go_keys.lock_info("a"), "go1", count)
    fleet.redis.set(fleet.go_keys.lock("a"), max(count, 0))

    fleet.watch(pool, pool)

    assert fleet.lock("a") == 0
    fleet.enqueuer.enqueue("a")
    assert len(pool.work()) == 1


def test_d3_what_a_go_pool_holds_without_counting_it_is_not_released_either(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob(max_concurrency=2))
    go.enqueue_unique_in_by_key("a", 0, {"v": 1}, {"k": 1})
    go.requeue_step()
    assert go.run_all() == 1
    assert (len(fleet.held("a")), fleet.lock("a")) == (1, 0)

    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=2)
    fleet.enqueuer.enqueue("a")
    pool.claim()
    pool.runner.begin()
    fleet.watch(pool, pool)

    assert fleet.lock("a") == 1
    pool.runner.run(pool.runner.running[0])
    pool.work()
    assert nothing_runs(fleet, "a")


def test_d3_a_dead_pool_that_released_too_much_leaves_no_lock_behind(fleet: Fleet) -> None:
    go = fleet.go(a=ONE)
    go.enqueue_unique_in_by_key("a", 0, {"v": 1}, {"k": 1})
    go.requeue_step()
    assert go.run_all() == 1
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)

    fleet.watch(pool, pool)

    assert fleet.lock("a") == 0
    assert len(pool.work()) == 1


@pytest.mark.parametrize("ahead_s", [-3600.0, -11.0, 11.0, 3600.0])
def test_d3_clocks_of_two_hosts_are_never_compared(fleet: Fleet, ahead_s: float) -> None:
    go = fleet.go("go1", a=ONE)
    assert fleet.go("go2", ahead_s=11, b=ONE).reap_step() == ["go1"]
    go.heartbeat()

    alive = fleet.pool({"a": lambda _job: None})
    reaper = fleet.pool({"a": lambda _job: None}, ahead_s=ahead_s)
    fleet.watch(reaper, go, alive, reaper)

    assert {"go1", alive.id} <= fleet.registered()


def test_d3_a_heartbeat_in_the_last_moment_keeps_the_jobs_where_they_are(fleet: Fleet) -> None:
    late, reaper = (fleet.pool({"a": lambda _job: None}) for _ in range(2))
    job = fleet.enqueuer.enqueue("a")
    late.claim()
    late.runner.begin()

    def beat() -> None:
        fleet.clock.advance(1)
        late.duty("heartbeat")

    reaper.link.before("reap", beat)
    fleet.watch(reaper, reaper)

    assert (fleet.held("a"), fleet.queue("a"), fleet.lock("a")) == ([job.raw], [], 1)
    assert late.id in fleet.registered()


def test_d3_a_heartbeat_just_before_its_burial_keeps_a_pool_registered(fleet: Fleet) -> None:
    late, reaper = (fleet.pool({"a": lambda _job: None}) for _ in range(2))

    def beat() -> None:
        fleet.clock.advance(1)
        late.duty("heartbeat")

    reaper.link.before("forget", beat)
    fleet.watch(reaper, reaper)

    assert late.id in fleet.registered()


# D12: the name in a job is not the name of its queue.


def test_d12_a_lock_is_released_under_the_queue_it_was_taken_from(fleet: Fleet) -> None:
    raw = member("zzz", "x")
    go = fleet.go(a=ONE)
    fleet.redis.lpush(go.keys.queue("a"), raw)
    go.run_all()
    assert (fleet.lock("a"), fleet.lock("zzz")) == (1, -1)
    fleet.redis.delete(go.keys.lock("a"), go.keys.lock("zzz"), go.keys.lock_info("a"))
    fleet.redis.delete(go.keys.lock_info("zzz"), go.keys.dead)

    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    fleet.redis.lpush(go.keys.queue("a"), raw)
    pool.work()

    assert fleet.redis.exists(go.keys.lock("zzz"), go.keys.lock_info("zzz")) == 0
    assert nothing_runs(fleet, "a")
    (dead,) = fleet.jobs("dead")
    assert "'zzz', which has no handler here" in dead["err"]


def test_d12_a_job_in_a_foreign_queue_runs_and_is_settled_where_it_lay(fleet: Fleet) -> None:
    pool: FleetPool = fleet.pool({"a": lambda _job: None, "b": boom}, max_concurrency=1)
    fleet.redis.lpush(fleet.go_keys.queue("a"), member("b", "x"))

    pool.work()

    assert nothing_runs(fleet, "a")
    assert nothing_runs(fleet, "b")
    assert [(json.loads(raw)["name"]) for raw in fleet.members("retry")] == ["b"]
