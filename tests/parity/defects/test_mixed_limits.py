"""Go pools may rely on a limit that workkit has written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import GoJob, GoPeer
from tests.support.handlers import boom
from workkit.doctor import Doctor

if TYPE_CHECKING:
    from redis import Redis

    from tests.parity.defects.fleet import FleetPool


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


def leave(pool: FleetPool) -> None:
    assert pool.step(pool.engine.dispatcher.leave()) == 0


def limit(fleet: Fleet) -> int:
    return int(fleet.redis.get(fleet.go_keys.max_concurrency("a")) or 0)


def running(*peers: GoPeer) -> int:
    """Let Go pools claim as many jobs as the limit allows; return how many run then."""
    for peer in peers:
        while peer.fetch() is not None:
            pass
    return sum(len(peer.claims) for peer in peers)


def declared_once(fleet: Fleet) -> None:
    """Leave behind the limit of a pool that has stopped."""
    leave(fleet.pool({"a": boom}, max_concurrency=3))


def test_a_limit_stays_while_go_pools_handle_its_job(fleet: Fleet) -> None:
    peers = [fleet.go(f"go{n}", a=GoJob(max_concurrency=3)) for n in range(5)]
    declared_once(fleet)
    for _ in range(20):
        peers[0].enqueue("a")

    other = fleet.pool({"b": boom})
    for _ in range(3):
        fleet.advance(60)
        fleet.reconcile(other)

    assert (limit(fleet), running(*peers)) == (3, 3)


def test_a_limit_stays_while_a_pool_that_declares_none_handles_its_job(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    declared_once(fleet)
    other = fleet.pool({"a": boom})
    for _ in range(3):
        fleet.reconcile(other)
    assert limit(fleet) == 3
    assert caplog.text.count("no live pool declares the limit of 3 any more") == 1


def test_a_limit_stays_while_a_pool_has_yet_to_say_what_it_handles(fleet: Fleet) -> None:
    declared_once(fleet)
    other = fleet.pool({"b": boom})
    fleet.redis.sadd(fleet.go_keys.worker_pools, "starting")
    fleet.reconcile(other)
    assert limit(fleet) == 3
    fleet.redis.srem(fleet.go_keys.worker_pools, "starting")
    fleet.reconcile(other)
    assert limit(fleet) == 0


def test_a_limit_goes_with_the_last_pool_that_handles_its_job(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob(max_concurrency=3), c=GoJob())
    declared_once(fleet)
    other = fleet.pool({"b": boom})
    fleet.reconcile(other)
    assert limit(fleet) == 3
    go.stop()
    fleet.go("go2", c=GoJob())
    fleet.reconcile(other)
    assert limit(fleet) == 0


@pytest.mark.parametrize("by_go", [True, False])
def test_the_doctor_offers_to_lift_a_limit_unless_a_go_pool_may_rely_on_it(
    fleet: Fleet, by_go: bool
) -> None:
    declared_once(fleet)
    if by_go:
        fleet.go(a=GoJob(max_concurrency=3))
    else:
        fleet.pool({"a": boom})
    doctor = Doctor(fleet.namespace, fleet.url, wait=lambda _seconds: None)
    found = [finding for finding in doctor.examine() if finding.check == "limit"]
    assert [doctor.repair(finding) for finding in found] == (
        [] if by_go else ["the limit was lifted"]
    )
    assert limit(fleet) == (3 if by_go else 0)
