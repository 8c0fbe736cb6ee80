"""Log records name the trace and the span that is active where they are written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.engine.stage import EngineStage
from tests.telemetry.tracing.conftest import Seen
from workkit import Job, JobLogFilter, add_job_fields

pytestmark = pytest.mark.one_server


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The lines of a logger whose handler has the filter."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler, log = Keep(), logging.getLogger("shop")
    handler.addFilter(JobLogFilter())
    handler.setFormatter(logging.Formatter("%(job_name)s %(trace_id)s %(span_id)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield found
    log.removeHandler(handler)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_record_of_a_handler_names_its_trace_and_span(
    stage: EngineStage, seen: Seen, lines: list[str], kind: str
) -> None:
    pool, log = stage.pool(), logging.getLogger("shop")

    def sync(job: Job) -> None:
        log.info("inside")

    async def on_loop(job: Job) -> None:
        log.info("inside")

    pool.job("mail", sync if kind == "sync" else on_loop)
    seen.tracing().instrument()
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    log.info("outside")
    context = seen.one("process mail").context
    assert lines == [
        f"mail {context.trace_id:032x} {context.span_id:016x} inside",
        "- - - outside",
    ]


def test_a_record_outside_of_handlers_names_the_active_span(seen: Seen, lines: list[str]) -> None:
    seen.tracing().instrument()
    with seen.tracer.start_as_current_span("GET /") as span:
        logging.getLogger("shop").info("in a request", extra={"span_id": "own"})
    trace_id = span.get_span_context().trace_id
    assert lines == [f"- {trace_id:032x} own in a request"]


def test_structlog_names_the_trace_too(stage: EngineStage, seen: Seen) -> None:
    events: list[dict[str, Any]] = []

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        events.append(dict(event))
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, processors=[add_job_fields, keep])
    pool = stage.pool()
    pool.job("mail", lambda job: log.info("inside"))
    seen.tracing().instrument()
    job = stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    log.info("outside")
    context = seen.one("process mail").context
    assert events == [
        {
            "event": "inside", "job_id": job.id, "job_name": "mail", "job_attempt": 1,
            "trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}",
        },
        {"event": "outside"},
    ]  # fmt: skip
