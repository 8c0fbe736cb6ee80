"""The history of executed jobs."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

import pytest

from tests.engine.stage import EngineStage
from tests.parity.gopeer import Clock, Scene
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit import HistoryOptions, HistoryRecord, Job
from workkit.errors import InvalidOption, ServerUnavailable


def fail(job: Job) -> None:
    raise LookupError(f"no page {job.arg_int('n')}")


def one_record(stage: EngineStage) -> HistoryRecord:
    (record,) = stage.history()
    return record


def entry_ids(stage: EngineStage) -> list[tuple[int, int]]:
    """Read the ids of all entries as pairs of milliseconds and total."""
    ids = [entry_id.decode() for entry_id, _ in stage.redis.xrange(stage.key("history"))]
    return [(int(ms), int(total)) for ms, _, total in (text.partition("-") for text in ids)]


def run_jobs(stage: EngineStage, pool: StepPool, count: int) -> None:
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(count)])
    pool.work(count + 10)


# What a record says.


def test_a_job_that_is_done_is_remembered_with_its_times_its_worker_and_its_machine(
    stage: EngineStage,
) -> None:
    worker = stage.pool(concurrency=1)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    job = stage.enqueuer.enqueue("work")
    stage.clock.advance(2.5)
    pool.turn()
    running = pool.runner.begin()
    started_ms = stage.clock.epoch_ms
    stage.clock.advance(0.321)
    pool.runner.end(running)
    stage.clock.advance(0.1)
    pool.work()
    assert one_record(stage) == HistoryRecord(
        job_id=job.id,
        name="work",
        enqueued_at=job.enqueued_at,
        started_ms=started_ms,
        finished_ms=started_ms + 321,
        outcome="done",
        fails=0,
        error="",
        fingerprint="",
        worker_id=running.worker_id,
        reason="",
        pool_id=pool.id,
        host=socket.gethostname(),
        enqueued_ms=started_ms - 2_500,
    )


def test_failures_are_remembered_with_headline_and_fingerprint_until_the_last(
    stage: EngineStage,
) -> None:
    worker = stage.pool(concurrency=1)
    worker.job("work", fail, max_fails=2)
    worker.job("unwanted", fail, max_fails=1, skip_dead=True)
    pool = stage.stepped(worker)
    first = stage.enqueuer.enqueue("work", {"n": 1})
    for _ in range(2):
        pool.work()
        stage.clock.advance(100)
        pool.duty("requeuer")
    stage.enqueuer.enqueue("unwanted", {"n": 22})
    pool.work()
    records = stage.history()
    assert [(r.outcome, r.fails) for r in records] == [("retry", 1), ("dead", 2), ("discarded", 1)]
    assert [r.error for r in records] == [f"LookupError: no page {n}" for n in (1, 1, 22)]
    assert [r.job_id for r in records[:2]] == [first.id] * 2
    # What varies in a message does not tell two failures apart.
    assert len({record.fingerprint for record in records}) == 1
    assert len(records[0].fingerprint) == 12


def test_different_failures_have_different_fingerprints(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=5)

    @worker.job
    def work(job: Job) -> None:
        if job.arg_int("n") == 0:
            raise LookupError("no page 1")
        if job.arg_int("n") == 1:
            raise ValueError("no page 1")
        if job.arg_int("n") == 2:
            raise LookupError("no book 1")
        fail(job)

    run_jobs(stage, stage.stepped(worker), 4)
    assert len({record.fingerprint for record in stage.history()}) == 4


def test_a_job_that_is_given_back_is_remembered_as_returned(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=1)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.turn()
    running = pool.runner.begin()
    stage.clock.advance(1)
    pool.engine.dispatcher.stop_claiming()
    pool.engine.dispatcher.give_back()
    pool.turn()
    record = one_record(stage)
    assert (record.outcome, record.worker_id, record.fails) == ("returned", running.worker_id, 0)
    assert record.finished_ms - record.started_ms == 1_000


def test_a_job_that_somebody_else_took_over_is_remembered_as_fenced_and_does_not_count(
    stage: EngineStage,
) -> None:
    workers = [stage.pool(concurrency=1) for _ in range(2)]
    for worker in workers:
        worker.job("work", nothing)
    slow, quick = (stage.stepped(worker) for worker in workers)
    stage.enqueuer.enqueue("work")
    slow.turn()
    running = slow.runner.begin()
    quick.watch(14)  # its heart stood still for 14 s
    quick.work()
    slow.runner.end(running)
    slow.work()
    records = {record.outcome: record for record in stage.history()}
    assert records.keys() == {"recovered", "done", "fenced"}
    assert records["done"].pool_id == quick.id
    assert records["fenced"].worker_id == running.worker_id
    assert slow.engine.totals()["fenced"] == 1
    assert stage.lock("work") == stage.in_progress("work") == 0


def test_what_cannot_run_is_remembered_with_the_reason(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=5)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.redis.lpush(stage.key("jobs:work"), b"{junk", b'{"name":"other","id":"x","t":1}')
    pool.work()
    junk, stray = stage.history()
    assert (junk.outcome, junk.reason, junk.started_ms) == ("dead", "undecodable", 0)
    assert (stray.outcome, stray.reason, stray.name) == ("dead", "stray", "other")
    assert {junk.job_id, "x"} == {dead.job.id for dead in stage.client.iter_dead_jobs()}


def test_a_claim_whose_reply_was_lost_is_remembered_as_unreceived(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=1)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.link.lose_reply()
    with pytest.raises(ServerUnavailable):
        pool.turn()
    pool.work()
    assert [(r.outcome, r.reason) for r in stage.history()] == [
        ("returned", "unreceived"),
        ("done", ""),
    ]


def dead_pool(stage: EngineStage, jobs: int) -> StepPool:
    """Start a pool that holds jobs, and stop its heartbeat for ever."""
    worker = stage.pool(concurrency=jobs)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(jobs)])
    pool.turn()
    return pool


def test_jobs_of_a_dead_pool_are_remembered_as_recovered(stage: EngineStage) -> None:
    dead = dead_pool(stage, 3)
    worker = stage.pool(concurrency=1)
    worker.job("work", nothing)
    reaper = stage.stepped(worker)
    started_ms = stage.clock.epoch_ms
    reaper.watch(14)
    reaper.turn()
    records = stage.history()
    assert [(r.outcome, r.reason, r.fails) for r in records] == [("recovered", "pool died", 0)] * 3
    assert {r.error for r in records} == {f"PoolDied: pool {dead.id} died while it held this job"}
    assert started_ms + 12_000 <= records[0].finished_ms <= stage.clock.epoch_ms
    assert {r.pool_id for r in records} == {reaper.id}
    assert {r.started_ms for r in records} == {0}
    reaper.work()
    assert {r.job_id for r in records} == {r.job_id for r in stage.history()[3:]}


def test_a_job_whose_pools_die_too_often_is_remembered_as_dead_of_that(stage: EngineStage) -> None:
    dead_pool(stage, 1)
    stage.redis.lpush(stage.key("jobs:work"), b"{junk")
    worker = stage.pool(concurrency=1, max_recoveries=1)
    worker.job("work", nothing)
    reaper = stage.stepped(worker)
    reaper.watch(14)
    reaper.turn()
    dead = stage.history()[0]
    assert (dead.outcome, dead.reason, dead.fails) == ("dead", "pool died", 1)
    assert dead.error.startswith("PoolDied: the worker process died 1 times")


def test_what_was_recovered_is_told_though_the_pool_has_nothing_else_to_say(
    stage: EngineStage,
) -> None:
    dead_pool(stage, 1)
    stage.redis.set(stage.key("jobs:work:paused"), "1")
    worker = stage.pool()
    worker.job("work", nothing)
    reaper = stage.stepped(worker)
    reaper.watch(14)
    assert reaper.engine.dispatcher.has_finished  # which ends its rest
    reaper.turn()
    assert stage.outcomes() == ["recovered"]


def test_without_history_recoveries_are_not_collected(stage: EngineStage) -> None:
    dead_pool(stage, 1)
    worker = stage.pool(history=None)
    worker.job("work", nothing)
    reaper = stage.stepped(worker)
    reaper.watch(14)
    assert not reaper.engine.ledger.has_reports
    reaper.work()
    assert stage.history() == []


def test_args_and_check_ins_are_remembered_on_request(stage: EngineStage) -> None:
    options = HistoryOptions(args=True, checkins=True, version="2026.11")
    worker = stage.pool(concurrency=1, history=options)

    @worker.job("work")
    def work(job: Job) -> None:
        for page in range(job.arg_int("pages")):
            stage.clock.advance(1)
            job.checkin(f"page {page}")

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", {"pages": 2, "big": 2**70})
    stage.enqueuer.enqueue("work", {"pages": 30})
    stage.enqueuer.enqueue("work", {"long": "x" * 5_000})
    start_ms = stage.clock.epoch_ms
    pool.work()
    two, thirty, long = stage.history()
    assert two.args == '{"big":1180591620717411303424,"pages":2}'
    assert two.checkins == ((start_ms + 1_000, "page 0"), (start_ms + 2_000, "page 1"))
    assert [message for _, message in thirty.checkins] == [f"page {n}" for n in range(10, 30)]
    assert (long.args, long.checkins) == (None, ())
    assert {record.version for record in (two, thirty, long)} == {"2026.11"}


def test_args_are_not_kept_unless_they_were_asked_for(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", lambda job: job.checkin("secret"))
    run_jobs(stage, stage.stepped(worker), 1)
    record = one_record(stage)
    assert (record.args, record.checkins, record.version) == (None, (), "")
    assert b"secret" not in stage.redis.xrange(stage.key("history"))[0][1][b"r"]


def test_pools_that_keep_more_and_pools_that_do_not_share_one_history(stage: EngineStage) -> None:
    for options in (HistoryOptions(args=True), HistoryOptions()):
        worker = stage.pool(history=options)
        worker.job("work", nothing)
        run_jobs(stage, stage.stepped(worker), 1)
    assert [record.args for record in stage.history()] == ['{"n":0}', None]


# How it is kept.


def test_all_that_ends_in_one_exchange_is_one_entry(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=40)
    worker.job("work", fail, max_fails=1)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(40)])
    pool.turn()
    while pool.runner.waiting:
        pool.runner.run()
    pool.turn()
    ((_, fields),) = stage.redis.xrange(stage.key("history"))
    assert fields[b"n"] == b"40"
    assert (fields[b"v"], fields[b"pool"]) == (b"1", pool.id.encode())
    assert len(stage.history()) == 40


def test_without_history_nothing_is_written_and_nothing_else_changes(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=5, history=None)
    worker.job("work", fail, max_fails=1)
    pool = stage.stepped(worker)
    run_jobs(stage, pool, 20)
    assert not stage.redis.exists(stage.key("history"), stage.key("history:head"))
    assert stage.client.dead_jobs().total == 20
    assert stage.history() == []
    assert (stage.client.history_extent().written, stage.client.history_extent().kept) == (0, 0)


def test_a_pool_of_the_original_is_not_disturbed_by_history(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    run_jobs(stage, stage.stepped(worker), 5)
    go = Scene(stage.redis, stage.namespace, Clock(stage.clock.now_s)).peer()
    assert [(queue.job_name, queue.count) for queue in go.queues()] == [("work", 0)]
    assert go.reap_step() == []
    assert go.errors == []


def test_the_cap_takes_the_oldest_and_the_extent_says_how_many(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=1, history=HistoryOptions(max_records=150))
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    for _ in range(3):
        run_jobs(stage, pool, 300)
    extent = stage.client.history_extent()
    assert extent.written == 900
    assert 150 <= extent.kept <= 400
    assert extent.trimmed == 900 - extent.kept
    kept = [record.job_id for record in stage.history()]
    assert len(kept) == extent.kept
    newest = stage.enqueuer.enqueue("work")
    pool.work()
    assert stage.history()[-1].job_id == newest.id


def test_the_cap_counts_executions_however_many_there_are_in_an_entry(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=50, history=HistoryOptions(max_records=500))
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    run_jobs(stage, pool, 8_000)
    extent = stage.client.history_extent()
    assert extent.written == 8_000
    assert 500 <= extent.kept <= 1_500  # the server trims by whole nodes


def test_a_burst_is_kept_though_many_small_entries_follow(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=100, history=HistoryOptions(max_records=400))
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    for _ in range(4):
        run_jobs(stage, pool, 95)
        stage.clock.epoch_ms += 5
    for _ in range(150):
        run_jobs(stage, pool, 1)
    extent = stage.client.history_extent()
    assert extent.written == 530
    assert 400 <= extent.kept <= 400 + 50 + 95


def kept_bytes(stage: EngineStage) -> int:
    return sum(len(fields[b"r"]) for _, fields in stage.redis.xrange(stage.key("history")))


def test_the_bound_in_mb_takes_the_oldest_and_the_extent_says_how_many(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=10, history=HistoryOptions(max_mb=0.1, args=True))
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    for _ in range(20):
        stage.enqueuer.enqueue_many([("work", {"text": "x" * 2_000})] * 10)
        pool.work()
    extent = stage.client.history_extent()
    assert extent.written == 200
    assert 20 <= extent.kept < 80
    assert 50_000 < kept_bytes(stage) < 125_000
    assert stage.client.history_extent().kept == len(stage.history())


@pytest.mark.one_server
def test_the_bound_in_mb_is_about_what_the_server_uses(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=50, history=HistoryOptions(max_mb=0.5))
    worker.job("work", fail, max_fails=1)
    run_jobs(stage, stage.stepped(worker), 8_000)
    assert stage.client.history_extent().trimmed > 1_000
    used = stage.redis.memory_usage(stage.key("history"), samples=0)
    assert 0.3 * 2**20 < used < 0.7 * 2**20


def test_a_stream_from_before_there_was_a_bound_in_mb_goes_on(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    run_jobs(stage, pool, 5)
    head = stage.redis.get(stage.key("history:head")).split()
    stage.redis.set(stage.key("history:head"), b" ".join(head[:2]))
    run_jobs(stage, pool, 5)
    assert len(stage.history()) == stage.client.history_extent().written == 10


def test_what_is_too_old_is_deleted_though_nothing_runs_any_more(stage: EngineStage) -> None:
    worker = stage.pool(history=HistoryOptions(max_age_s=3_600))
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    run_jobs(stage, pool, 3)
    stage.clock.advance(1_800)
    run_jobs(stage, pool, 2)
    pool.duty("trimmer")
    assert len(stage.history()) == 5
    stage.clock.advance(1_801)
    pool.duty("trimmer")
    assert len(stage.history()) == 2
    extent = stage.client.history_extent()
    assert (extent.written, extent.trimmed) == (5, 3)
    assert extent.since_ms == stage.clock.epoch_ms - 1_801_000
    stage.clock.advance(1_800)
    pool.duty("trimmer")
    assert stage.client.history_extent().trimmed == 5


def test_a_bound_by_age_leaves_a_key_of_a_wrong_type_alone(stage: EngineStage) -> None:
    worker = stage.pool(history=HistoryOptions(max_age_s=3_600))
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.redis.set(stage.key("history"), "mine")
    pool.duty("trimmer")
    assert stage.redis.get(stage.key("history")) == b"mine"


@pytest.mark.one_server
@pytest.mark.parametrize("bound", ["max_mb", "max_age_s"])
@pytest.mark.parametrize("value", [0, -1, "1", True, float("nan"), float("inf")])
def test_a_bound_out_of_its_range_is_refused(bound: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=bound):
        HistoryOptions(**{bound: value})


@pytest.mark.one_server
def test_a_version_is_a_text() -> None:
    with pytest.raises(InvalidOption, match="version"):
        HistoryOptions(version=2)  # type: ignore[arg-type]


@pytest.mark.one_server
@pytest.mark.parametrize("max_records", [0, -1, 1.5, True, 10**9 + 1])
def test_a_cap_out_of_its_range_is_refused(max_records: int) -> None:
    with pytest.raises(InvalidOption, match="max_records"):
        HistoryOptions(max_records=max_records)


# The ids of entries.


def test_ids_grow_while_the_clock_runs_back(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    for _ in range(5):
        run_jobs(stage, pool, 3)
        stage.clock.epoch_ms -= 10_000
        stage.clock.monotonic_s += 1
    ids = entry_ids(stage)
    assert ids == sorted(set(ids))
    assert [total for _, total in ids][-1] == 15
    assert stage.client.history_extent().written == 15


def test_ids_of_pools_with_different_clocks_grow(stage: EngineStage) -> None:
    pools = []
    for skew_s in (0, 45, -45):
        worker = stage.pool()
        worker.job("work", nothing)
        pools.append(stage.stepped(worker, stage.clock.skewed(skew_s)))
    for at in range(12):
        run_jobs(stage, pools[at % 3], 2)
    ids = entry_ids(stage)
    assert ids == sorted(set(ids))
    assert stage.client.history_extent().written == 24
    assert len(stage.history()) == 24


@pytest.mark.parametrize("passed_s", [0, 60, -60])
def test_a_lost_head_costs_neither_entries_nor_the_count(stage: EngineStage, passed_s: int) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    run_jobs(stage, pool, 10)
    stage.redis.delete(stage.key("history:head"))
    stage.clock.epoch_ms += passed_s * 1_000
    run_jobs(stage, pool, 5)
    ids = entry_ids(stage)
    assert ids == sorted(set(ids))
    assert len(stage.history()) == 15
    extent = stage.client.history_extent()
    assert (extent.written, extent.kept) == (15, 15)


def test_a_history_key_of_a_wrong_type_costs_history_and_no_job(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.redis.set(stage.key("history"), "mine")
    run_jobs(stage, pool, 5)
    assert stage.redis.get(stage.key("history")) == b"mine"
    assert stage.waiting("work") == []
    assert stage.in_progress("work") == stage.lock("work") == 0


def test_heartbeats_carry_running_totals(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=4)
    worker.job("work", nothing)
    worker.job("fail", fail, max_fails=2, backoff=lambda job: 0)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", None)] * 6 + [("fail", {"n": 1})] * 2)
    pool.work()
    pool.duty("requeuer")
    pool.work()
    stage.enqueuer.enqueue("work")
    pool.turn()
    pool.runner.begin()
    pool.duty("heartbeat")
    beat = stage.redis.hgetall(stage.key(f"worker_pools:{pool.id}"))
    totals = Counter({name: int(beat[name]) for name in (b"done", b"retried", b"died", b"busy")})
    assert totals == {b"done": 6, b"retried": 2, b"died": 2, b"busy": 1}
