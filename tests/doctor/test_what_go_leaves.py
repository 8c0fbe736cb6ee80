"""Faults that pools of the original leave behind, produced by their emulator."""

from __future__ import annotations

from tests.doctor.ward import Ward
from tests.parity.gopeer import GoJob, GoPeer
from workkit import Enqueuer


def beats(ward: Ward, *peers: GoPeer) -> None:
    """Send heartbeats of the peers while the doctor watches."""

    def beat() -> None:
        for peer in peers:
            peer.heartbeat()

    ward.alive = beat


def test_d1_a_claim_that_a_live_pool_has_forgotten_is_given_back(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob(max_concurrency=1))
    beats(ward, peer)
    peer.enqueue("a")
    claim = peer.fetch()
    assert claim is not None
    peer.forget(claim)
    assert peer.fetch() is None
    assert ward.repair("ghost") == ["1 job was given back"]
    assert ward.scene.lock("a") == 0
    assert peer.run_all() == 1


def test_a_job_that_a_go_worker_runs_is_not_a_ghost(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob())
    beats(ward, peer)
    peer.enqueue("a")
    claim = peer.fetch()
    assert claim is not None
    peer.begin(claim)
    peer.observe()
    assert ward.findings() == []


def test_d3_a_lock_below_zero_is_counted_again(ward: Ward) -> None:
    paused, reaper = ward.scene.peer("p1", a=GoJob()), ward.scene.peer("p2", a=GoJob())
    paused.enqueue("a")
    claim = paused.fetch()
    assert claim is not None
    ward.scene.clock.now += 10
    reaper.heartbeat()
    assert reaper.reap_step() == ["p1"]
    paused.process(claim)
    assert ward.scene.lock("a") == -1
    beats(ward, reaper)
    ward.scene.clock.now -= 10
    reaper.heartbeat()
    ward.repair("lock")
    assert (ward.scene.lock("a"), ward.scene.lock_info("a")) == (0, {})


def test_d4_and_d5_jobs_of_a_removed_pool_are_found(ward: Ward) -> None:
    """The Go reaper releases only the locks of its own job names, so the lock and job of b stay."""
    dead, reaper = ward.scene.peer("p1", b=GoJob()), ward.scene.peer("p2", a=GoJob())
    dead.enqueue("b")
    assert dead.fetch() is not None
    dead.crash()
    dead.stop()  # the emulator can stop a pool that crashed with its claims
    beats(ward, reaper)
    assert "orphan" in ward.checks()
    ward.repair("orphan")
    assert (ward.scene.lock("b"), len(ward.scene.queue("b"))) == (0, 1)


def test_d6_the_ghost_of_a_unique_job_by_key_is_given_back(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob())
    beats(ward, peer)
    peer.enqueue_unique_in_by_key("a", 0, {"v": 1}, {"k": 1})
    peer.requeue_step()
    assert peer.run_all() == 1
    peer.observe()
    assert len(ward.scene.in_progress("a")) == 1
    assert ward.repair("ghost") == ["1 job was given back"]
    assert ward.scene.in_progress("a") == []


def test_d12_locks_under_two_names_are_counted_again(ward: Ward) -> None:
    """The name of this job makes its queue the in-progress list of a pool."""
    dead, peer = ward.scene.peer("p1", a=GoJob()), ward.scene.peer("p2", a=GoJob())
    beats(ward, peer)
    strange = "a:p1:inprogress"
    peer.enqueue(strange)
    dead.crash()
    ward.scene.clock.now += 10
    peer.heartbeat()
    assert peer.reap_step() == ["p1"]
    ward.scene.clock.now -= 10
    peer.heartbeat()
    assert peer.run_all() == 1
    assert (ward.scene.lock("a"), ward.scene.lock(strange)) == (1, -1)
    ward.repair("lock", "lock")
    assert (ward.scene.lock("a"), ward.scene.lock(strange)) == (0, 0)


def test_d16b_zero_fields_of_stopped_pools_are_removed(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob())
    peer.enqueue("a")
    peer.run_all()
    peer.stop()
    assert ward.scene.lock_info("a") == {b"p1": b"0"}
    ward.repair("lock-info")
    assert ward.scene.lock_info("a") == {}


def test_d18_a_queue_at_the_pause_key_of_another_is_renamed_with_its_jobs(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob(), b=GoJob())
    beats(ward, peer)
    for name in ("a:paused", "a", "b"):
        peer.enqueue(name)
    assert peer.fetch(["a", "b"]) is None
    (said,) = ward.repair("wrong-type")
    assert ":jobs:a:paused'" in said
    (aside,) = ward.redis.keys(f"{ward.namespace}:aside:*")
    assert ward.redis.llen(aside) == 1
    assert peer.run_all() == 2


def test_a_queue_whose_name_is_like_the_end_of_another_key_is_left_alone(ward: Ward) -> None:
    peer = ward.scene.peer(
        paused=GoJob(), lock=GoJob(), lock_info=GoJob(), max_concurrency=GoJob(), inprogress=GoJob()
    )
    beats(ward, peer)
    enqueuer = Enqueuer(ward.namespace, ward.url)
    for name in ("paused", "lock", "lock_info", "max_concurrency", "inprogress"):
        enqueuer.enqueue(name)
    assert ward.findings() == []
    assert peer.run_all() == 5


def test_d21_the_key_of_a_deleted_job_is_freed(ward: Ward) -> None:
    peer = ward.scene.peer()
    beats(ward, peer)
    job = peer.enqueue_unique_in_by_key("a", 5, {"v": 1}, {"k": 1})
    assert job is not None
    peer.delete_scheduled_job(job.run_at, job.job.id)
    assert peer.enqueue_unique_by_key("a", {"v": 1}, {"k": 1}) is None
    ward.repair("unique-key")
    assert peer.enqueue_unique_by_key("a", {"v": 1}, {"k": 1}) is not None


def test_jobs_without_a_handler_are_a_finding(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob())
    beats(ward, peer)
    Enqueuer(ward.namespace, ward.url).enqueue("other")
    (finding,) = ward.findings()
    assert (finding.check, finding.subject, finding.repairable) == ("no-handler", "other", False)


def test_a_dead_go_pool_is_recovered(ward: Ward) -> None:
    peer = ward.scene.peer(a=GoJob(), b=GoJob())
    peer.enqueue("a")
    peer.enqueue("b")
    assert peer.fetch() is not None
    peer.crash()
    ward.scene.clock.now -= 60
    peer.heartbeat()
    ward.repair("dead-pool")
    assert len(ward.scene.queue("a")) + len(ward.scene.queue("b")) == 2
    assert ward.scene.lock("a") == ward.scene.lock("b") == 0
