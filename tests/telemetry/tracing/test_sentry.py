"""What Sentry receives: spans, transactions, and each error once, without secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.engine.stage import EngineStage
from tests.telemetry.tracing.conftest import Seen
from workkit import Job
from workkit.core import probes
from workkit.core.verdicts import Discard, Fail, Retry
from workkit.telemetry.sentry import _PROBE, WorkkitIntegration, _active_ids

pytestmark = pytest.mark.one_server

SECRET = "hunter22-and-more"  # noqa: S105 - the tests' own


class Collected(Transport):
    """A transport that keeps the envelopes."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[tuple[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            body = Envelope.deserialize(envelope.serialize()).items
            del body
            self.payloads.append((str(item.type), json.loads(item.get_bytes())))

    def of(self, kind: str) -> list[Any]:
        return [payload for found, payload in self.payloads if found == kind]

    @property
    def text(self) -> str:
        return json.dumps(self.payloads)


@pytest.fixture
def sent() -> Iterator[Collected]:
    yield from collecting()


def collecting(**options: Any) -> Iterator[Collected]:
    transport = Collected()
    client = sentry_sdk.Client(
        "http://key@127.0.0.1:1/1", transport=transport, traces_sample_rate=1.0,
        integrations=[WorkkitIntegration(**options)], auto_enabling_integrations=False,
        default_integrations=False,
    )  # fmt: skip
    WorkkitIntegration.setup_once()  # the SDK does it once a process
    with sentry_sdk.isolation_scope() as scope:
        before = sentry_sdk.get_global_scope().client
        sentry_sdk.get_global_scope().set_client(client)
        scope.clear()
        try:
            yield transport
        finally:
            sentry_sdk.get_global_scope().set_client(before)
            client.close()
            probes.detach(_PROBE)
            probes.remove_trace_source(_active_ids)


def run(stage: EngineStage, handler: Any, args: Any = None, **options: Any) -> Job:
    """Enqueue a job inside a transaction, and run it once."""
    pool = stage.pool()
    pool.job("mail", handler, **options)
    with sentry_sdk.start_transaction(name="GET /", op="http.server"):
        job = stage.enqueuer.enqueue("mail", args)
    stage.clock.advance(1.5)
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    return job


def test_a_send_is_a_span_and_an_execution_a_transaction_of_its_trace(
    stage: EngineStage, sent: Collected
) -> None:
    job = run(stage, lambda job: None)
    request, process = sent.of("transaction")
    (publish,) = request["spans"]
    assert publish["op"] == "queue.publish"
    assert publish["description"] == "mail"
    assert publish["data"]["messaging.message.id"] == job.id
    assert publish["data"]["messaging.destination.name"] == "mail"
    assert publish["data"]["messaging.message.body.size"] > 0
    context = process["contexts"]["trace"]
    assert (process["transaction"], context["op"]) == ("mail", "queue.process")
    assert process["transaction_info"] == {"source": "task"}
    assert context["status"] == "ok"
    assert context["trace_id"] == request["contexts"]["trace"]["trace_id"]
    assert context["parent_span_id"] == publish["span_id"]
    data = context["data"]
    assert data["messaging.message.id"] == job.id
    assert data["messaging.destination.name"] == "mail"
    assert data["messaging.message.receive.latency"] == 1_500
    assert data["messaging.message.retry.count"] == 0
    assert data["messaging.message.body.size"] == len(job.raw)
    assert sent.of("event") == []


