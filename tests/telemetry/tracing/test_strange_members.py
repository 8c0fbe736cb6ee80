"""Jobs with members of any name run, are logged and are traced as others."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.stage import EngineStage
from tests.telemetry.tracing.conftest import Seen
from workkit import Enqueuer, Job, JobLogFilter
from workkit.core.probes import Incoming, Where
from workkit.tools.cli.common.logs import _JsonFormatter

pytestmark = pytest.mark.one_server

NAMES = [
    *vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "job_id", "job_name",
    "job_attempt", "trace_id", "span_id", "level", "time", "extra", "traceparent", "tracestate",
    "baggage", "sentry-trace", "messaging.system", "messaging.message.id", "error.type", "raw",
    "workkit.outcome", "workkit_job", "tags", "contexts", "__class__", "self", "",
]  # fmt: skip


@pytest.mark.parametrize("value", ["x", 7, None, {"a": [1]}], ids=repr)
def test_a_job_whose_members_are_named_like_fields_of_logs_and_traces_is_logged_and_traced(
    stage: EngineStage, seen: Seen, value: Any
) -> None:
    lines: list[str] = []
    formatter = _JsonFormatter(None)

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    handler, log, pool = Keep(), logging.getLogger("shop"), stage.pool()
    handler.addFilter(JobLogFilter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)

    @pool.job(backoff=lambda *_: 0)
    def mail(job: Job) -> None:
        log.info("inside %s", job.id)
        raise ValueError

    seen.tracing(baggage=True).instrument()
    members = {name: value for name in NAMES if name not in {"name", "args", "id"}}
    own = {"name": "mail", "id": "a1", "t": 1, "args": {}}
    stage.redis.sadd(stage.keys.known_jobs, "mail")
    stage.redis.lpush(stage.keys.jobs("mail"), json.dumps(own | members))
    try:
        threaded = stage.threaded(pool)
        threaded.turn()
        threaded.settle()
    finally:
        log.removeHandler(handler)
    (line,) = (json.loads(line) for line in lines)
    span = seen.one("process mail")
    assert (line["message"], line["job_id"], line["job_attempt"]) == ("inside a1", "a1", 1)
    assert line["trace_id"] == f"{span.context.trace_id:032x}"
    assert span.attributes["messaging.message.id"] == "a1"
    assert span.attributes["messaging.system"] == "workkit"
    assert stage.outcomes() == ["retry"]
    (kept,) = (json.loads(raw) for raw in stage.redis.zrange(stage.key("retry"), 0, -1))
    assert kept.items() >= members.items()


def test_a_stop_gives_up_a_job_whose_probe_hangs_as_it_starts(
    make_pool: MakePool, enqueuer: Enqueuer, wait_until: WaitUntil
) -> None:
    begun, released = threading.Event(), threading.Event()

    class Hangs:
        def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> None: ...

        def runs(self, job: Incoming) -> None:
            begun.set()
            released.wait(30)

    pool = make_pool(concurrency=1)
    pool.job("mail", lambda job: None)
    pool.probes = (Hangs(),)
    enqueuer.enqueue("mail")
    pool.start()
    try:
        assert begun.wait(30)
        assert pool.health.live
        pool.stop(0.1)
        assert pool.totals["returned"] == 1
    finally:
        released.set()
