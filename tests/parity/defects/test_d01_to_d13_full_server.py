"""D2, D5: a server at its maxmemory, or a commit that fails, strands no job and no lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import GoJob
from tests.support.handlers import boom
from workkit.errors import ServerRefused, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PrivateServer, ServerKind
    from tests.parity.gopeer import Claim, GoPeer
    from workkit import Job

ONE = GoJob(max_concurrency=1)


@pytest.fixture
def fleet(
    private_server: PrivateServer, server_kind: ServerKind, namespace: str
) -> Iterator[Fleet]:
    url = private_server(server_kind).url
    with Redis.from_url(url) as client, Fleet(client, url, namespace) as fleet:
        yield fleet


def fill(fleet: Fleet) -> None:
    """Let the server refuse each command that could take memory."""
    fleet.redis.config_set("maxmemory", 1)


def free(fleet: Fleet) -> None:
    fleet.redis.config_set("maxmemory", 0)


def fetch(go: GoPeer) -> Claim:
    claim = go.fetch()
    assert claim is not None
    return claim


def strand(fleet: Fleet) -> GoPeer:
    """Let a pool of the original commit to a full server."""
    go = fleet.go(a=ONE)
    go.enqueue("a")
    claim = fetch(go)
    go.begin(claim)
    fill(fleet)
    go.settle(claim, "boom")
    free(fleet)
    return go


# D2: the commit fails.


def test_d2_the_original_never_frees_the_lock_of_a_commit_that_failed(fleet: Fleet) -> None:
    strand(fleet).stop()
    fleet.advance(60)
    fleet.go("go2", a=ONE).reap_step()
    assert fleet.members("retry") == {}
    assert (len(fleet.held("a")), fleet.lock("a")) == (1, 1)


def test_d2_what_finished_is_settled_on_a_full_server(fleet: Fleet) -> None:
    def run(job: Job) -> None:
        if job.arg_bool("fails"):
            boom(job)

    pool = fleet.pool({"a": run}, max_concurrency=2)
    bad = fleet.enqueuer.enqueue("a", {"fails": True})
    fleet.enqueuer.enqueue("a", {"fails": False})
    assert len(pool.claim()) == 2

    fill(fleet)
    assert len(pool.work()) == 2

    assert [job["id"] for job in fleet.jobs("retry")] == [bad.id]
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)


def test_d2_a_full_server_is_drained_of_its_jobs(fleet: Fleet) -> None:
    jobs = [fleet.enqueuer.enqueue("a").id for _ in range(5)]
    ran: list[str] = []
    pool = fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1)
    fill(fleet)
    with pytest.raises(ServerRefused, match="maxmemory"):
        fleet.enqueuer.enqueue("a")

    pool.work()

    assert ran == jobs
    assert (fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([], [], 0)


def test_d2_a_pool_may_come_to_drain_a_full_server(fleet: Fleet) -> None:
    job = fleet.enqueuer.enqueue("a")
    fill(fleet)
    ran: list[str] = []

    fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1).work()

    assert ran == [job.id]


def test_d2_a_pool_that_was_reaped_settles_what_it_kept_on_a_full_server(fleet: Fleet) -> None:
    pool = fleet.pool({"a": boom}, max_concurrency=1)
    job = fleet.enqueuer.enqueue("a")
    pool.claim()
    running = pool.runner.begin()
    fleet.redis.delete(fleet.keys.pool(pool.id))
    fill(fleet)

    pool.runner.run(running)
    pool.work()

    assert [member["id"] for member in fleet.jobs("retry")] == [job.id]
    assert fleet.held("a") == []


@pytest.mark.parametrize("fault", ["drop", "lose_reply"])
def test_d2_a_commit_without_an_answer_is_made_exactly_once(fleet: Fleet, fault: str) -> None:
    pool = fleet.pool({"a": boom}, max_concurrency=1)
    job = fleet.enqueuer.enqueue("a")
    pool.claim()
    pool.runner.run()
    pool.link.before("exchange", getattr(pool.link, fault))
    with pytest.raises(ServerUnavailable):
        pool.turn()

    assert pool.work() == []

    assert [(member["id"], member["fails"]) for member in fleet.jobs("retry")] == [(job.id, 1)]
    assert (pool.engine.ledger.totals["retry"], pool.engine.ledger.totals["fenced"]) == (1, 0)
    assert (fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([], [], 0)


def test_d2_a_pool_that_stops_while_it_holds_jobs_stays_to_be_found(fleet: Fleet) -> None:
    pool = fleet.pool({"a": lambda _job: None}, max_concurrency=1)
    ran: list[str] = []
    other = fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1)
    job = fleet.enqueuer.enqueue("a")
    pool.link.before("exchange", pool.link.lose_reply)
    with pytest.raises(ServerUnavailable):
        pool.turn()

    assert pool.step(pool.engine.dispatcher.leave()) == 1
    assert pool.id in fleet.registered()

    fleet.watch(other, other)
    other.work()
    assert ran == [job.id]
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)
    assert fleet.registered() == {other.id}


def test_d2_what_a_go_pool_left_behind_is_found_after_its_stop(fleet: Fleet) -> None:
    ran: list[str] = []
    pool = fleet.pool({"a": lambda job: ran.append(job.id)}, max_concurrency=1)
    go = strand(fleet)
    (raw,) = fleet.held("a")
    go.stop()
    assert pool.claim() == []

    fleet.reconcile(pool)
    fleet.watch(pool, pool)
    (execution,) = pool.work()

    assert execution.job.raw == raw
    assert ran == [execution.job.id]
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)


# D5: the jobs of a dead pool cannot be given back.


def test_d5_the_original_buries_a_pool_whose_jobs_it_could_not_give_back(fleet: Fleet) -> None:
    dead, reaper = fleet.go("go1", a=ONE), fleet.go("go2", a=ONE)
    dead.enqueue("a")
    fetch(dead)
    dead.crash()
    fleet.advance(60)
    reaper.heartbeat()
    fill(fleet)
    assert reaper.reap_step() == ["go1"]
    free(fleet)
    assert (len(fleet.held("a")), fleet.queue("a")) == (1, [])
    assert reaper.reap_step() == []


def test_d5_the_jobs_of_a_dead_pool_are_given_back_on_a_full_server(fleet: Fleet) -> None:
    dead, reaper = (fleet.pool({"a": lambda _job: None}, max_concurrency=1) for _ in range(2))
    job = fleet.enqueuer.enqueue("a")
    dead.claim()
    dead.crash()
    fleet.watch(reaper, dead, reaper)
    fill(fleet)

    fleet.watch(reaper, reaper)

    assert (fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([job.raw], [], 0)
    assert fleet.registered() == {reaper.id}


def test_d5_a_pool_is_not_buried_before_its_jobs_are_given_back(fleet: Fleet) -> None:
    dead, reaper = (fleet.pool({"a": lambda _job: None}) for _ in range(2))
    job = fleet.enqueuer.enqueue("a")
    dead.claim()
    dead.crash()
    fleet.redis.set(fleet.go_keys.queue("a"), "no list")

    fleet.watch(reaper, reaper)
    assert dead.id in fleet.registered()
    assert fleet.held("a") == [job.raw]

    fleet.redis.delete(fleet.go_keys.queue("a"))
    fleet.watch(reaper, reaper)
    assert (fleet.queue("a"), fleet.held("a")) == ([job.raw], [])
    assert fleet.registered() == {reaper.id}


@pytest.mark.parametrize("fault", ["drop", "lose_reply"])
def test_d5_a_recovery_without_an_answer_is_made_exactly_once(fleet: Fleet, fault: str) -> None:
    dead, reaper = (fleet.pool({"a": lambda _job: None}, max_concurrency=2) for _ in range(2))
    jobs = [fleet.enqueuer.enqueue("a").raw for _ in range(2)]
    dead.claim()
    dead.crash()
    reaper.link.before("reap", getattr(reaper.link, fault))
    with pytest.raises(ServerUnavailable):
        fleet.watch(reaper, reaper)

    fleet.watch(reaper, reaper)

    assert sorted(fleet.queue("a")) == sorted(jobs)
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)
    assert fleet.registered() == {reaper.id}


def test_d5_what_a_go_reaper_has_orphaned_is_found(fleet: Fleet) -> None:
    dead, finder = (fleet.pool({"a": lambda _job: None}, max_concurrency=1) for _ in range(2))
    go = fleet.go(a=ONE)
    job = fleet.enqueuer.enqueue("a")
    dead.claim()
    dead.crash()
    fleet.advance(60)
    go.heartbeat()
    finder.duty("heartbeat")
    fill(fleet)
    assert go.reap_step() == [dead.id]
    free(fleet)
    assert fleet.held("a") == [job.raw]

    fleet.reconcile(finder)
    fleet.watch(finder, go, finder)

    assert (fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([job.raw], [], 0)
