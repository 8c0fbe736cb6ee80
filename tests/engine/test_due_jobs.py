"""Jobs that wait for their time: scheduled ones, and those that are tried again."""

from __future__ import annotations

import datetime
import json

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import Notes
from tests.engine.stage import EngineStage
from tests.support.handlers import nothing
from workkit import Client, Enqueuer, Job, ServerRefused
from workkit.core import job as wire
from workkit.core.clock import SystemClock
from workkit.store import scripts

BATCH = 500


def due_seconds(client: Client, due: dict[str, int]) -> set[int]:
    """Return in which second after the one they were due in jobs have started."""
    started = {
        record.job_id: record.started_ms // 1000
        for record in client.history()
        if record.outcome == "done"
    }
    return {started[job_id] - second for job_id, second in due.items()}


# In real time.


def test_scheduled_jobs_start_in_their_second_or_the_next(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, ran = make_pool(concurrency=5), Notes()
    pool.job("work", ran)
    now_s = SystemClock().read().epoch_ms / 1000
    with pool:
        moment = datetime.datetime.fromtimestamp(now_s + 1.5, datetime.UTC)
        scheduled = [
            enqueuer.enqueue_in("work", 1),
            enqueuer.enqueue_in("work", 0),
            enqueuer.enqueue_in("work", 1.2),
            enqueuer.enqueue_at("work", moment),
            enqueuer.enqueue_at("work", now_s + 2),
        ]
        ran.wait_for(5)
    due = {entry.job.id: entry.run_at for entry in scheduled}
    assert due_seconds(client, due) <= {0, 1}


def test_retried_jobs_start_in_their_second_or_the_next(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, ran = make_pool(concurrency=2), Notes()

    @pool.job(backoff=lambda job: 1)
    def work(job: Job) -> None:
        if not job.fails:
            raise ValueError
        ran()

    jobs = [enqueuer.enqueue("work") for _ in range(3)]
    with pool:
        ran.wait_for(3)
    failed = {
        record.job_id: record.finished_ms // 1000
        for record in client.history()
        if record.outcome == "retry"
    }
    assert due_seconds(client, {job.id: failed[job.id] + 1 for job in jobs}) <= {0, 1}


# In virtual time.


def test_a_job_is_not_moved_a_second_before_it_is_due_and_at_once_when_it_is(
    stage: EngineStage,
) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    entry = stage.enqueuer.enqueue_in("work", 60, {"n": 1})
    stage.clock.advance(59)
    pool.duty("requeuer")
    assert stage.waiting("work") == []
    stage.clock.advance(1)
    pool.duty("requeuer")
    (queued,) = stage.client.iter_queued_jobs("work")
    assert (queued.job.id, queued.job.args) == (entry.job.id, {"n": 1})
    assert queued.job.enqueued_at == stage.clock.now_s
    assert stage.client.scheduled_jobs().total == 0


def test_a_fraction_of_a_second_never_makes_a_job_early(stage: EngineStage) -> None:
    stage.clock.advance(0.7)
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_in("work", 0.5)
    for _ in range(13):
        pool.duty("requeuer")
        assert stage.waiting("work") == []
        stage.clock.advance(0.1)
    pool.duty("requeuer")
    assert len(stage.waiting("work")) == 1


def test_the_requeuer_comes_back_when_the_next_job_is_due(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    assert pool.duty("requeuer") == 1
    stage.enqueuer.enqueue_in("work", 1)
    stage.clock.advance(0.75)
    assert pool.duty("requeuer") == pytest.approx(0.25)


def test_a_job_that_was_due_has_the_millisecond_in_which_it_was_queued(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_in("work", 5)
    stage.clock.advance(7.25)
    pool.duty("requeuer")
    (raw,) = stage.redis.lrange(stage.key("jobs:work"), 0, -1)
    job = wire.read(raw)
    assert (job.enqueued_at, job.stamp_ms) == (stage.clock.now_s, stage.clock.epoch_ms)


def test_due_jobs_are_moved_in_batches_the_earliest_first(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    entries = [stage.enqueuer.enqueue_in("work", 1 + n % 7, {"n": n}) for n in range(1_200)]
    stage.enqueuer.enqueue_in("work", 100)
    stage.clock.advance(10)
    moved = []
    while pool.duty("requeuer") == 0:
        moved.append(len(stage.waiting("work")))
    moved.append(len(stage.waiting("work")))
    assert moved == [500, 1_000, 1_200]
    order = sorted(entries, key=lambda entry: (entry.run_at, entry.job.raw))
    assert stage.waiting("work") == [entry.job.id for entry in order]
    assert stage.client.scheduled_jobs().total == 1


def test_jobs_of_every_name_are_moved_whoever_knows_them(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("known", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_in("of another service", 1)
    stage.clock.advance(1)
    pool.duty("requeuer")
    assert len(stage.waiting("of another service")) == 1
    assert "of another service" in {queue.job_name for queue in stage.client.queues()}
    assert stage.client.dead_jobs().total == 0


def test_two_requeuers_move_every_job_once(stage: EngineStage) -> None:
    pools = []
    for _ in range(2):
        worker = stage.pool()
        worker.job("work", nothing)
        pools.append(stage.stepped(worker))
    for _ in range(100):
        stage.enqueuer.enqueue_in("work", 1)
    stage.clock.advance(1)
    steps = {pool: pool.engine.requeuer.step(stage.clock.read()) for pool in pools}
    exchanges = {pool: next(step) for pool, step in steps.items()}
    pages = 0
    while exchanges:
        # Side by side, so that both have read the same page before either moves it.
        replies = {pool: pool.link.send(e.commands) for pool, e in exchanges.items()}
        pages += sum(isinstance(r[0], list) and len(r[0]) == 200 for r in replies.values())
        for pool, reply in replies.items():
            try:
                exchanges[pool] = steps[pool].send(reply)
            except StopIteration:
                del exchanges[pool]
    assert pages == 2
    assert len(set(stage.waiting("work"))) == len(stage.waiting("work")) == 100


def test_a_pool_leaves_due_jobs_to_a_faster_one_until_that_is_gone(stage: EngineStage) -> None:
    pools = []
    for _ in range(2):
        worker = stage.pool()
        worker.job("work", nothing)
        pools.append(stage.stepped(worker))
    fast, slow = (pool.engine.requeuer for pool in pools)
    for _ in range(3):
        stage.enqueuer.enqueue_in("work", 1)
    stage.clock.advance(1)
    step = slow.step(stage.clock.read())
    trip = next(step)
    while trip.commands[0][0] is not scripts.MOVE:
        trip = step.send(pools[1].link.send(trip.commands))
    pools[0].duty("requeuer")  # while the other is about to move what it has read
    with pytest.raises(StopIteration):
        while True:
            trip = step.send(pools[1].link.send(trip.commands))
    assert fast.courtesy_s == 0
    assert 0 < slow.courtesy_s < 0.1
    # The faster one is gone.
    stage.enqueuer.enqueue_in("work", 1)
    stage.clock.advance(1)
    pools[1].duty("requeuer")
    assert len(stage.waiting("work")) == 4
    assert slow.courtesy_s == 0


@pytest.mark.parametrize("place", ["scheduled", "retry"])
def test_a_set_of_a_wrong_type_is_reported_by_the_requeuer(stage: EngineStage, place: str) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.redis.set(stage.key(place), "no set")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        pool.duty("requeuer")


def test_what_is_no_job_is_buried_and_holds_up_nobody(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    junk = {f"junk {n}".encode(): stage.clock.now_s - 5 for n in range(3)}
    stage.redis.zadd(stage.key("scheduled"), junk)
    stage.redis.zadd(stage.key("retry"), {b'{"id":"x","t":1.5}': stage.clock.now_s})
    entry = stage.enqueuer.enqueue_in("work", 0)
    pool.duty("requeuer")
    assert stage.waiting("work") == [entry.job.id]
    dead = stage.client.dead_jobs()
    assert dead.total == 4
    assert {entry.job.name for entry in dead.jobs} == {"scheduled", "retry"}


def test_jobs_whose_queue_is_unusable_stay_and_those_behind_them_are_moved(
    stage: EngineStage,
) -> None:
    worker = stage.pool()
    worker.job("fine", nothing)
    pool = stage.stepped(worker)
    stage.redis.set(stage.key("jobs:broken"), "no list")
    for n in range(BATCH + 20):
        stage.enqueuer.enqueue_in("broken", 1, {"n": n})
    stage.enqueuer.enqueue_in("fine", 2)
    stage.clock.advance(2)
    for _ in range(3):
        pool.duty("requeuer")
    assert len(stage.waiting("fine")) == 1
    assert stage.client.scheduled_jobs().total == BATCH + 20
    stage.redis.delete(stage.key("jobs:broken"))
    while pool.duty("requeuer") == 0:
        pass
    pool.duty("requeuer")
    assert len(stage.waiting("broken")) == BATCH + 20


def test_args_come_through_schedule_and_retry_byte_for_byte(stage: EngineStage) -> None:
    worker = stage.pool()

    @worker.job
    def work(job: Job) -> None:
        raise ValueError

    pool = stage.stepped(worker)
    args = {"big": 2**70, "exact": 0.12345678901234567, "empty": [], "nested": [[]], "s": "/<é"}
    stage.enqueuer.enqueue_in("work", 1, args)
    stage.clock.advance(1)
    pool.duty("requeuer")
    pool.work()
    stage.clock.advance(100)
    pool.duty("requeuer")
    (queued,) = stage.client.iter_queued_jobs("work")
    assert queued.job.args == args
    assert b'"args":{"big":1180591620717411303424,' in queued.job.raw
    assert json.loads(queued.job.raw)["fails"] == 1
