"""What Sentry receives: spans, transactions, and each error once, without secrets."""

from __future__ import annotations

import asyncio
import html
import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations import Integration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from tests.engine.stage import EngineStage
from tests.telemetry.tracing.conftest import Seen
from workkit import Job
from workkit.core import probes
from workkit.core.verdicts import Discard, Fail, Retry
from workkit.telemetry.sentry import _PROBE, WorkkitIntegration, _active_ids

pytestmark = pytest.mark.one_server

_CALL_HANDLERS = logging.Logger.callHandlers
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


def collecting(
    *, more: Sequence[Integration] = (), capture_retries: bool = False, **options: Any
) -> Iterator[Collected]:
    transport = Collected()
    own = WorkkitIntegration(capture_retries=capture_retries)
    options = {"traces_sample_rate": 1.0} | options
    client = sentry_sdk.Client(
        "http://key@127.0.0.1:1/1", transport=transport, integrations=[own, *more],
        auto_enabling_integrations=False, default_integrations=False, **options,
    )  # fmt: skip
    WorkkitIntegration.setup_once()  # the SDK does it once a process
    if more and logging.Logger.callHandlers is _CALL_HANDLERS:
        LoggingIntegration.setup_once()
    with sentry_sdk.isolation_scope() as scope:
        before = sentry_sdk.get_global_scope().client
        sentry_sdk.get_global_scope().set_client(client)
        scope.clear()
        scope.set_new_propagation_context()  # as in a new process
        try:
            yield transport
        finally:
            sentry_sdk.get_global_scope().set_client(before)
            client.close()
            logging.Logger.callHandlers = _CALL_HANDLERS  # type: ignore[method-assign]
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


def test_a_job_that_does_not_say_when_it_was_enqueued_has_no_latency(
    stage: EngineStage, sent: Collected
) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    job = {"name": "mail", "id": "1", "t": 0, "args": None}
    stage.redis.lpush(stage.keys.jobs("mail"), json.dumps(job))
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    (process,) = sent.of("transaction")
    data = process["contexts"]["trace"]["data"]
    assert data["messaging.message.id"] == "1"
    assert "messaging.message.receive.latency" not in data


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


ODD = 'it\'s "quoted"\\ and\n<b>é & 100%/half</b>'  # a secret that every notation escapes
SECRETS = [SECRET, ODD]


def written(secret: str) -> list[str]:
    """How a secret looks where libraries write it."""
    return [
        secret, repr(secret), ascii(secret), repr([secret]), repr(repr([secret])),
        json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(json.dumps({"a": secret})),
        json.dumps(json.dumps(secret)), quote(secret), quote(secret, safe=""), quote_plus(secret),
        html.escape(secret), repr(secret.encode()), repr(ValueError(secret)),
    ]  # fmt: skip


class Shown:
    """An object whose repr has a secret."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"<Shown {self._text}>"


def leaked(sent: Collected, secret: str) -> list[str]:
    """The parts of a secret that anything that was sent holds, in any notation."""
    letters = "hunter22" if secret == SECRET else "quoted"
    return [text for text in map(json.dumps, sent.payloads) if letters in text]


@pytest.mark.parametrize("secret", SECRETS, ids=["plain", "odd"])
def test_no_notation_of_a_secret_is_sent(stage: EngineStage, sent: Collected, secret: str) -> None:
    def fail(job: Job) -> None:
        texts = written(secret)
        scope = sentry_sdk.get_isolation_scope()
        scope.set_tag("tag", secret)
        scope.set_user({"id": 7, "name": secret})
        scope.set_extra("extra", (secret, {secret}, deque([secret]), Shown(secret), {secret: 1}))
        scope.set_context(
            "context", {"deep": {"bytes": secret.encode(), "frozen": {"a": (secret,)}}}
        )
        for text in texts:
            sentry_sdk.add_breadcrumb(message=text, data={"args": (text,), "object": Shown(text)})
        sentry_sdk.capture_event({
            "logentry": {"message": "%s %s", "params": (secret, Shown(secret))},
            "extra": {"args": (secret,), "kwargs": {"a": Shown(secret)}},
            "request": {"url": f"http://a/?q={quote(secret)}", "data": secret},
        })  # fmt: skip
        raise ValueError(" | ".join(texts), Shown(secret))

    run(stage, fail, {"token": secret}, max_fails=1)
    assert len(sent.of("event")) == 2
    assert leaked(sent, secret) == []


@pytest.mark.parametrize("secret", SECRETS, ids=["plain", "odd"])
def test_no_secret_leaves_by_the_logs_of_the_program(stage: EngineStage, secret: str) -> None:
    log = logging.getLogger("shop.mail")
    log.setLevel(logging.INFO)

    def fail(job: Job) -> None:
        log.info("before %s %r", secret, Shown(secret), extra={"own": secret, "args_": (secret,)})
        log.error("with %(token)s", {"token": secret}, extra={"more": Shown(secret)})
        log.warning("with " + secret)  # noqa: G003 - as a user may write it
        raise ValueError

    integrations = [LoggingIntegration(event_level=logging.ERROR, sentry_logs_level=logging.INFO)]
    for sent in collecting(more=integrations, enable_logs=True):
        run(stage, fail, {"token": secret}, max_fails=1)
        sentry_sdk.flush()
        assert len(sent.of("event")) == 2
        assert len(sent.of("log")) == 1
        assert "before" in sent.text
        assert leaked(sent, secret) == []


def test_the_users_own_step_before_a_log_is_sent_sees_it_without_secrets(
    stage: EngineStage,
) -> None:
    seen: list[str] = []

    def before_send_log(log: Any, hint: Any) -> Any:
        seen.append(repr(log))
        return None

    for sent in collecting(enable_logs=True, before_send_log=before_send_log):
        run(stage, lambda job: sentry_sdk.logger.info(f"with {SECRET}"), {"token": SECRET})
        sentry_sdk.logger.info(f"outside {SECRET}")
        sentry_sdk.flush()
        assert sent.of("log") == []
    inside, outside = seen
    assert SECRET not in inside
    assert "[redacted]" in inside
    assert SECRET in outside


@pytest.mark.parametrize("form", ["send", "many", "in", "unique"])
@pytest.mark.parametrize("rate", [1.0, 0.0, None])
def test_outside_of_a_transaction_a_job_carries_the_trace_of_the_scope(
    stage: EngineStage, form: str, rate: float | None
) -> None:
    for sent in collecting(traces_sample_rate=rate):
        trace_id = sentry_sdk.get_isolation_scope().get_active_propagation_context().trace_id
        match form:
            case "send":
                raw = stage.enqueuer.enqueue("mail").raw
            case "many":
                raw = stage.enqueuer.enqueue_many([("mail", None)])[0].raw
            case "in":
                raw = stage.enqueuer.enqueue_in("mail", 5).job.raw
            case _:
                job = stage.enqueuer.enqueue_unique("mail", {"n": 1})
                assert job is not None
                raw = job.raw
        fields = json.loads(raw)
        assert fields["sentry-trace"].split("-")[0] == trace_id
        assert f"sentry-trace_id={trace_id}" in fields["baggage"]
        del sent


def test_the_error_of_a_job_is_in_the_trace_of_a_caller_without_a_transaction(
    stage: EngineStage, sent: Collected
) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: 1 / 0, max_fails=1)
    sentry_sdk.capture_message("before")
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    message, error = sent.of("event")
    (process,) = sent.of("transaction")
    traces = [each["contexts"]["trace"]["trace_id"] for each in (message, error, process)]
    assert traces == traces[:1] * 3


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