def test_a_batch_is_one_span_with_its_size(stage: EngineStage, sent: Collected) -> None:
    with sentry_sdk.start_transaction(name="GET /"):
        stage.enqueuer.enqueue_many([("a", None), ("b", None)])
    (request,) = sent.of("transaction")
    (publish,) = request["spans"]
    assert publish["data"]["messaging.batch.message_count"] == 2
    assert "messaging.destination.name" not in publish["data"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_error_of_a_dead_job_is_sent_once_with_its_job(
    stage: EngineStage, sent: Collected, kind: str
) -> None:
    def fail(job: Job) -> None:
        raise ValueError("no such address")

    async def fail_on_loop(job: Job) -> None:
        await asyncio.sleep(0)
        fail(job)

    job = run(stage, fail if kind == "sync" else fail_on_loop, {"n": 7}, max_fails=1)
    (event,) = sent.of("event")
    exception = event["exception"]["values"][-1]
    assert (exception["type"], exception["value"]) == ("ValueError", "no such address")
    assert exception["mechanism"]["handled"] is False
    assert exception["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["contexts"]["workkit_job"] == {
        "id": job.id, "name": "mail", "attempt": 1, "args": {"n": 7},
    }  # fmt: skip
    process = sent.of("transaction")[-1]["contexts"]["trace"]
    assert process["status"] == "internal_error"
    assert event["contexts"]["trace"]["span_id"] == process["span_id"]


@pytest.mark.parametrize(
    ("error", "options", "events"),
    [
        (ValueError("no"), {}, 0),
        (ValueError("no"), {"max_fails": 1, "skip_dead": True}, 1),
        (Retry("later"), {}, 0),
        (Fail("never"), {}, 1),
        (Discard("not needed"), {}, 0),
        (Retry("wait", in_s=5, counts=False), {}, 0),
    ],
)
def test_only_the_last_failure_is_sent(
    stage: EngineStage, sent: Collected, error: Exception, options: Any, events: int
) -> None:
    def handler(job: Job) -> None:
        raise error

    run(stage, handler, **options)
    assert len(sent.of("event")) == events


def test_each_failure_is_sent_if_asked_for(stage: EngineStage) -> None:
    for sent in collecting(capture_retries=True):

        def fail(job: Job) -> None:
            raise ValueError("no")

        run(stage, fail)
        assert len(sent.of("event")) == 1


def test_secrets_of_args_are_sent_nowhere(stage: EngineStage, sent: Collected) -> None:
    def fail(job: Job) -> None:
        found = job.args
        copied = str(job.args)
        assert found
        assert copied
        raise ValueError(f"{SECRET} is not the password, nor is 123456")

    args = {"apiKey": SECRET, "deep": [{"Pin": 123456}], "to": "a@example.com"}
    run(stage, fail, args, max_fails=1)
    (event,) = sent.of("event")
    assert event["contexts"]["workkit_job"]["args"] == {
        "apiKey": "[redacted]", "deep": [{"Pin": "[redacted]"}], "to": "a@example.com",
    }  # fmt: skip
    assert event["exception"]["values"][-1]["value"] == (
        "[redacted] is not the password, nor is [redacted]"
    )
    assert SECRET not in sent.text
    assert "123456" not in sent.text


def test_what_a_handler_sends_itself_names_the_job_and_keeps_its_secrets(
    stage: EngineStage, sent: Collected
) -> None:
    run(stage, lambda job: sentry_sdk.capture_message(f"with {SECRET}") and None, {"token": SECRET})
    sentry_sdk.capture_message("outside")
    inside, outside = sent.of("event")
    assert inside["message"] == "with [redacted]"
    assert inside["contexts"]["workkit_job"]["name"] == "mail"
    assert "workkit_job" not in outside.get("contexts", {})


@pytest.mark.parametrize("value", ["garbage", "x" * 1_000_000, 7, None, {"a": 1}])
def test_a_trace_that_is_none_is_ignored(stage: EngineStage, sent: Collected, value: Any) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    fields = {"name": "mail", "id": "a1", "t": 1, "args": None, "sentry-trace": value}
    stage.redis.sadd(stage.keys.known_jobs, "mail")
    stage.redis.lpush(stage.keys.jobs("mail"), json.dumps(fields | {"baggage": value}))
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    (process,) = sent.of("transaction")
    assert process["contexts"]["trace"].get("parent_span_id") is None


def test_without_the_integration_nothing_is_sent(stage: EngineStage, sent: Collected) -> None:
    sentry_sdk.get_global_scope().set_client(sentry_sdk.Client(transport=sent))
    job = run(stage, lambda job: None)
    assert b"sentry-trace" not in job.raw
    assert sent.payloads == []


def test_both_kinds_of_tracing_go_together(stage: EngineStage, sent: Collected, seen: Seen) -> None:
    seen.tracing(baggage=True).instrument()
    job = run(stage, lambda job: None)
    assert b'"traceparent":' in job.raw
    assert b'"sentry-trace":' in job.raw
    assert len(seen.one("process mail").links) == 1
    request, process = sent.of("transaction")
    assert process["contexts"]["trace"]["trace_id"] == request["contexts"]["trace"]["trace_id"]
