"""A job's trace survives every move of the job, and nothing in Redis can break it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stage import EngineStage
from tests.parity.gopeer import Clock, GoJob, Scene
from tests.support.steps import StepPool
from tests.telemetry.tracing.conftest import Seen
from workkit import Job, WorkerPool
from workkit.core import job as wire
from workkit.core.job import Payload
from workkit.snapshot import Snapshot, write_snapshot

pytestmark = pytest.mark.one_server


def links(span: Any) -> list[int]:
    return [each.context.span_id for each in span.links]


def stepped(stage: EngineStage, handler: Any, seen: Seen, **options: Any) -> StepPool:
    """Start a traced pool."""
    pool = stage.pool()
    pool.job("mail", handler, **options)
    seen.tracing().instrument(pool, stage.enqueuer)
    return stage.stepped(pool)


def fail(job: Job) -> None:
    raise ValueError("no")


def due(stage: EngineStage, pool: StepPool, after_s: float = 1_000) -> None:
    """Let the requeuer move what is due, and run it."""
    stage.clock.advance(after_s)
    pool.duty("requeuer")
    pool.work()


def send_id(seen: Seen) -> int:
    (span,) = (span for span in seen.spans if span.name == "send mail")
    span_id: int = span.context.span_id
    return span_id


@pytest.mark.parametrize("how", ["enqueue_in", "enqueue_unique_in", "enqueue_unique_in_by_key"])
def test_the_link_survives_a_schedule(stage: EngineStage, seen: Seen, how: str) -> None:
    pool = stepped(stage, lambda job: None, seen)
    extra = ({"k": 1},) if how.endswith("key") else ()
    if extra:
        stage.enqueuer.enqueue_unique_in_by_key("mail", 10, {"n": 1}, *extra)
    else:
        getattr(stage.enqueuer, how)("mail", 10, {"n": 1})
    due(stage, pool, 20)
    assert links(seen.one("process mail")) == [send_id(seen)]


def test_the_link_survives_retries_death_and_the_retry_of_an_operator(
    stage: EngineStage, seen: Seen
) -> None:
    pool = stepped(stage, fail, seen, max_fails=2)
    job = stage.enqueuer.enqueue("mail")
    pool.work()
    due(stage, pool)
    (dead,) = stage.client.iter_dead_jobs()
    stage.client.retry_dead_job(dead.died_at, job.id)
    pool.work()
    spans = seen.named("process mail")
    assert [span.attributes["workkit.outcome"] for span in spans] == ["retry", "dead", "retry"]
    assert [links(span) for span in spans] == [[send_id(seen)]] * 3


def test_the_link_survives_a_deletion_and_its_undo(stage: EngineStage, seen: Seen) -> None:
    pool = stepped(stage, lambda job: None, seen)
    stage.enqueuer.enqueue_in("mail", 60)
    (scheduled,) = stage.client.iter_scheduled_jobs()
    stage.client.delete_scheduled_job(scheduled.run_at, scheduled.job.id)
    (operation,) = stage.client.actions.operations()
    stage.client.actions.undo(operation.operation_id)
    due(stage, pool)
    assert links(seen.one("process mail")) == [send_id(seen)]


def test_the_link_survives_a_return_to_the_queue(stage: EngineStage, seen: Seen) -> None:
    pool = stepped(stage, lambda job: None, seen)
    stage.enqueuer.enqueue("mail")
    pool.claim()
    pool.engine.dispatcher.stop_claiming()
    pool.turn()  # which returns the job to its queue
    other = stepped(stage, lambda job: None, seen)
    other.work()
    assert links(seen.one("process mail")) == [send_id(seen)]


def test_an_update_by_key_brings_its_own_trace(stage: EngineStage, seen: Seen) -> None:
    pool = stepped(stage, lambda job: None, seen)
    stage.enqueuer.enqueue_unique_by_key("mail", {"n": 1}, {"k": 1})
    stage.enqueuer.enqueue_unique_by_key("mail", {"n": 2}, {"k": 1})
    pool.work()
    _, second = seen.named("send mail")
    assert links(seen.one("process mail")) == [second.context.span_id]


def test_the_link_survives_a_go_requeuer_and_is_lost_by_a_go_retry(
    stage: EngineStage, seen: Seen
) -> None:
    scene = Scene(stage.redis, stage.namespace, Clock(stage.clock.now_s))
    stage.enqueuer.enqueue_in("mail", 10, {"n": 1})
    pool = stepped(stage, lambda job: None, seen)
    stage.enqueuer.enqueue_in("mail", 10, {"n": 2})
    go = scene.peer(mail=GoJob(backoff=lambda job: 1))
    scene.clock.now = stage.clock.now_s + 20
    assert go.requeue_step() == {"ok": 2, "dead": 0}
    pool.work()
    without, traced = seen.named("process mail")
    assert links(without) == []
    assert links(traced) == [send_id(seen)]
    stage.enqueuer.enqueue("mail", {"n": 3})
    claim = go.fetch(["mail"])
    assert claim is not None
    go.begin(claim)
    go.settle(claim, "no")
    (raw,) = scene.members("retry")
    assert b"traceparent" not in raw
    due(stage, pool)
    assert links(seen.named("process mail")[-1]) == []


def test_a_snapshot_keeps_the_members(stage: EngineStage, seen: Seen, tmp_path: Path) -> None:
    seen.tracing().instrument(stage.enqueuer)
    job = stage.enqueuer.enqueue("mail", {"password": "hunter22"})
    write_snapshot(stage.client, tmp_path / "s")
    found = Snapshot(tmp_path / "s").find(job.id)
    assert found is not None
    member = job.raw[job.raw.index(b',"traceparent"') :]
    assert found.job.raw.endswith(member)
    assert b"hunter22" not in found.job.raw


VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "value",
    [
        "", "garbage", "x" * 1_000_000, VALID * 20_000, None, 7, True, [VALID], {"a": VALID},
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        VALID.upper(), VALID + "\n", " " + VALID, VALID + "-more", "\x00" * 55,
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
@pytest.mark.parametrize("child", [True, False])
def test_a_traceparent_that_is_none_is_ignored_and_not_logged(
    stage: EngineStage,
    seen: Seen,
    caplog: pytest.LogCaptureFixture,
    value: Any,
    child: bool,
) -> None:
    fields = {"name": "mail", "id": "a1", "t": 1, "args": None, "traceparent": value}
    stage.redis.sadd(stage.keys.known_jobs, "mail")
    stage.redis.lpush(stage.keys.jobs("mail"), json.dumps(fields))
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    seen.tracing(child=child, baggage=True).instrument(pool)
    caplog.set_level(logging.DEBUG)
    stage.stepped(pool).work()
    span = seen.one("process mail")
    assert (span.parent, list(span.links)) == (None, [])
    assert span.attributes["workkit.outcome"] == "done"
    assert "traceparent" not in caplog.text


@pytest.mark.parametrize("name", ["tracestate", "baggage"])
@pytest.mark.parametrize(
    "value", ["no pair", "a=b,,=", "\x1b[31m=x", "k=" + "v" * 1_000_000, "k=v," * 5_000, 5, ["a=b"]]
)
def test_a_tracestate_or_a_baggage_that_is_none_is_ignored_and_not_logged(
    stage: EngineStage, seen: Seen, caplog: pytest.LogCaptureFixture, name: str, value: Any
) -> None:
    fields = {"name": "mail", "id": "a1", "t": 1, "args": None, "traceparent": VALID, name: value}
    stage.redis.sadd(stage.keys.known_jobs, "mail")
    stage.redis.lpush(stage.keys.jobs("mail"), json.dumps(fields))
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    seen.tracing(baggage=True).instrument(pool)
    caplog.set_level(logging.DEBUG)
    stage.stepped(pool).work()
    (link,) = seen.one("process mail").links
    assert link.context.trace_state.to_header() == ""
    assert caplog.records == []


def test_a_trace_state_travels_with_the_trace(stage: EngineStage, seen: Seen) -> None:
    fields = {"name": "mail", "id": "a1", "t": 1, "traceparent": VALID, "tracestate": "a=1,b=2"}
    stage.redis.sadd(stage.keys.known_jobs, "mail")
    stage.redis.lpush(stage.keys.jobs("mail"), json.dumps(fields))
    pool = stepped(stage, lambda job: stage.enqueuer.enqueue("other"), seen)
    pool.work()
    (link,) = seen.one("process mail").links
    assert link.context.trace_state.to_header() == "a=1,b=2"


def test_probes_of_a_started_pool_cannot_be_set(stage: EngineStage, seen: Seen) -> None:
    pool = WorkerPool(stage.namespace, stage.url)
    pool.job("mail", lambda job: None)
    pool.start()
    try:
        with pytest.raises(RuntimeError, match="cannot set probes: the pool has been started"):
            seen.tracing().instrument(pool)
    finally:
        pool.stop()


def test_members_do_not_change_what_a_reader_finds() -> None:
    raw = wire.encode("mail", "a1", 7, b"{}")[:-1] + b',"traceparent":"x"}'
    assert wire.read(raw) == Payload("mail", "a1", 7, {})
    assert b'"traceparent":"x"' in wire.failed(raw, 1, "no", 8)
    assert b'"traceparent":"x"' in wire.postponed(raw, 0, "later")
