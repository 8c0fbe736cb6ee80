"""D18, D21, D22: names that break other keys, keys that stay behind, partial enqueuing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from tests.parity.defects.stage import ParityStage
from tests.parity.gopeer import GoJob, GoPeer
from tests.support.handlers import boom, nothing
from workkit import (
    AsyncEnqueuer,
    Enqueuer,
    InvalidName,
    Job,
    NotDeleted,
    ServerRefused,
)

if TYPE_CHECKING:
    from redis import Redis

RESERVED = [
    "x,y",
    "a:paused",
    "a:lock",
    "a:lock_info",
    "a:max_concurrency",
    "a:0123456789abcdef01234567:inprogress",
]
ENQUEUE: dict[str, Callable[[Any, str], object]] = {
    "enqueue": lambda enqueuer, name: enqueuer.enqueue(name),
    "enqueue_in": lambda enqueuer, name: enqueuer.enqueue_in(name, 5),
    "enqueue_at": lambda enqueuer, name: enqueuer.enqueue_at(name, 5),
    "enqueue_many": lambda enqueuer, name: enqueuer.enqueue_many([(name, None)]),
    "enqueue_unique": lambda enqueuer, name: enqueuer.enqueue_unique(name),
    "enqueue_unique_in": lambda enqueuer, name: enqueuer.enqueue_unique_in(name, 5),
    "enqueue_unique_by_key": lambda enqueuer, name: enqueuer.enqueue_unique_by_key(
        name, {"v": 1}, {"k": 1}
    ),
    "enqueue_unique_in_by_key": lambda enqueuer, name: enqueuer.enqueue_unique_in_by_key(
        name, 5, {"v": 1}, {"k": 1}
    ),
}


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


# D18: what a job may be called


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("how", ENQUEUE)
def test_d18_a_name_that_is_another_key_is_not_enqueued(
    stage: ParityStage, how: str, name: str
) -> None:
    with pytest.raises(InvalidName):
        ENQUEUE[how](stage.enqueuer, name)
    assert list(stage.redis.scan_iter(f"{stage.namespace}:*", count=1000)) == []


@pytest.mark.one_server
@pytest.mark.parametrize("name", RESERVED)
def test_d18_a_name_that_is_another_key_cannot_be_registered(stage: ParityStage, name: str) -> None:
    pool = stage.worker_pool()
    with pytest.raises(InvalidName):
        pool.job(name, nothing)
    with pytest.raises(InvalidName):
        pool.periodically_enqueue("@daily", name)
    for act in (stage.client.pause, stage.client.unpause):
        with pytest.raises(InvalidName):
            act(name)


@pytest.mark.parametrize("suffix", ["paused", "lock", "max_concurrency"])
def test_d18_a_go_enqueuer_that_uses_such_a_name_stops_one_queue_only(
    stage: ParityStage, suffix: str
) -> None:
    alone = stage.elsewhere().peer(a=GoJob(max_concurrency=9), b=GoJob())
    stage.redis.delete(alone.keys.max_concurrency("a"))
    for go in (alone, stage.go()):
        for name in (f"a:{suffix}", "a", "b"):
            go.enqueue(name)
    assert alone.fetch(["a", "b"]) is None
    assert [error.where for error in alone.errors] == ["fetch"]

    pool = stage.pool({"a": nothing, "b": nothing})
    if suffix == "lock":  # it decides only beside a limit
        stage.redis.set(stage.go_keys.max_concurrency("a"), 9)
    ran = [execution.job.name for execution in pool.work()]

    assert ran == ["b"]
    assert [queue.broken for queue in stage.client.queues() if queue.job_name == "a"] == [True]
    stage.redis.delete(stage.key(f"jobs:a:{suffix}"))
    stage.advance(1)
    assert [execution.job.name for execution in pool.work()] == ["a"]


def test_d18_the_jobs_of_a_dead_go_pool_come_back_though_their_name_holds_a_comma(
    stage: ParityStage,
) -> None:
    alone = stage.elsewhere()
    comma: Any = {"x,y": GoJob()}
    for go in (alone.peer("p1", **comma), stage.go("p1", **comma)):
        go.enqueue("x,y")
        assert go.fetch() is not None
        go.crash()
    reaper = stage.pool({"a": nothing})
    stage.watch(reaper)

    go = alone.peer("p2", a=GoJob())
    assert go.reap_step() == ["p1"]

    assert (len(alone.queue("x,y")), len(alone.in_progress("x,y"))) == (0, 1)
    assert (len(stage.queue("x,y")), len(stage.held("x,y")), stage.lock("x,y")) == (1, 0, 0)


# D21: what a deleted job leaves behind


@pytest.mark.parametrize("by", ["go", "workkit"])
@pytest.mark.parametrize("key", [None, {"k": 1}], ids=["by_args", "by_key"])
def test_d21_deleting_a_scheduled_job_lets_the_next_one_in(
    stage: ParityStage, by: str, key: dict[str, Any] | None
) -> None:
    maker = stage.go() if by == "go" else stage.enqueuer
    alone = stage.elsewhere().peer()
    for enqueuer in (alone, maker):
        first = schedule(enqueuer, key)
        assert first is not None
        assert schedule(enqueuer, key) is None
        (alone if enqueuer is alone else stage.client).delete_scheduled_job(
            first.run_at, first.job.id
        )

    assert (schedule(alone, key) is None) == (key is not None)  # the original's defect
    assert schedule(maker, key) is not None


def schedule(enqueuer: GoPeer | Enqueuer, key: dict[str, Any] | None) -> Any:
    if key is None:
        return enqueuer.enqueue_unique_in("a", 60, {"v": 1})
    return enqueuer.enqueue_unique_in_by_key("a", 60, {"v": 1}, key)


def test_d21_deleting_a_queued_job_lets_the_next_one_in(stage: ParityStage) -> None:
    first = stage.enqueuer.enqueue_unique_by_key("a", {"v": 1}, {"k": 1})
    assert first is not None

    stage.client.delete_queued_job("a", first.id)

    assert stage.enqueuer.enqueue_unique_by_key("a", {"v": 2}, {"k": 1}) is not None


@pytest.mark.parametrize("max_fails", [1, 2], ids=["dead", "retry"])
def test_d21_deleting_a_failed_job_leaves_the_key_to_the_one_that_has_it(
    stage: ParityStage, max_fails: int
) -> None:
    pool = stage.pool({"a": boom}, max_fails=max_fails, backoff=lambda _job: 60)
    stage.enqueuer.enqueue_unique("a")
    pool.work()
    second = stage.enqueuer.enqueue_unique("a")
    assert second is not None

    if max_fails == 1:
        (died,) = stage.client.dead_jobs().jobs
        stage.client.delete_dead_job(died.died_at, died.job.id)
    else:
        (waits,) = stage.client.retry_jobs().jobs
        stage.client.delete_retry_job(waits.retry_at, waits.job.id)
        with pytest.raises(NotDeleted):
            stage.client.delete_retry_job(waits.retry_at, waits.job.id)

    assert stage.enqueuer.enqueue_unique("a") is None
    assert stage.ids("a") == [second.id]


@pytest.mark.parametrize("how", [how for how in ENQUEUE if "unique" in how])
def test_d21_a_refused_duplicate_does_not_prolong_the_key(stage: ParityStage, how: str) -> None:
    go = stage.elsewhere().peer()
    for enqueuer in (go, stage.enqueuer):
        first: Any = ENQUEUE[how](enqueuer, "a")
        job: Job = first.job if hasattr(first, "job") else first
        stage.redis.expire(job.unique_key, 10)
        assert ENQUEUE[how](enqueuer, "a") is None
        left_s = stage.redis.ttl(job.unique_key)
        assert left_s > 10 if enqueuer is go else 0 < left_s <= 10
        if enqueuer is go:
            continue
        stage.redis.delete(job.unique_key)  # its time is over
        assert ENQUEUE[how](enqueuer, "a") is not None


# D22: all of it or nothing


@pytest.mark.parametrize("how", ENQUEUE)
def test_d22_an_enqueue_that_fails_has_enqueued_nothing(stage: ParityStage, how: str) -> None:
    go = stage.elsewhere().peer()
    stage.redis.set(go.keys.known_jobs, "no set")
    with pytest.raises(ResponseError):
        go.enqueue("a")
    assert stage.redis.llen(go.keys.queue("a")) == 1
    stage.redis.set(stage.go_keys.known_jobs, "no set")

    with pytest.raises(ServerRefused):
        ENQUEUE[how](stage.enqueuer, "a")

    left = set(stage.redis.scan_iter(f"{stage.namespace}:*", count=1000))
    assert {key for key in left if b":alone:" not in key} == {stage.go_keys.known_jobs.encode()}


def test_d22_an_async_enqueue_that_fails_has_enqueued_nothing(stage: ParityStage) -> None:
    stage.redis.set(stage.go_keys.known_jobs, "no set")

    async def run() -> None:
        enqueuer = AsyncEnqueuer(stage.namespace, stage.url)
        try:
            with pytest.raises(ServerRefused):
                await enqueuer.enqueue("a")
        finally:
            await enqueuer.close()

    asyncio.run(run())
    assert list(stage.redis.scan_iter(f"{stage.namespace}:*", count=1000)) == [
        stage.go_keys.known_jobs.encode()
    ]


@pytest.mark.parametrize("how", ENQUEUE)
def test_d22_lost_data_hides_no_queue(stage: ParityStage, how: str) -> None:
    go = stage.elsewhere().peer()
    for enqueuer in (go, stage.enqueuer):
        enqueuer.enqueue("a")
    stage.lose_data()
    for enqueuer in (go, stage.enqueuer):
        enqueuer.enqueue("a")
        ENQUEUE[how](stage.enqueuer, "a")

    assert go.queues() == []
    assert [queue.job_name for queue in stage.client.queues()] == ["a"]
