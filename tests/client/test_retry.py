"""Retried dead jobs come back as if they had never failed, and unique if their key is free."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.client.stage import ClientStage, raw_job
from tests.support.handlers import boom
from workkit import Job, NotRetried
from workkit.core import job as wire

DAY_S: Final = 86_400
TTL_SLACK_S: Final = 60
KEY: Final = {"k": 1}


def die(stage: ClientStage, **options: Any) -> tuple[int, Job]:
    """Let the queued jobs run and die."""
    pool = stage.pool(boom, max_fails=1, **options)
    pool.work()
    pool.step(pool.engine.dispatcher.leave())
    return stage.job_at("dead")


# The job


def test_a_retried_job_is_as_it_was_but_for_its_time_and_its_failures(stage: ClientStage) -> None:
    args = b'{ "n" : 1.0e2, "big":123456789012345678901234567890,"list":[ ] }'
    raw = (
        b'{"name":"mail","of_later":{"x": 1},"id":"x","t":17,"args":%b,"fails":4,'
        b'"err":"E: \\u003cboom\\u003e","failed_at":18}' % args
    )
    stage.lay("dead", {raw: 19})
    stage.client.retry_dead_job(19, "x")
    expected = b'{"name":"mail","of_later":{"x": 1},"id":"x","t":%d,"args":%b}'
    assert stage.queued() == [expected % (stage.clock.now_s, args)]
    assert stage.members("dead") == []
    assert stage.scene.dump()[f"{stage.namespace}:known_jobs"]["value"] == {"mail"}


def test_a_retried_job_runs_behind_those_that_wait(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue("mail")
    died_at, _ = die(stage)
    waiting = stage.enqueuer.enqueue("mail")
    stage.client.retry_dead_job(died_at, job.id)
    assert [wire.decode(raw).id for raw in stage.queued()] == [waiting.id, job.id]


def test_a_retried_job_has_all_its_tries_again(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue("mail")
    died_at, _ = die(stage)
    stage.client.retry_dead_job(died_at, job.id)
    stage.pool(boom, max_fails=2).work()
    _, failed = stage.job_at("retry")
    assert (failed.id, failed.fails) == (job.id, 1)


@pytest.mark.parametrize(("died_at", "job_id"), [(18, "x"), (17, "y"), (16, "x"), (17, "")])
def test_a_job_that_is_not_there_is_not_retried(
    stage: ClientStage, died_at: int, job_id: str
) -> None:
    stage.lay("dead", {raw_job("x"): 17})
    with pytest.raises(NotRetried, match=f"the dead set holds no job {job_id} at {died_at}"):
        stage.client.retry_dead_job(died_at, job_id)
    assert stage.members("dead") == [raw_job("x")]
    assert stage.queued() == []


def test_a_job_is_retried_once(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("x"): 17})
    stage.client.retry_dead_job(17, "x")
    with pytest.raises(NotRetried):
        stage.client.retry_dead_job(17, "x")
    assert len(stage.queued()) == 1


def test_just_the_job_with_that_time_and_id_is_retried(stage: ClientStage) -> None:
    others = {raw_job("x", args={"n": 2}): 18, raw_job("y"): 17, raw_job("z", "letter"): 17}
    stage.lay("dead", {raw_job("x"): 17, **others})
    stage.client.retry_dead_job(17, "x")
    assert set(stage.members("dead")) == set(others)
    assert [wire.decode(raw).args for raw in stage.queued()] == [None]


def test_a_job_whose_queue_has_a_wrong_type_stays_dead_and_the_queue_is_named(
    stage: ClientStage,
) -> None:
    stage.lay("dead", {raw_job("x"): 17})
    stage.redis.set(f"{stage.namespace}:jobs:mail", "a string")
    with pytest.raises(NotRetried, match="the key of queue 'mail' has a wrong type; rename or"):
        stage.client.retry_dead_job(17, "x")
    assert stage.members("dead") == [raw_job("x")]


def test_a_job_whose_name_nobody_knows_goes_to_a_new_queue(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("x", "new:name"): 17})
    stage.client.retry_dead_job(17, "x")
    assert [queue.job_name for queue in stage.client.queues()] == ["new:name"]


# Unique jobs


@pytest.mark.parametrize("by_key", [False, True])
def test_a_retried_unique_job_is_unique_again(stage: ClientStage, by_key: bool) -> None:
    def enqueue() -> Job | None:
        if by_key:
            return stage.enqueuer.enqueue_unique_by_key("mail", {"n": 1}, KEY)
        return stage.enqueuer.enqueue_unique("mail", KEY)

    job = enqueue()
    assert job is not None
    died_at, _ = die(stage)
    assert stage.held(stage.unique_key()) is None
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.queued() == [wire.splice(job.raw, t_ms=None)]
    assert stage.redis.ttl(stage.unique_key()) == pytest.approx(DAY_S, abs=TTL_SLACK_S)
    assert enqueue() is None
    pool = stage.pool()
    assert [execution.job.args for execution in pool.work()] == [job.args]
    assert stage.held(stage.unique_key()) is None
    assert enqueue() is not None


def test_where_a_newer_job_holds_the_key_the_retried_one_runs_without_it(
    stage: ClientStage,
) -> None:
    job = stage.enqueuer.enqueue_unique("mail", KEY)
    assert job is not None
    died_at, _ = die(stage)
    newer = stage.enqueuer.enqueue_unique_in("mail", 60, KEY)
    assert newer is not None
    stage.client.retry_dead_job(died_at, job.id)
    (raw,) = stage.queued()
    assert json.loads(raw) == {
        "name": "mail", "id": job.id, "t": stage.clock.now_s, "args": KEY,
    }  # fmt: skip
    stage.pool().work()
    assert stage.held(stage.unique_key()) == b"1"
    stage.client.delete_scheduled_job(newer.run_at, newer.job.id)
    assert stage.held(stage.unique_key()) is None


def test_an_update_under_the_key_of_a_retried_job_is_what_runs(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue_unique_by_key("mail", {"n": 1}, KEY)
    assert job is not None
    died_at, _ = die(stage)
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.enqueuer.enqueue_unique_by_key("mail", {"n": 2}, KEY) is None
    assert [execution.job.args for execution in stage.pool().work()] == [{"n": 2}]


def test_a_retried_unique_job_that_is_deleted_takes_its_key_along(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue_unique("mail", KEY)
    assert job is not None
    died_at, _ = die(stage)
    stage.client.retry_dead_job(died_at, job.id)
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) is None


def retried_until_done(stage: ClientStage) -> Job:
    job = stage.enqueuer.enqueue_unique("mail", KEY, until="done")
    assert job is not None
    died_at, _ = die(stage)
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.enqueuer.enqueue_unique("mail", KEY, until="done") is None
    return job


def test_a_retried_job_until_done_releases_its_key_when_it_is_done(stage: ClientStage) -> None:
    retried_until_done(stage)
    stage.pool().work()
    assert stage.held(stage.unique_key()) is None


def test_a_retried_job_until_done_that_is_deleted_takes_its_key_along(stage: ClientStage) -> None:
    job = retried_until_done(stage)
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) is None


def test_a_retried_unique_job_that_had_killed_its_pools_frees_its_key_when_it_begins(
    stage: ClientStage,
) -> None:
    job = stage.enqueuer.enqueue_unique("mail", KEY)
    assert job is not None
    pool = stage.pool()
    pool.claim()
    pool.close()
    stage.pool(name="other", max_recoveries=1).watch(20)
    died_at, _ = stage.job_at("dead")
    stage.client.retry_dead_job(died_at, job.id)
    assert stage.held(stage.unique_key()) is not None
    stage.pool().work()
    assert stage.held(stage.unique_key()) is None


# All at once


def test_each_job_of_the_dead_goes_to_its_own_queue(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n}", f"name{n % 3}"): n for n in range(30)})
    assert stage.client.retry_all_dead_jobs() == 30
    assert stage.members("dead") == []
    for name in range(3):
        ids = [int(wire.decode(raw).id) for raw in stage.queued(f"name{name}")]
        assert ids == list(range(name, 30, 3))


def test_of_two_dead_jobs_with_one_key_one_is_unique_again(stage: ClientStage) -> None:
    stage.lay("dead", {
        raw_job("a", args=KEY, unique=True, unique_key=stage.unique_key(), fails=1): 1,
        raw_job("b", args=KEY, unique=True, unique_key=stage.unique_key(), fails=1): 2,
    })  # fmt: skip
    assert stage.client.retry_all_dead_jobs() == 2
    assert [(job.id, job.unique) for job in map(wire.decode, stage.queued())] == [
        ("a", True), ("b", False),
    ]  # fmt: skip
    stage.pool().work()
    assert stage.held(stage.unique_key()) is None
