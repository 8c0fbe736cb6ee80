"""The overview of a namespace, its cron entries, and why a job is not running."""

from __future__ import annotations

import json

import pytest

from tests.client.stage import ClientStage, raw_job
from workkit import Client, DeadJob, Found, QueuedJob, RetryJob, ScheduledJob
from workkit.admin.explain import why
from workkit.admin.reader import Reader
from workkit.admin.steps.survey import overview
from workkit.core import job as wire
from workkit.core.records import Place, Placed

CRON = "*/10 * * * * *"


def as_reader(client: Client) -> Reader:
    """Type checkers check here that a client is a reader."""
    return client


# Overview


def test_a_client_is_a_reader(stage: ClientStage) -> None:
    assert isinstance(as_reader(stage.client), Reader)
    assert stage.client.live
    assert stage.client.label.startswith(f"{stage.namespace} at ")
    assert stage.client.now_s() == stage.clock.now_s


def test_an_overview_has_sizes_and_the_next_due_times(stage: ClientStage) -> None:
    stage.enqueuer.enqueue("mail")
    stage.lay("scheduled", {raw_job("s1"): 20, raw_job("s2"): 10})
    stage.lay("retry", {raw_job("r1"): 30.5})
    stage.lay("dead", {raw_job(f"d{n}"): n for n in range(5)})
    pool = stage.pool()
    pool.claim()
    stage.enqueuer.enqueue_many([("mail", None)] * 3)
    seen = stage.client.overview()
    assert (seen.queued, seen.running) == (3, 1)
    assert (seen.scheduled, seen.retry, seen.dead) == (2, 1, 5)
    assert (seen.next_scheduled_at, seen.next_retry_at) == (10, 30)
    assert seen.queues == stage.client.queues()
    assert seen.pools == stage.client.worker_pool_heartbeats()
    assert seen.taken_at == stage.clock.now_s
    assert [seen.size(Place(kind)) for kind in ("scheduled", "retry", "dead")] == [2, 1, 5]
    assert seen.size(Place("queued", "mail")) == 3
    assert seen.size(Place("queued", "letter")) == 0


def test_an_overview_of_an_empty_namespace_is_empty(stage: ClientStage) -> None:
    seen = stage.client.overview()
    assert (seen.queues, seen.pools) == ([], [])
    assert (seen.queued, seen.running, seen.scheduled, seen.retry, seen.dead) == (0, 0, 0, 0, 0)
    assert (seen.next_scheduled_at, seen.next_retry_at, seen.executions) == (None, None, 0)


@pytest.mark.one_server
@pytest.mark.parametrize("queues", [1, 50])
def test_the_number_of_round_trips_does_not_depend_on_the_size(
    stage: ClientStage, queues: int
) -> None:
    for n in range(queues):
        stage.queue(f"mail{n}", *(raw_job(f"{n}-{m}") for m in range(queues)))
    stage.lay("dead", {raw_job(f"{n}"): n for n in range(queues)})
    stage.pool()
    link = stage.link()
    link.carry(overview(stage.keys, stage.clock.epoch_ms))
    assert len(link.sent) == 3


def test_only_the_requested_workers_are_read(stage: ClientStage) -> None:
    pool = stage.pool()
    (beat,) = stage.client.worker_pool_heartbeats()
    worker = beat.worker_ids[0]
    assert [w.worker_id for w in stage.client.worker_observations([worker])] == [worker]
    assert stage.client.worker_observations([]) == []
    pool.close()


# Cron


def test_cron_entries_have_their_next_slots_and_the_state_of_the_last(
    stage: ClientStage,
) -> None:
    now = stage.clock.now_s
    field = json.dumps(["report", CRON])
    stage.redis.hset(stage.keys.periodic_seen, field, now - 3)
    stage.redis.hset(stage.keys.periodic, field, now + 240)
    stage.redis.set(stage.keys.slot(f"periodic:report:{CRON}:{now - 10}"), "started:abc")
    (entry,) = stage.client.cron()
    assert (entry.job_name, entry.spec) == ("report", CRON)
    assert (entry.seen_at, entry.planned_until) == (now - 3, now + 240)
    assert entry.next_slots == tuple(now + 10 * n for n in range(1, 6))
    assert (entry.last_slot, entry.last_state) == (now - 10, "started")


def test_an_unreadable_cron_entry_is_shown_unchanged(stage: ClientStage) -> None:
    stage.redis.hset(stage.keys.periodic, "junk", 5)
    stage.redis.hset(stage.keys.periodic, '["a", "no spec"]', 5)
    entries = stage.client.cron()
    assert [(entry.job_name, entry.spec) for entry in entries] == [("a", "no spec"), ("junk", "")]
    assert [entry.next_slots for entry in entries] == [(), ()]
    assert [entry.last_slot for entry in entries] == [None, None]


