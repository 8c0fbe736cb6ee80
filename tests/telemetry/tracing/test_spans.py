"""The spans of sending and running jobs, their attributes, and how they belong together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.engine.signals import Gate
from tests.engine.stage import EngineStage
from tests.telemetry.tracing.conftest import Seen
from workkit import AsyncEnqueuer, Enqueuer, Job, Tasks, WorkerPool
from workkit.core.verdicts import Discard, Fail, Retry
from workkit.errors import ServerUnavailable
from workkit.store.connections.target import Target

pytestmark = pytest.mark.one_server


def ids(span: Any) -> tuple[int, int]:
    """The trace and the span."""
    return span.context.trace_id, span.context.span_id


def links(span: Any) -> list[tuple[int, int]]:
    return [(each.context.trace_id, each.context.span_id) for each in span.links]


def run(stage: EngineStage, pool: WorkerPool, executions: int = 1) -> None:
    """Run jobs one after the other."""
    threaded = stage.threaded(pool)
    threaded.turn()
    for _ in range(executions):
        threaded.settle()


@pytest.fixture
def plain(stage: EngineStage) -> WorkerPool:
    """A pool with a handler that does nothing."""
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    return pool


# Sending


def test_a_send_is_a_producers_span_with_the_attributes_of_the_conventions(
    stage: EngineStage, seen: Seen
) -> None:
    seen.tracing().instrument(stage.enqueuer)
    with seen.tracer.start_as_current_span("GET /") as request:
        job = stage.enqueuer.enqueue("mail", {"to": "a"})
    span = seen.one("send mail")
    assert span.kind == SpanKind.PRODUCER
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.attributes == {
        "messaging.system": "workkit",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "mail",
        "messaging.message.id": job.id,
        "server.address": stage.url.removeprefix("unix://"),
    }
    assert span.status.status_code == StatusCode.UNSET


def test_a_job_carries_the_context_of_its_send_behind_the_originals_fields(
    stage: EngineStage, seen: Seen
) -> None:
    seen.tracing().instrument(stage.enqueuer)
    job = stage.enqueuer.enqueue("mail", {"to": "a"})
    trace_id, span_id = ids(seen.one("send mail"))
    flags = seen.one("send mail").context.trace_flags
    member = f',"traceparent":"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"}}'.encode()
    assert job.raw.endswith(member)
    assert stage.redis.lrange(stage.keys.jobs("mail"), 0, -1) == [job.raw]
    assert job.raw.replace(member, b"}").endswith(b',"t_ms":%d}' % stage.clock.epoch_ms)


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("redis://user:secret@example.com:6380/3", "example.com", 6380),
        ("redis://example.com", "example.com", 6379),
        ("rediss://[::1]:7000", "::1", 7000),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock", None),
        ("redis+sentinel://a:1,b:2/main", "main", None),
    ],
)
def test_the_server_is_named_without_its_password(url: str, address: str, port: int | None) -> None:
    assert Target.of(url).address == (address, port)


def test_without_tracing_the_bytes_are_those_of_before(stage: EngineStage, seen: Seen) -> None:
    tracing = seen.tracing()
    tracing.instrument(stage.enqueuer)
    tracing.uninstrument(stage.enqueuer)
    assert b"traceparent" not in stage.enqueuer.enqueue("mail").raw
    assert seen.spans == []


def test_each_way_of_enqueuing_makes_one_span(stage: EngineStage, seen: Seen) -> None:
    seen.tracing().instrument(stage.enqueuer)
    enqueuer = stage.enqueuer
    enqueuer.enqueue("a")
    enqueuer.enqueue_in("b", 5)
    enqueuer.enqueue_at("c", stage.clock.now_s + 5)
    enqueuer.enqueue_unique("d", {"n": 1})
    enqueuer.enqueue_unique_in("e", 5, {"n": 1})
    enqueuer.enqueue_unique_by_key("f", {"n": 1}, {"k": 1})
    enqueuer.enqueue_unique_in_by_key("g", 5, {"n": 1}, {"k": 1})
    assert [span.name for span in seen.spans] == [f"send {name}" for name in "abcdefg"]


def test_an_async_enqueuer_makes_the_same_spans(redis_url: str, namespace: str, seen: Seen) -> None:
    async def enqueue() -> tuple[Job, int]:
        async with AsyncEnqueuer(namespace, redis_url) as enqueuer:
            seen.tracing().instrument(enqueuer)
            with seen.tracer.start_as_current_span("GET /") as request:
                both = enqueuer.enqueue("mail"), enqueuer.enqueue("mail")
                job, _ = await asyncio.gather(*both)
            return job, request.get_span_context().span_id

    job, request_id = asyncio.run(enqueue())
    spans = seen.named("send mail")
    assert [span.parent.span_id for span in spans] == [request_id] * 2
    assert job.id in {span.attributes["messaging.message.id"] for span in spans}


def test_enqueue_many_creates_a_span_for_each_job_under_one_send(
    stage: EngineStage, seen: Seen
) -> None:
    seen.tracing().instrument(stage.enqueuer)
    jobs = stage.enqueuer.enqueue_many([("mail", None), ("mail", {"n": 1})])
    send, created = seen.one("send mail"), seen.named("create mail")
    assert send.attributes["messaging.batch.message_count"] == 2
    assert "messaging.message.id" not in send.attributes
    assert send.kind == SpanKind.CLIENT
    assert [span.parent.span_id for span in created] == [send.context.span_id] * 2
    for job, span in zip(jobs, created, strict=True):
        assert span.kind == SpanKind.PRODUCER
        assert span.attributes["messaging.message.id"] == job.id
        assert span.attributes["messaging.operation.type"] == "create"
        assert f"{span.context.span_id:016x}".encode() in job.raw


def test_a_batch_creates_at_most_so_many_spans_and_the_rest_carry_the_send(
    stage: EngineStage, seen: Seen
) -> None:
    seen.tracing(max_create_spans=2).instrument(stage.enqueuer)
    jobs = stage.enqueuer.enqueue_many([(f"mail{n % 2}", {"n": n}) for n in range(5)])
    (send,) = seen.named("send")  # of two queues, so it names none
    assert "messaging.destination.name" not in send.attributes
    assert send.kind == SpanKind.PRODUCER
    assert len(seen.spans) == 3
    own = f"{send.context.span_id:016x}".encode()
    assert [own in job.raw for job in jobs] == [False, False, True, True, True]


def test_a_duplicate_of_a_unique_job_is_marked_and_counts_as_not_sent(
    stage: EngineStage, seen: Seen
) -> None:
    seen.tracing().instrument(stage.enqueuer)
    assert stage.enqueuer.enqueue_unique("mail", {"n": 1}) is not None
    assert stage.enqueuer.enqueue_unique("mail", {"n": 1}) is None
    first, second = seen.named("send mail")
    assert "workkit.duplicate" not in first.attributes
    assert second.attributes["workkit.duplicate"] is True
    ((_, count),) = seen.points("messaging.client.sent.messages")
    assert count == 1


def test_uniqueness_does_not_depend_on_the_trace(stage: EngineStage, seen: Seen) -> None:
    plain = stage.enqueuer.enqueue_unique("mail", {"n": 1})
    assert plain is not None
    seen.tracing().instrument(stage.enqueuer)
    assert stage.enqueuer.enqueue_unique("mail", {"n": 1}) is None
    other = stage.enqueuer.enqueue_unique("mail", {"n": 2})
    assert other is not None
    assert other.unique_key == plain.unique_key.replace("1}", "2}")
    assert other.args == {"n": 2}


def test_a_send_that_fails_says_so(namespace: str, seen: Seen) -> None:
    enqueuer = Enqueuer(namespace, "redis://127.0.0.1:1")
    seen.tracing().instrument(enqueuer)
    with pytest.raises(ServerUnavailable):
        enqueuer.enqueue("mail")
    span = seen.one("send mail")
    assert span.status.status_code == StatusCode.ERROR
    assert span.attributes["error.type"] == "workkit.errors.ServerUnavailable"
    assert [event.name for event in span.events] == ["exception"]
    ((attributes, count),) = seen.points("messaging.client.sent.messages")
    assert (attributes["error.type"], count) == ("workkit.errors.ServerUnavailable", 1)


def test_a_job_for_which_its_trace_is_too_much_is_sent_without_it(
    redis_url: str,
    namespace: str,
    seen: Seen,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Enqueuer(namespace, redis_url, max_job_bytes=20_000) as enqueuer:
        seen.tracing().instrument(enqueuer)
        with pytest.raises(ValueError, match="max_job_bytes"):
            enqueuer.enqueue("mail", {"x": "x" * 20_000})
        assert seen.spans == []  # it was refused before
        for _ in range(2):
            assert b"traceparent" not in enqueuer.enqueue("mail", {"x": "x" * 19_890}).raw
        enqueuer.enqueue_unique("mail", {"x": "x" * 9_890})
        enqueuer.enqueue_many([("mail", {"x": "x" * 19_890}), ("mail", None)])
        assert b"traceparent" in enqueuer.enqueue("mail").raw
    assert all(span.status.status_code == StatusCode.UNSET for span in seen.spans)
    (record,) = (r for r in caplog.records if "without the" in r.message)
    assert "(logged once)" in record.message


def test_a_wait_for_replicas_that_fails_is_the_error_of_the_send(
    stage: EngineStage, seen: Seen
) -> None:
    seen.tracing().instrument(stage.enqueuer)
    with pytest.raises(Exception, match="replicas"):
        stage.enqueuer.durably(replicas=1, timeout=0.01).enqueue("mail")
    assert seen.one("send mail").attributes["error.type"] == "workkit.errors.NotConfirmed"


# Running


def test_an_execution_begins_a_trace_that_links_to_the_send(
    stage: EngineStage, seen: Seen, plain: WorkerPool
) -> None:
    tracing = seen.tracing()
    tracing.instrument(stage.enqueuer, plain)
    job = stage.enqueuer.enqueue("mail")
    run(stage, plain)
    send, process = seen.one("send mail"), seen.one("process mail")
    assert process.kind == SpanKind.CONSUMER
    assert process.parent is None
    assert links(process) == [ids(send)]
    assert process.context.trace_id != send.context.trace_id
    assert process.attributes["messaging.operation.name"] == "process"
    assert process.attributes["messaging.operation.type"] == "process"
    assert process.attributes["messaging.destination.name"] == "mail"
    assert process.attributes["messaging.message.id"] == job.id
    assert process.attributes["workkit.outcome"] == "done"
    assert process.attributes["workkit.attempt"] == 1
    assert process.attributes["server.address"] == send.attributes["server.address"]
    assert process.status.status_code == StatusCode.UNSET


def test_as_a_child_the_first_execution_is_in_the_trace_of_the_send_and_a_retry_links_to_it(
    stage: EngineStage, seen: Seen
) -> None:
    pool = stage.pool()

    @pool.job("mail", backoff=lambda job: 0)
    def mail(job: Job) -> None:
        if not job.fails:
            raise ValueError("not yet")

    seen.tracing(child=True).instrument(stage.enqueuer, pool)
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    stage.clock.advance(5)
    threaded.do(threaded.engine.requeuer.step(stage.clock.read()))
    threaded.turn()
    threaded.settle()
    send = seen.one("send mail")
    first, second = seen.named("process mail")
    assert (first.context.trace_id, first.parent.span_id) == ids(send)
    assert links(first) == []
    assert second.parent is None
    assert links(second) == [ids(send)]
    assert [span.attributes["workkit.attempt"] for span in (first, second)] == [1, 2]
    assert [span.attributes["workkit.outcome"] for span in (first, second)] == ["retry", "done"]


def test_a_request_a_job_and_its_nested_job_are_one_trace(stage: EngineStage, seen: Seen) -> None:
    pool = stage.pool()
    pool.job("outer", lambda job: stage.enqueuer.enqueue("inner"))
    pool.job("inner", lambda job: None)
    seen.tracing(child=True).instrument()
    with seen.tracer.start_as_current_span("GET /"):
        stage.enqueuer.enqueue("outer")
    run(stage, pool, 2)
    chain = ["GET /", "send outer", "process outer", "send inner", "process inner"]
    # The inner job may end before the call that sent it returns.
    assert sorted(span.name for span in seen.spans) == sorted(chain)
    assert len({span.context.trace_id for span in seen.spans}) == 1
    by_name = {span.name: span for span in seen.spans}
    parents: list[Any] = [by_name[name].parent for name in chain[1:]]
    assert [each.span_id for each in parents] == [
        by_name[name].context.span_id for name in chain[:-1]
    ]


def current() -> str:
    return str(getattr(trace.get_current_span(), "name", ""))


def test_the_span_is_current_in_sync_and_async_handlers_and_middleware(
    stage: EngineStage, seen: Seen
) -> None:
    pool = stage.pool(context=dict)
    found: list[tuple[str, str]] = []

    @pool.middleware
    async def around(job: Job, next: Any) -> None:  # noqa: A002 - the name of the interface
        found.append(("middleware", current()))
        await next()

    @pool.job("sync")
    def sync(job: Job) -> None:
        found.append(("sync", current()))

    @pool.job("on_loop")
    async def on_loop(ctx: Any, job: Job) -> None:
        await asyncio.sleep(0)
        found.append(("async", current()))
        found.append(("thread", await asyncio.to_thread(current)))

    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue("sync")
    run(stage, pool)
    stage.enqueuer.enqueue("on_loop")
    run(stage, pool)
    assert found == [
        ("middleware", "process sync"), ("sync", "process sync"),
        ("middleware", "process on_loop"), ("async", "process on_loop"),
        ("thread", "process on_loop"),
    ]  # fmt: skip


def test_the_span_is_current_in_a_typed_task_and_in_what_it_enqueues(
    stage: EngineStage, seen: Seen, redis_url: str
) -> None:
    tasks = Tasks()
    tasks.connect(stage.namespace, redis_url)
    found = []

    @tasks.task
    def outer(n: int) -> None:
        found.append(current())
        inner.enqueue(n)

    @tasks.task
    async def inner(n: int) -> None:
        found.append(current())

    seen.tracing().instrument()
    pool = stage.pool(tasks=tasks)
    outer.enqueue(7)
    run(stage, pool, 2)
    tasks.outlet.close()  # type: ignore[attr-defined]
    assert found == ["process outer", "process inner"]
    nested = seen.one("send inner")
    assert nested.parent.span_id == seen.one("process outer").context.span_id
    assert links(seen.one("process inner")) == [ids(nested)]


def test_async_handlers_at_once_have_their_own_spans_and_leave_none_behind(
    stage: EngineStage, seen: Seen
) -> None:
    pool = stage.pool()
    found: list[tuple[int, str]] = []
    both = asyncio.Event()

    @pool.job("mail")
    async def mail(job: Job) -> None:
        before = trace.get_current_span().get_span_context().span_id
        if job.arg_int("n") == 1:
            both.set()
        await both.wait()
        await asyncio.sleep(0)
        assert trace.get_current_span().get_span_context().span_id == before
        found.append((before, current()))

    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue_many([("mail", {"n": 0}), ("mail", {"n": 1})])
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    threaded.settle()
    assert [name for _, name in found] == ["process mail"] * 2
    spans = seen.named("process mail")
    assert {span.context.span_id for span in spans} == {span_id for span_id, _ in found}
    assert all(span.parent is None for span in spans)
    assert all(span.attributes["workkit.outcome"] == "done" for span in spans)


def test_the_baggage_travels_only_if_asked_for(stage: EngineStage, seen: Seen) -> None:
    pool, found = stage.pool(), []
    pool.job("mail", lambda job: found.append(dict(baggage.get_all())))
    on, off = seen.tracing(baggage=True), seen.tracing()
    token = context.attach(baggage.set_baggage("tenant", "7"))
    try:
        off.instrument(stage.enqueuer)
        assert b"baggage" not in stage.enqueuer.enqueue("mail").raw
        off.uninstrument(stage.enqueuer)
        on.instrument(stage.enqueuer, pool)
        assert stage.enqueuer.enqueue("mail").raw.endswith(b',"baggage":"tenant=7"}')
    finally:
        context.detach(token)
    run(stage, pool, 2)
    assert found == [{}, {"tenant": "7"}]


def test_a_cron_job_begins_a_trace_without_a_link(stage: EngineStage, seen: Seen) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    pool.periodically_enqueue("@every 60s", "mail")
    seen.tracing().instrument(pool, stage.enqueuer)
    stepped = stage.stepped(pool)
    stepped.duty("periodic")
    stage.clock.advance(61)
    stepped.duty("requeuer")
    stepped.work()
    span = seen.one("process mail")
    assert span.parent is None
    assert span.links == ()


# How executions end


@pytest.mark.parametrize(
    ("error", "options", "outcome", "error_type"),
    [
        (ValueError("no"), {}, "retry", "ValueError"),
        (ValueError("no"), {"max_fails": 1}, "dead", "ValueError"),
        (ValueError("no"), {"max_fails": 1, "skip_dead": True}, "discarded", "ValueError"),
        (Retry("later"), {}, "retry", "workkit.core.verdicts.Retry"),
        (Fail("never"), {}, "dead", "workkit.core.verdicts.Fail"),
        (Discard("not needed"), {}, "discarded", None),
        (Retry("wait", in_s=5, counts=False), {}, "postponed", None),
    ],
)
def test_a_failure_sets_the_status_and_what_a_handler_asks_for_does_not(
    stage: EngineStage,
    seen: Seen,
    error: Exception,
    options: dict[str, Any],
    outcome: str,
    error_type: str | None,
) -> None:
    pool = stage.pool()

    def mail(job: Job) -> None:
        raise error

    pool.job("mail", mail, **options)
    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue("mail")
    run(stage, pool)
    span = seen.one("process mail")
    assert span.attributes["workkit.outcome"] == outcome == stage.outcomes()[-1]
    assert span.attributes.get("error.type") == error_type
    failed = error_type is not None
    assert (span.status.status_code == StatusCode.ERROR) is failed
    assert [event.name for event in span.events] == ["exception"] * failed
    ((attributes, count),) = seen.points("messaging.process.duration")
    assert (attributes.get("error.type"), count) == (error_type, 1)


def test_a_handler_that_ignores_an_arg_error_has_failed(stage: EngineStage, seen: Seen) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: job.arg_int("missing") and None)
    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue("mail", {})
    run(stage, pool)
    assert seen.one("process mail").attributes["error.type"] == "workkit.errors.InvalidArgs"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_timeout_is_the_error_of_the_span(stage: EngineStage, seen: Seen, kind: str) -> None:
    pool, gate = stage.pool(), Gate()

    async def wait(job: Job) -> None:
        gate.arrived(job)
        await asyncio.Event().wait()

    pool.job("mail", gate.spin if kind == "sync" else wait, timeout=1)
    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(2)
    threaded.turn()
    threaded.settle()
    span = seen.one("process mail")
    assert span.attributes["error.type"] == "workkit.errors.JobTimeout"
    assert span.attributes["workkit.outcome"] == "retry"


def test_an_abandoned_handlers_span_ends_when_its_job_is_settled(
    stage: EngineStage, seen: Seen
) -> None:
    pool, gate = stage.pool(), Gate()
    pool.job("mail", gate.pass_through, timeout=1)
    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    gate.arrived.wait_for(1)
    for _ in range(2):
        stage.clock.advance(60)
        threaded.turn()
    assert seen.one("process mail").attributes["error.type"] == "workkit.errors.JobTimeout"
    gate.open()


def test_the_span_of_a_handler_that_a_stop_interrupts_says_that_its_job_was_returned(
    stage: EngineStage, seen: Seen
) -> None:
    pool, gate = stage.pool(), Gate()
    pool.job("mail", gate.pass_through)
    seen.tracing().instrument(pool)
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    gate.arrived.wait_for(1)
    threaded.engine.dispatcher.stop_claiming()
    threaded.engine.dispatcher.give_back()
    span = seen.one("process mail")
    assert span.attributes["workkit.outcome"] == "returned"
    assert span.status.status_code == StatusCode.UNSET
    gate.open()
    threaded.settle()
    assert seen.spans == [span]


# Everything


def test_the_metrics_of_sends_and_executions_have_the_names_of_the_conventions(
    stage: EngineStage, seen: Seen, plain: WorkerPool
) -> None:
    seen.tracing().instrument()
    stage.enqueuer.enqueue("mail")
    stage.enqueuer.enqueue_many([("mail", None), ("other", None)])
    run(stage, plain, 2)
    sent = {point[0]["messaging.destination.name"]: point[1]
            for point in seen.points("messaging.client.sent.messages")}  # fmt: skip
    assert sent == {"mail": 2, "other": 1}
    ((consumed, count),) = seen.points("messaging.client.consumed.messages")
    assert count == 2
    assert consumed["messaging.system"] == "workkit"
    assert consumed["messaging.operation.name"] == "process"
    assert sum(n for _, n in seen.points("messaging.client.operation.duration")) == 2
    ((processed, count),) = seen.points("messaging.process.duration")
    assert (processed["messaging.destination.name"], count) == ("mail", 2)


def test_the_process_can_be_watched_and_left_alone_again(
    stage: EngineStage, seen: Seen, plain: WorkerPool
) -> None:
    tracing = seen.tracing()
    tracing.instrument()
    tracing.instrument()
    tracing.instrument(stage.enqueuer)
    stage.enqueuer.enqueue("mail")
    run(stage, plain)
    assert [span.name for span in seen.spans] == ["send mail", "process mail"]
    tracing.uninstrument()
    tracing.uninstrument(stage.enqueuer)
    assert b"traceparent" not in stage.enqueuer.enqueue("mail").raw


def test_instrumenting_something_else_names_what_can_be(seen: Seen) -> None:
    with pytest.raises(ValueError, match=r"takes pools and enqueuers, not .*; without arguments"):
        seen.tracing().instrument("mail")  # type: ignore[arg-type]
