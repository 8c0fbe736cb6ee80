"""Queues, pools and workers through the client, with valid and with broken keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.stage import JUNK, ClientStage, raw_job
from tests.parity.gopeer import GoJob
from workkit import Queue, WorkerObservation
from workkit._version import __version__

PARTS = ("jobs:{}", "jobs:{}:paused", "jobs:{}:lock", "jobs:{}:max_concurrency")


# Queues


def test_an_empty_namespace_has_no_queues_and_no_pools(stage: ClientStage) -> None:
    assert stage.client.queues() == []
    assert stage.client.worker_pool_heartbeats() == []
    assert stage.client.worker_observations() == []


def test_queues_are_shown_by_name_with_their_length_and_the_age_of_the_next_job(
    stage: ClientStage,
) -> None:
    stage.enqueuer.enqueue("mail")
    stage.clock.advance(30)
    stage.enqueuer.enqueue("mail")
    stage.enqueuer.enqueue("letter")
    stage.enqueuer.enqueue_in("later", 60)
    stage.clock.advance(5)
    assert stage.client.queues() == [
        Queue("later", 0, 0),
        Queue("letter", 1, 5),
        Queue("mail", 2, 35),
    ]


@pytest.mark.parametrize("t", [0, -5, 10**12, 10**40])
def test_the_age_of_a_job_with_a_strange_time_is_never_negative(stage: ClientStage, t: int) -> None:
    stage.queue("mail", raw_job("x", t=t))
    (queue,) = stage.client.queues()
    assert queue.latency == (stage.clock.now_s + 5 if t == -5 else 0)


def test_running_jobs_and_limits_are_shown(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_many([("mail", None)] * 5)
    pool = stage.pool(max_concurrency=3)
    pool.claim()
    (queue,) = stage.client.queues()
    assert (queue.count, queue.running, queue.max_concurrency) == (2, 3, 3)
    while pool.runner.waiting:
        pool.runner.run()
    pool.work()
    (queue,) = stage.client.queues()
    assert (queue.count, queue.running, queue.max_concurrency) == (0, 0, 3)


@pytest.mark.parametrize("junk", ["", "x", "-3", "1.5"])
def test_counters_that_are_none_count_as_zero(stage: ClientStage, junk: str) -> None:
    stage.enqueuer.enqueue("mail")
    stage.redis.set(f"{stage.namespace}:jobs:mail:lock", junk)
    stage.redis.set(f"{stage.namespace}:jobs:mail:max_concurrency", junk)
    assert stage.client.queues() == [Queue("mail", 1, 0)]


@pytest.mark.parametrize("part", PARTS)
def test_a_queue_with_a_key_of_a_wrong_type_is_shown_as_broken_among_the_others(
    stage: ClientStage, part: str
) -> None:
    for name in ("a", "b", "c"):
        stage.enqueuer.enqueue(name)
    key = f"{stage.namespace}:{part.format('b')}"
    stage.redis.delete(key)
    stage.redis.hset(key, "field", "value")
    queues = stage.client.queues()
    assert [(queue.job_name, queue.broken) for queue in queues] == [
        ("a", False), ("b", True), ("c", False),
    ]  # fmt: skip
    assert [queue.count for queue in queues] == [1, 0 if part == "jobs:{}" else 1, 1]


@pytest.mark.parametrize("junk", JUNK)
def test_a_queue_whose_next_element_is_no_job_is_shown(stage: ClientStage, junk: bytes) -> None:
    stage.queue("mail", junk, raw_job("x"))
    assert stage.client.queues() == [Queue("mail", 2, 0)]


# Pausing


def test_a_paused_queue_gives_no_jobs_to_anybody_until_it_goes_on(stage: ClientStage) -> None:
    go = stage.scene.peer(mail=GoJob())
    pool = stage.pool()
    stage.enqueuer.enqueue("mail")
    stage.client.pause("mail")
    stage.client.pause("mail")
    assert stage.client.queues()[0].paused
    assert go.fetch() is None
    assert pool.work() == []

    assert stage.client.unpause("mail") is True
    assert stage.client.unpause("mail") is False
    assert not stage.client.queues()[0].paused
    assert go.fetch() is not None


def test_a_pause_that_a_go_service_has_taken_back_is_none(stage: ClientStage) -> None:
    stage.enqueuer.enqueue("mail")
    stage.redis.set(f"{stage.namespace}:jobs:mail:paused", "0")
    assert not stage.client.queues()[0].paused


def test_a_queue_can_be_paused_before_it_is_ever_used(stage: ClientStage) -> None:
    stage.client.pause("mail")
    stage.enqueuer.enqueue("mail")
    assert stage.client.queues() == [Queue("mail", 1, 0, paused=True)]


# Pools


def test_a_pool_is_shown_as_it_describes_itself(stage: ClientStage) -> None:
    started_at = stage.clock.now_s
    pool = stage.pool(name="mail")
    stage.enqueuer.enqueue_many([("mail", None)] * 3)
    pool.work()
    stage.clock.advance(3)
    pool.duty("heartbeat")
    (beat,) = stage.client.worker_pool_heartbeats()
    assert (beat.worker_pool_id, beat.job_names, beat.concurrency) == (pool.id, ["mail"], 10)
    assert (beat.started_at, beat.heartbeat_at) == (started_at, started_at + 3)
    assert len(beat.worker_ids) == 10
    assert beat.worker_ids == sorted(beat.worker_ids)
    assert beat.host
    assert beat.pid > 0
    assert beat.version == __version__
    assert beat.totals == {
        "busy": 0, "done": 3, "retried": 0, "postponed": 0, "died": 0, "discarded": 0,
        "returned": 0, "fenced": 0, "abandoned": 0,
    }  # fmt: skip


def test_pools_of_both_libraries_are_shown_by_id(stage: ClientStage) -> None:
    ours = stage.pool()
    stage.scene.peer("a-go-pool", b=GoJob(), a=GoJob())
    beats = {beat.worker_pool_id: beat for beat in stage.client.worker_pool_heartbeats()}
    assert list(beats) == sorted([ours.id, "a-go-pool"])
    go = beats["a-go-pool"]
    assert (go.job_names, go.concurrency, go.host, go.pid) == (["a", "b"], 2, "go-host", 4242)
    assert (go.started_at, go.heartbeat_at) == (stage.clock.now_s, stage.clock.now_s)
    assert (len(go.worker_ids), go.totals, go.version) == (2, {}, "")


def test_a_pool_whose_heartbeat_is_missing_has_zeros(stage: ClientStage) -> None:
    pool = stage.pool()
    stage.redis.delete(f"{stage.namespace}:worker_pools:{pool.id}")
    (beat,) = stage.client.worker_pool_heartbeats()
    assert (beat.worker_pool_id, beat.heartbeat_at, beat.started_at) == (pool.id, 0, 0)
    assert (beat.job_names, beat.worker_ids, beat.concurrency) == ([], [], 0)
    assert (beat.host, beat.pid, beat.totals, beat.version) == ("", 0, {}, "")
    assert stage.client.worker_observations() == []


@pytest.mark.parametrize(
    "junk",
    [
        {"heartbeat_at": "soon", "pid": "1.5", "concurrency": "", "host": b"\xff"},
        {"job_names": ",,b,,a,", "worker_ids": ","},
        {"of_a_later_version": "x"},
        None,
    ],
)
def test_a_heartbeat_that_is_junk_hides_no_other(
    stage: ClientStage, junk: dict[str, Any] | None
) -> None:
    pool = stage.pool()
    stage.redis.sadd(f"{stage.namespace}:worker_pools", "junk")
    if junk is None:
        stage.redis.set(f"{stage.namespace}:worker_pools:junk", "a string")
    else:
        stage.redis.hset(f"{stage.namespace}:worker_pools:junk", mapping=junk)
    beats = {beat.worker_pool_id: beat for beat in stage.client.worker_pool_heartbeats()}
    assert set(beats) == {pool.id, "junk"}
    assert (beats["junk"].heartbeat_at, beats["junk"].pid, beats["junk"].concurrency) == (0, 0, 0)
    assert beats["junk"].job_names == (["a", "b"] if junk and "job_names" in junk else [])
    assert len(stage.client.worker_observations()) == 10


# Workers


def test_a_busy_worker_shows_its_job_and_its_checkin_and_a_free_one_nothing(
    stage: ClientStage,
) -> None:
    pool = stage.pool()
    job = stage.enqueuer.enqueue("mail", {"n": 10**20, "list": []})
    pool.claim()
    running = pool.runner.begin()
    stage.clock.advance(2)
    running.job.checkin("page 1 of 2")
    pool.duty("observer")
    seen = {found.worker_id: found for found in stage.client.worker_observations()}
    assert len(seen) == 10
    busy = seen.pop(running.worker_id)
    assert (busy.is_busy, busy.job_name, busy.job_id) == (True, "mail", job.id)
    assert busy.args_json == '{"list":[],"n":100000000000000000000}'
    assert (busy.started_at, busy.checkin_at) == (stage.clock.now_s - 2, stage.clock.now_s)
    assert busy.checkin == "page 1 of 2"
    assert list(seen.values()) == [WorkerObservation(worker_id) for worker_id in seen]


def test_workers_of_a_go_pool_are_shown_too(stage: ClientStage) -> None:
    go = stage.scene.peer("go", mail=GoJob())
    go.enqueue("mail", {"n": 1})
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    go.checkin(claim, "half")
    go.observe()
    busy = [found for found in stage.client.worker_observations() if found.is_busy]
    assert busy == [
        WorkerObservation(
            claim.worker.id, is_busy=True, job_name="mail", job_id=claim.job.id,
            started_at=stage.clock.now_s, args_json='{"n":1}', checkin="half",
            checkin_at=stage.clock.now_s,
        )
    ]  # fmt: skip


def test_an_observation_of_a_wrong_type_is_that_of_a_free_worker(stage: ClientStage) -> None:
    pool = stage.pool()
    worker_id = pool.engine.identity.worker_ids[0]
    stage.redis.set(f"{stage.namespace}:worker:{worker_id}", "a string")
    assert WorkerObservation(worker_id) in stage.client.worker_observations()