# Why a job is not running


def reasons(stage: ClientStage, placed: Placed) -> str:
    return "; ".join(why(placed, stage.client.circumstances(placed)))


def first(stage: ClientStage, place: Place) -> Placed:
    return stage.client.jobs(place).jobs[0]


def test_jobs_ahead_in_the_queue_are_a_reason(stage: ClientStage) -> None:
    stage.pool()
    stage.enqueuer.enqueue_many([("mail", None)] * 3)
    waiting = stage.client.jobs(Place("queued", "mail")).jobs
    assert reasons(stage, waiting[0]).startswith("nothing holds it")
    assert reasons(stage, waiting[2]) == "2 jobs of its queue run before it"


def test_a_missing_live_pool_is_a_reason(stage: ClientStage) -> None:
    stage.enqueuer.enqueue("mail")
    placed = first(stage, Place("queued", "mail"))
    assert reasons(stage, placed) == "no pool is running"
    stage.pool(name="letter")
    assert reasons(stage, placed) == "no live pool handles jobs called 'mail'"
    stage.pool(name="mail")
    assert reasons(stage, placed).startswith("nothing holds it")
    stage.clock.advance(65)
    assert reasons(stage, placed).endswith(", 1m 5s ago")


def test_pause_and_limit_are_reasons_and_the_holders_are_named(stage: ClientStage) -> None:
    pool = stage.pool(max_concurrency=1)
    stage.enqueuer.enqueue_many([("mail", None)] * 2)
    pool.claim()
    stage.client.pause("mail")
    (beat,) = stage.client.worker_pool_heartbeats()
    assert reasons(stage, first(stage, Place("queued", "mail"))) == (
        "queue 'mail' is paused; "
        f"the limit of 'mail' is reached: 1 of 1 run (1 on {beat.host}:{beat.pid})"
    )


def test_a_due_time_in_the_future_is_a_reason(stage: ClientStage) -> None:
    stage.pool()
    now = stage.clock.now_s
    job = wire.decode(raw_job("x"))
    stage.lay("scheduled", {job.raw: now + 90})
    stage.lay("retry", {job.raw: now + 90})
    assert reasons(stage, ScheduledJob(now + 90, job)) == "it is due in 1m 30s"
    assert reasons(stage, RetryJob(now + 90, job)) == "it is tried again in 1m 30s"
    assert "about to be moved" in reasons(stage, ScheduledJob(now - 3, job))
    stage.clock.advance(60)
    assert "no live pool is there to move it" in reasons(stage, ScheduledJob(now - 3, job))


def test_the_reason_of_a_dead_job_says_how_it_died(stage: ClientStage) -> None:
    dead = DeadJob(stage.clock.now_s - 60, wire.decode(raw_job("x", fails=4)))
    stage.lay("dead", {dead.job.raw: dead.died_at})
    assert reasons(stage, dead).startswith("it died 1m 0s ago after it had failed 4 times")


def test_a_unique_key_held_by_another_job_is_a_reason(stage: ClientStage) -> None:
    stage.pool()
    key = stage.unique_key()
    stage.enqueuer.enqueue_unique("mail", {"k": 1})
    mine = first(stage, Place("queued", "mail"))
    assert reasons(stage, mine).startswith("nothing holds it")
    stage.hold(key, raw_job("other"))
    assert "its unique key holds a newer payload" in reasons(stage, mine)
    failed = raw_job("x", args={"k": 1}, unique=True, unique_key=key, fails=2)
    stage.lay("dead", {failed: 1})
    assert "another job holds its unique key" in reasons(stage, DeadJob(1, wire.decode(failed)))


def test_a_running_job_needs_no_reason(stage: ClientStage) -> None:
    assert reasons(stage, Found("running", wire.decode(raw_job("x")), pool_id="p")) == ""


def test_a_broken_queue_is_a_reason(stage: ClientStage) -> None:
    stage.pool()
    stage.redis.set(stage.keys.jobs("mail"), "no list")
    stage.redis.sadd(stage.keys.known_jobs, "mail")
    assert "has a wrong type" in reasons(stage, QueuedJob(0, wire.decode(raw_job("x"))))


def test_a_job_that_has_left_its_place_is_reported_as_gone(stage: ClientStage) -> None:
    dead = DeadJob(5, wire.decode(raw_job("x", fails=4)))
    assert reasons(stage, dead).startswith("it is not in the dead set any more")


def test_a_recent_overview_is_not_read_again(stage: ClientStage) -> None:
    stage.enqueuer.enqueue("mail")
    stage.client.pause("mail")
    placed, seen = first(stage, Place("queued", "mail")), stage.client.overview()
    stage.client.unpause("mail")
    assert "queue 'mail' is paused" in why(placed, stage.client.circumstances(placed, seen))
