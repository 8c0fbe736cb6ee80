"""List entries that a Go pool leaves of replaced jobs: these jobs have run, with new args."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.fleet import DEAD_FOR_S, Fleet
from tests.parity.gopeer import GoJob, GoPeer
from workkit.doctor import Doctor

if TYPE_CHECKING:
    from redis import Redis

    from tests.parity.defects.fleet import FleetPool
    from workkit import Job


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


class Ran:
    """The jobs that ran, in either library."""

    def __init__(self) -> None:
        self.args: list[int] = []

    def __call__(self, job: Any) -> None:
        self.args.append(int((job.args or {})["v"]))

    def ours(self, job: Job) -> None:
        self(job)


def update_and_run(go: GoPeer, count: int) -> None:
    """Let a Go pool run jobs that were updated while they waited."""
    for n in range(count):
        assert go.enqueue_unique_by_key("a", {"v": n}, {"k": n}) is not None
        assert go.enqueue_unique_by_key("a", {"v": 1_000 + n}, {"k": n}) is None
    assert go.run_all() == count


def recover(fleet: Fleet, pool: FleetPool, *alive: GoPeer) -> None:
    """Let a pool reconcile, and watch whom it suspects until they are dead."""
    for _ in range(2):
        fleet.reconcile(pool)
        fleet.watch(pool, pool, *alive)
    pool.work()


@pytest.mark.parametrize("reconciled_before", [True, False])
@pytest.mark.parametrize("count", [3, 450])
def test_old_args_do_not_run_after_a_go_pool_has_stopped(
    fleet: Fleet, reconciled_before: bool, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    ran = Ran()
    go, pool = fleet.go(a=GoJob(handler=ran)), fleet.pool({"a": ran.ours})
    update_and_run(go, count)
    assert len(fleet.held("a")) == count
    if reconciled_before:
        fleet.reconcile(pool)
    go.stop()

    recover(fleet, pool)

    assert sorted(ran.args) == [1_000 + n for n in range(count)]
    assert (fleet.held("a"), fleet.queue("a"), fleet.lock("a")) == ([], [], 0)
    assert fleet.redis.hgetall(fleet.go_keys.lock_info("a")) == {}
    assert "had run in newer versions" in caplog.text


def test_a_go_pool_that_was_killed_may_have_held_whatever_is_in_its_list(fleet: Fleet) -> None:
    """Its counts may be too low, and a job that runs again is better than one that is lost."""
    ran = Ran()
    go, pool = fleet.go(a=GoJob(handler=ran)), fleet.pool({"a": ran.ours})
    update_and_run(go, 3)
    go.crash()
    recover(fleet, pool)
    assert sorted(ran.args) == [0, 1, 2, 1_000, 1_001, 1_002]
    assert (fleet.held("a"), fleet.registered(), fleet.lock("a")) == ([], {pool.id}, 0)


def test_a_unique_job_that_a_killed_go_pool_was_running_is_not_lost(fleet: Fleet) -> None:
    ran = Ran()
    go, pool = fleet.go(a=GoJob(handler=ran)), fleet.pool({"a": ran.ours})
    update_and_run(go, 1)
    go.enqueue_unique("a", {"v": 7})
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    go.crash()
    recover(fleet, pool)
    assert 7 in ran.args


@pytest.mark.parametrize("count", [None, b"-1", b"junk"])
def test_a_job_is_not_lost_where_the_count_cannot_be_believed(
    fleet: Fleet, count: bytes | None
) -> None:
    ran = Ran()
    go, pool = fleet.go(a=GoJob(handler=ran)), fleet.pool({"a": ran.ours})
    go.enqueue_unique("a", {"v": 7})
    assert go.fetch() is not None
    go.crash()
    fleet.redis.hdel(fleet.go_keys.lock_info("a"), "go1")
    if count is not None:
        fleet.redis.hset(fleet.go_keys.lock_info("a"), "go1", count)
    fleet.watch(pool, pool)
    pool.work()
    assert ran.args == [7]


def test_a_plain_job_in_the_list_of_a_pool_that_is_gone_says_that_its_count_is_wrong(
    fleet: Fleet,
) -> None:
    ran = Ran()
    go, pool = fleet.go(a=GoJob(handler=ran)), fleet.pool({"a": ran.ours})
    go.enqueue_unique("a", {"v": 7})
    go.enqueue("a", {"v": 8})
    for _ in range(2):
        assert go.fetch() is not None
    go.crash()
    fleet.redis.hset(fleet.go_keys.lock_info("a"), "go1", 0)
    go.stop()
    recover(fleet, pool)
    assert sorted(ran.args) == [7, 8]


def test_a_go_pool_that_is_alive_keeps_its_list(fleet: Fleet) -> None:
    ran = Ran()
    go, pool = fleet.go(a=GoJob(handler=ran)), fleet.pool({"a": ran.ours})
    update_and_run(go, 3)
    recover(fleet, pool, go)
    assert len(fleet.held("a")) == 3
    assert (fleet.lock("a"), fleet.redis.hgetall(fleet.go_keys.lock_info("a"))) == (
        0, {b"go1": b"0"},
    )  # fmt: skip


def test_the_doctor_runs_no_old_args_either(fleet: Fleet) -> None:
    ran = Ran()
    go = fleet.go(a=GoJob(handler=ran))
    update_and_run(go, 3)
    go.stop()
    doctor = Doctor(fleet.namespace, fleet.url, wait=lambda _seconds: fleet.advance(DEAD_FOR_S))
    found = [finding for finding in doctor.examine() if finding.check == "orphan"]
    assert [doctor.repair(finding) for finding in found] == [
        "0 jobs were given back, 0 went to the dead set"
    ]
    assert fleet.queue("a") == fleet.held("a") == []
