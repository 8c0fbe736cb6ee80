"""D16, D16b: limits that other pools lift, and counts that nobody removes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import FleetPool
from tests.parity.defects.stage import ParityStage
from tests.parity.gopeer import GoJob, GoPeer
from tests.support.handlers import nothing

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


def limited(stage: ParityStage, limit: int = 1) -> FleetPool:
    """Start a pool with workers for three and a limit below."""
    return stage.pool({"a": nothing}, concurrency=3, max_concurrency=limit)


def fetched(*peers: GoPeer) -> int:
    """Let Go pools claim as many jobs as the limit allows.

    Returns:
        How many jobs that was.
    """
    return sum(peer.fetch() is not None for peer in peers for _ in range(3))


# D16: the limit itself


def test_d16_the_original_forgets_a_limit_when_a_pool_without_one_starts(
    stage: ParityStage,
) -> None:
    go = stage.go("p1", a=GoJob(max_concurrency=1))
    stage.go("p2", a=GoJob())
    for _ in range(3):
        go.enqueue("a")
    assert fetched(go) == 2  # it has two workers


def test_d16_a_go_pool_that_declares_no_limit_lifts_none_for_longer_than_a_beat(
    stage: ParityStage,
) -> None:
    pool = limited(stage)
    go = stage.go(a=GoJob())
    assert stage.limit("a") == 0
    pool.duty("heartbeat")
    stage.enqueuer.enqueue_many([("a", None)] * 3)

    assert len(pool.claim()) == 1

    assert fetched(go) == 0
    assert (stage.limit("a"), stage.lock("a"), len(stage.queue("a"))) == (1, 1, 2)


def test_d16_a_pool_that_declares_no_limit_lifts_none(stage: ParityStage) -> None:
    limited(stage)
    other = stage.pool({"a": nothing}, concurrency=3)
    other.duty("heartbeat")
    stage.enqueuer.enqueue_many([("a", None)] * 3)

    assert len(other.claim()) == 1

    assert stage.limit("a") == 1


def test_d16_lost_data_lifts_the_limit_of_the_original(stage: ParityStage) -> None:
    go = stage.go(a=GoJob(max_concurrency=1))
    stage.lose_data()
    for _ in range(3):
        go.enqueue("a")
    assert fetched(go) == 2


def test_d16_lost_data_lifts_no_limit(stage: ParityStage) -> None:
    pool = limited(stage)
    pool.turn()
    stage.lose_data()
    stage.enqueuer.enqueue_many([("a", None)] * 3)

    pool.turn()  # it learns that it is not registered any more
    assert len(pool.claim()) == 1

    assert (stage.limit("a"), stage.lock("a")) == (1, 1)
    assert stage.registered() == {pool.id}


def test_d16_lost_data_lifts_no_limit_for_go_pools_either(stage: ParityStage) -> None:
    pool, go = limited(stage), stage.go(a=GoJob(max_concurrency=1))
    stage.lose_data()
    pool.duty("heartbeat")
    pool.turn()
    stage.enqueuer.enqueue_many([("a", None)] * 3)

    assert fetched(go) == 1

    assert pool.claim() == []
    assert (stage.limit("a"), stage.lock("a")) == (1, 1)


def test_d16_lost_data_starts_no_second_job_beside_the_one_that_runs(stage: ParityStage) -> None:
    pool = limited(stage)
    stage.enqueuer.enqueue("a")
    pool.turn()
    running = pool.runner.begin()
    stage.lose_data()
    stage.enqueuer.enqueue_many([("a", None)] * 3)

    pool.turn()
    pool.turn()
    assert pool.claim() == []

    pool.runner.end(running)
    assert len(pool.claim()) == 1


# D16b: fields that stay


def deploy_go(stage: ParityStage, pool_id: str) -> None:
    go = stage.elsewhere().peer(pool_id, a=GoJob(), b=GoJob())
    for name in ("a", "b"):
        go.enqueue(name)
    assert go.run_all() == 2
    go.stop()


def deploy(stage: ParityStage) -> None:
    pool = stage.pool({"a": nothing, "b": nothing})
    for name in ("a", "b"):
        stage.enqueuer.enqueue(name)
    assert len(pool.work()) == 2
    assert pool.step(pool.engine.dispatcher.leave()) == 0


def test_d16b_clean_deploys_leave_nothing_behind(stage: ParityStage) -> None:
    for number in range(3):
        deploy_go(stage, f"p{number}")
        deploy(stage)
    assert len(stage.elsewhere().lock_info("a")) == len(stage.elsewhere().lock_info("b")) == 3
    assert stage.lock_info("a") == stage.lock_info("b") == {}
    assert stage.registered() == set()


def test_d16b_a_running_pool_counts_only_what_it_runs(stage: ParityStage) -> None:
    pool = stage.pool({"a": nothing, "b": nothing}, concurrency=2)
    stage.enqueuer.enqueue("a")
    pool.turn()
    assert stage.lock_info("a") == {pool.id.encode(): b"1"}
    pool.work()
    assert stage.lock_info("a") == stage.lock_info("b") == {}


def test_d16b_a_pool_that_leaves_takes_its_field_along_whatever_it_says(stage: ParityStage) -> None:
    pool = stage.pool({"a": nothing})
    stage.redis.hset(stage.go_keys.lock_info("a"), pool.id, 2)
    assert pool.step(pool.engine.dispatcher.leave()) == 0
    assert stage.lock_info("a") == {}


def test_d16b_the_fields_that_go_deploys_leave_are_cleared_away(stage: ParityStage) -> None:
    for number in range(3):
        go = stage.go(f"go{number}", a=GoJob())
        go.enqueue("a")
        go.run_all()
        go.stop()
    assert len(stage.lock_info("a")) == 3

    stage.reconcile(stage.pool({"b": nothing}))

    assert stage.lock_info("a") == {}
