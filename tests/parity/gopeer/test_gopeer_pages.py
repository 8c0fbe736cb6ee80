"""The pages of the original, as the Go peer reads them: strictly, and all or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.parity.gopeer import (
    Clock,
    GoDecodeError,
    GoJob,
    GoJobRecord,
    GoReplyError,
    NothingDeletedError,
    NothingRetriedError,
    Scene,
)
from tests.support.handlers import boom

if TYPE_CHECKING:
    from redis import Redis

NOW = 1_700_000_000


@pytest.fixture
def scene(redis_client: Redis, namespace: str) -> Scene:
    return Scene(redis_client, namespace, Clock(NOW))


def test_one_member_that_go_cannot_read_makes_a_page_unreadable(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    good = GoJobRecord(name="a", id="x", err="e").encode()
    scene.redis.zadd(peer.keys.dead, {good: NOW})
    assert [(dead.died_at, dead.job.id) for dead in peer.dead_jobs().jobs] == [(NOW, "x")]
    scene.redis.zadd(peer.keys.dead, {'{"t":1.5}': NOW})
    with pytest.raises(GoDecodeError):
        peer.dead_jobs()


def test_a_score_with_a_fraction_makes_a_page_unreadable(scene: Scene) -> None:
    peer = scene.peer()
    scene.redis.zadd(peer.keys.retry, {GoJobRecord(name="a").encode(): NOW + 0.5})
    with pytest.raises(GoDecodeError):
        peer.retry_jobs()


def test_one_queue_that_cannot_be_shown_keeps_dead_jobs_dead(scene: Scene) -> None:
    peer = scene.peer(a=GoJob(), b=GoJob())
    scene.redis.zadd(peer.keys.dead, {GoJobRecord(name="a", id="x").encode(): NOW})
    peer.enqueue("a")
    scene.clock.now += 7
    assert [(queue.job_name, queue.count, queue.latency) for queue in peer.queues()] == [
        ("a", 1, 7),
        ("b", 0, 0),
    ]
    scene.redis.lpush(peer.keys.queue("b"), "junk")
    with pytest.raises(GoDecodeError):
        peer.retry_dead_job(NOW, "x")


def test_dead_jobs_of_unknown_names_hide_those_behind_them(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    dead = {GoJobRecord(name="gone", id=str(i)).encode(): NOW - 1 for i in range(1000)}
    dead[GoJobRecord(name="a", id="x").encode()] = NOW
    scene.redis.zadd(peer.keys.dead, dead)

    peer.retry_all_dead_jobs()

    assert scene.queue("a") == []
    assert set(scene.members("dead").values()) == {NOW, NOW + 5}


def test_a_dead_job_is_retried_without_its_failure(scene: Scene) -> None:
    peer = scene.peer(a=GoJob(max_fails=1, handler=boom))
    job = peer.enqueue("a")
    peer.run_all()
    with pytest.raises(NothingRetriedError):
        peer.retry_dead_job(NOW, "other")

    peer.retry_dead_job(NOW, job.id)

    (raw,) = scene.queue("a")
    assert json.loads(raw) == {"name": "a", "id": job.id, "t": NOW, "args": None}
    with pytest.raises(NothingDeletedError):
        peer.delete_dead_job(NOW, job.id)


def test_a_delete_hides_why_it_failed(scene: Scene) -> None:
    peer = scene.peer()
    scene.redis.zadd(peer.keys.retry, {"junk": NOW})
    with pytest.raises(GoReplyError):
        peer.delete_retry_job(NOW, "x")


def test_the_pages_show_pools_and_what_their_workers_do(scene: Scene) -> None:
    peer = scene.peer(b=GoJob(), a=GoJob(handler=lambda job: job.checkin("half")))
    scene.redis.hset(peer.keys.heartbeat("p1"), "a_field_of_others", "is skipped")
    peer.enqueue("a", {"n": 1})
    claim = peer.fetch()
    assert claim is not None
    peer.begin(claim)
    peer.checkin(claim, "half")

    (beat,) = peer.worker_pool_heartbeats()
    assert (beat.job_names, beat.concurrency, beat.heartbeat_at) == (["a", "b"], 2, NOW)
    before = {seen.worker_id: seen for seen in peer.worker_observations()}
    assert before[claim.worker.id].is_busy
    assert before[claim.worker.id].checkin == ""
    peer.observe()
    after = {seen.worker_id: seen for seen in peer.worker_observations()}
    assert after[claim.worker.id].checkin == "half"
    assert after[claim.worker.id].args_json == '{"n":1}'
    scene.redis.hset(peer.keys.heartbeat("p1"), "pid", "1.5")
    with pytest.raises(GoDecodeError):
        peer.worker_pool_heartbeats()
