"""Whatever probes, exporters and observers do, jobs run and pools stop."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from tests.engine.conftest import MakePool
from tests.engine.stage import EngineStage
from workkit import Enqueuer, Job
from workkit.core import guarding
from workkit.core.probes import Ended, Incoming, Probe, Where
from workkit.engine.observing import Executed, PoolObserver
from workkit.engine.process.courier import TELLER
from workkit.telemetry.otel import Tracing

pytestmark = pytest.mark.one_server

PATIENCE_S = 30
PARTS = ["sends", "members", "sent", "runs", "enter", "leave", "ended"]


class OwnBaseError(BaseException):
    """An error of a library that wants to be caught by nobody."""


class Broken:
    """A probe of which one part raises."""

    def __init__(self, part: str, error: type[BaseException]) -> None:
        self._part = part
        self._error = error

    def _do(self, part: str) -> None:
        if part == self._part:
            raise self._error(part)

    def sends(self, jobs: Any, where: Where, *, many: bool) -> Any:
        self._do("sends")
        return _BrokenSend(self)

    def runs(self, job: Incoming) -> Any:
        self._do("runs")
        return _BrokenRun(self)


class _BrokenSend:
    def __init__(self, probe: Broken) -> None:
        self._probe = probe

    def members(self, at: int) -> dict[str, str]:
        self._probe._do("members")
        return {}

    def ended(self, error: BaseException | None, *, accepted: bool) -> None:
        self._probe._do("sent")


class _BrokenRun:
    def __init__(self, probe: Broken) -> None:
        self._probe = probe

    def enter(self) -> None:
        self._probe._do("enter")

    def leave(self, entered: object) -> None:
        self._probe._do("leave")

    def ended(self, end: Ended) -> None:
        self._probe._do("ended")


ERRORS = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, OwnBaseError]


def on_another_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function where no signal handler runs."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function, *args).result(PATIENCE_S)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("error", [*ERRORS, ZeroDivisionError])
@pytest.mark.parametrize("part", PARTS)
def test_a_probe_that_raises_anything_is_logged_once_and_harms_no_job(
    stage: EngineStage,
    caplog: pytest.LogCaptureFixture,
    part: str,
    error: type[BaseException],
    kind: str,
) -> None:
    pool, ran = stage.pool(), []

    async def on_loop(job: Job) -> None:
        ran.append(job.id)

    pool.job("mail", on_loop if kind == "async" else (lambda job: ran.append(job.id)))
    pool.probes = stage.enqueuer.probes = (Broken(part, error),)
    jobs = [on_another_thread(stage.enqueuer.enqueue, "mail") for _ in range(2)]
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    threaded.settle()
    assert set(ran) == {job.id for job in jobs}
    assert stage.outcomes() == ["done", "done"]
    (record,) = (r for r in caplog.records if "telemetry is incomplete" in r.message)
    assert "test_harmless" in record.message


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_and_sigterm_on_the_main_thread_reach_the_program_also_inside_a_probe(
    stage: EngineStage, error: type[BaseException]
) -> None:
    stage.enqueuer.probes = (Broken("sends", error),)
    with pytest.raises(error):
        stage.enqueuer.enqueue("mail")


def test_what_has_no_methods_of_a_probe_harms_no_job(
    stage: EngineStage, caplog: pytest.LogCaptureFixture
) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    pool.probes = stage.enqueuer.probes = (object(), None, 7)  # type: ignore[assignment]
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    assert stage.outcomes() == ["done"]
    assert "builtins.int.runs has failed" in caplog.text


class Adds:
    """A probe that adds members to jobs."""

    def __init__(self, members: Any) -> None:
        self._members = members

    def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> Any:
        return self

    def members(self, at: int) -> Any:
        return self._members

    def ended(self, error: BaseException | None, *, accepted: bool) -> None: ...

    def runs(self, job: Incoming) -> None: ...


FIELDS = [
    "name", "id", "t", "args", "unique", "unique_key", "unique_until", "fails", "err",
    "failed_at", "t_ms", "ID", "Name", "fail\u017f", "Failed_At",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_member_cannot_take_the_place_of_a_field(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    stage.enqueuer.probes = (Adds({field: "1"}), Adds({"shop": "2"}))
    job = stage.enqueuer.enqueue("mail", {"n": 1})
    pairs = json.loads(job.raw, object_pairs_hook=list)
    assert [name for name, _ in pairs] == ["name", "id", "t", "args", "t_ms", "shop"]
    assert f"the member '{field}' has the name of a field of jobs" in caplog.text


@pytest.mark.parametrize(
    "members",
    [{"a": 1}, {"a": None}, {1: "a"}, {"a": b"b"}, {"a": {}}, ["ab"], "text", 7],
    ids=repr,
)
def test_members_that_are_not_texts_are_left_out(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, members: Any
) -> None:
    stage.enqueuer.probes = (Adds(members), Adds({"shop": "2"}))
    raw = stage.enqueuer.enqueue("mail").raw
    assert raw.endswith(b',"shop":"2"}')
    assert "Adds.members has failed" in caplog.text


@pytest.mark.parametrize(
    "members",
    [
        {f"m{n}": "x" * 8_000 for n in range(1_000)},
        {"x" * 1_000_000: "a"},
        {"a": "\x01" * 8_000},
        {"a": "x" * 1_000_000},
    ],
    ids=["many", "long name", "escapes", "long value"],
)
def test_what_a_probe_adds_to_a_job_is_bounded(stage: EngineStage, members: Any) -> None:
    plain = len(stage.enqueuer.enqueue("mail").raw)
    stage.enqueuer.probes = (Adds(members),)
    assert len(stage.enqueuer.enqueue("mail").raw) <= plain + 33_000


def test_baggage_of_two_probes_is_joined_only_while_it_fits(stage: EngineStage) -> None:
    stage.enqueuer.probes = (
        Adds({"baggage": "a=" + "x" * 5_000}), Adds({"baggage": "b=" + "y" * 5_000}),
        Adds({"baggage": "c=1"}),
    )  # fmt: skip
    found = json.loads(stage.enqueuer.enqueue("mail").raw)["baggage"]
    assert found == "a=" + "x" * 5_000 + ",c=1"


@pytest.mark.parametrize(
    "name",
    [*vars(logging.makeLogRecord({})), "message", "job_id", "trace_id", "span_id", "level", "time"],
)
def test_a_source_of_trace_ids_cannot_change_other_fields_of_a_record(name: str) -> None:
    from workkit.core import current, probes

    def source() -> dict[str, Any]:
        return {name: "forged", "trace_id": "1", "span_id": "2"}

    record = logging.makeLogRecord({"msg": "hello"})
    before = dict(vars(record))
    probes.add_trace_source(source)
    try:
        current.stamp(record)
    finally:
        probes.remove_trace_source(source)
    assert vars(record) == before | {"trace_id": "1", "span_id": "2"}


@pytest.mark.parametrize("error", [*ERRORS, ValueError])
def test_a_source_of_trace_ids_that_raises_harms_no_record(error: type[BaseException]) -> None:
    from workkit.core import current, probes

    def source() -> dict[str, str]:
        raise error

    record = logging.makeLogRecord({"msg": "hello"})
    probes.add_trace_source(source)
    try:
        on_another_thread(current.stamp, record)
    finally:
        probes.remove_trace_source(source)
    assert not hasattr(record, "trace_id")


# What hangs


class Hanging(SpanExporter):
    """An exporter that does not return until it is released."""

    def __init__(self) -> None:
        self.hangs, self.released = threading.Event(), threading.Event()
        self.threads: set[str] = set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.threads.add(threading.current_thread().name)
        self.hangs.set()
        self.released.wait(PATIENCE_S)
        return SpanExportResult.SUCCESS


@pytest.fixture
def hanging() -> Any:
    exporter = Hanging()
    yield exporter
    exporter.released.set()
    TELLER.flush(PATIENCE_S)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_exporter_that_hangs_holds_up_neither_the_pool_nor_its_stop(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    hanging: Hanging,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(hanging))
    pool = make_pool(concurrency=2)

    async def on_loop(job: Job) -> None: ...

    pool.job("mail", on_loop if kind == "async" else (lambda job: None))
    Tracing(provider).instrument(pool)
    enqueuer.enqueue_many([("mail", None)] * 1_500)
    with pool:
        assert pool.drain(PATIENCE_S).complete
        assert hanging.hangs.wait(PATIENCE_S)
    assert pool.totals["done"] == 1_500
    assert hanging.threads == {"workkit-telemetry"}
    assert "jobs are not affected" in caplog.text
    assert "an exporter or an observer hangs" in caplog.text


class HangingObserver(PoolObserver):
    """An observer that does not return until it is released."""

    def __init__(self, exporter: Hanging) -> None:
        self._exporter = exporter

    def executed(self, executions: Sequence[Executed]) -> None:
        self._exporter.export([])


def test_an_observer_that_hangs_holds_up_neither_the_pool_nor_its_stop(
    make_pool: MakePool, enqueuer: Enqueuer, hanging: Hanging
) -> None:
    pool = make_pool(concurrency=2)
    pool.job("mail", lambda job: None)
    pool.observe(HangingObserver(hanging))
    enqueuer.enqueue_many([("mail", None)] * 100)
    with pool:
        assert pool.drain(PATIENCE_S).complete
        assert hanging.hangs.wait(PATIENCE_S)
        assert pool.health.live
    assert pool.totals["done"] == 100
    assert hanging.threads == {"workkit-telemetry"}


@pytest.mark.parametrize("error", [*ERRORS, ValueError])
@pytest.mark.parametrize("is_quick", [True, False])
def test_an_observer_that_raises_anything_ends_nothing(
    make_pool: MakePool, enqueuer: Enqueuer, error: type[BaseException], is_quick: bool
) -> None:
    class Raising(PoolObserver):
        def executed(self, executions: Sequence[Executed]) -> None:
            raise error

    Raising.is_quick = is_quick
    pool = make_pool(concurrency=2)
    pool.job("mail", lambda job: None)
    pool.observe(Raising())
    with pool:
        for _ in range(2):
            enqueuer.enqueue("mail")
            assert pool.drain(PATIENCE_S).complete
        assert pool.health.live
    assert pool.totals["done"] == 2
    assert not pool.ended_itself


def test_a_probe_that_hangs_as_a_handler_starts_is_interrupted_by_the_timeout_of_the_job(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    begun = threading.Event()

    class Spins(Adds):
        def runs(self, job: Incoming) -> Any:
            begun.set()
            while True:
                pass

    pool = make_pool(concurrency=1)
    pool.job("mail", lambda job: None, timeout=0.05, max_fails=1)
    pool.probes = (Spins({}),)
    enqueuer.enqueue("mail")
    with pool:
        assert pool.drain(PATIENCE_S).complete
    assert begun.is_set()
    assert pool.totals["dead"] == 1


def test_a_span_that_is_told_late_ends_when_its_handler_did(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    ended: list[Ended] = []
    gate = threading.Event()

    class Late:
        def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> None: ...

        def runs(self, job: Incoming) -> Any:
            return self

        def enter(self) -> None: ...

        def leave(self, entered: object) -> None: ...

        def ended(self, end: Ended) -> None:
            gate.wait(PATIENCE_S)
            ended.append(end)

    probe: Probe = Late()
    pool = make_pool(concurrency=1)
    pool.job("mail", lambda job: None)
    pool.probes = (probe,)
    enqueuer.enqueue("mail")
    with pool:
        assert pool.drain(0.5) is not None
        gate.set()
    (end,) = ended
    first = end.ago_s
    assert 0 < first <= end.ago_s


def test_a_warning_is_logged_once_for_each_subject(caplog: pytest.LogCaptureFixture) -> None:
    for about in ("a", "b", "a"):
        guarding.warn_once(about, "about %s", about)
    assert [record.message for record in caplog.records] == ["about a", "about b"]
