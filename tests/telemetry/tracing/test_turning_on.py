"""How telemetry is turned on, and what it costs where it is not."""

from __future__ import annotations

import logging
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from tests.engine.stage import EngineStage
from tests.house.sources import ROOT
from tests.telemetry.tracing.conftest import Seen
from workkit import JobLogFilter, WorkerPool
from workkit.core import probes
from workkit.errors import InvalidOption
from workkit.simulation import Simulation
from workkit.telemetry.otel import Tracing, WorkkitInstrumentor


def test_the_library_imports_no_telemetry() -> None:
    """The import contracts say the same of opentelemetry, which redis-py imports itself."""
    code = (
        "import sys, workkit, workkit.tasks, workkit.tools.cli.app\n"
        "workkit.Enqueuer('work', 'redis://localhost'); workkit.WorkerPool('w', 'redis://localhost')\n"
        "assert not {'workkit.telemetry', 'sentry_sdk'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [("otel", "opentelemetry", "otel"), ("sentry", "sentry_sdk", "sentry")],
)
def test_without_the_extra_the_error_names_it(module: str, library: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        f"try: import workkit.telemetry.{module}\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert f"pip install 'workkit[{extra}]'" in done.stdout


@pytest.mark.one_server
def test_the_entry_point_turns_tracing_on_and_off_for_the_process(
    stage: EngineStage, seen: Seen
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["entry-points"]["opentelemetry_instrumentor"]["workkit"].partition(
        ":"
    )
    instrumentor = getattr(import_module(module), name)
    for _ in range(2):  # a second call changes nothing
        instrumentor().instrument(tracer_provider=seen.tracers, skip_dep_check=True)
    stage.enqueuer.enqueue("mail")
    assert [span.name for span in seen.spans] == ["send mail"]
    instrumentor().uninstrument()
    assert probes.attached(()) == ()


@pytest.mark.parametrize("whole_process", [True, False])
def test_a_simulation_is_traced_as_a_pool_is(seen: Seen, whole_process: bool) -> None:
    with Simulation(seed=1) as sim:
        pool = sim.pool()
        seen.tracing(child=True).instrument(*(() if whole_process else (pool, sim.enqueuer)))
        pool.job("mail", lambda job: sim.enqueuer.enqueue("other"))

        @pool.job("other", max_fails=1)
        async def other(job: object) -> None:
            raise ValueError("no")

        sim.enqueuer.enqueue("mail")
        sim.run_for(minutes=1)
    names = ["send mail", "send other", "process mail", "process other"]
    assert [span.name for span in seen.spans] == names
    assert len({span.context.trace_id for span in seen.spans if span.context}) == 1


@pytest.mark.parametrize(
    "options", [{"child": 1}, {"baggage": "yes"}, {"max_create_spans": -1}, {"tracestate": None}]
)
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Tracing(**options)  # type: ignore[arg-type]


def test_a_job_that_comes_back_after_a_crash_links_to_its_sender(seen: Seen) -> None:
    seen.tracing(child=True).instrument()
    with Simulation(seed=1) as sim:
        for _ in range(2):
            sim.pool().job("mail", lambda job: None, takes=30)
        sim.enqueuer.enqueue("mail")
        sim.run_for(5)
        (running,) = [pool for pool in sim.pools if pool.busy]
        sim.crash(running)
        sim.run_for(minutes=5)
    (send,), (process,) = seen.named("send mail"), seen.named("process mail")
    assert process.parent is None
    assert [link.context.span_id for link in process.links] == [send.context.span_id]
    assert process.attributes["workkit.outcome"] == "done"


def logged_trace() -> object:
    """The trace that a log record of now names."""
    record = logging.makeLogRecord({"name": "shop"})
    JobLogFilter().filter(record)
    return getattr(record, "trace_id", None)


@pytest.mark.one_server
@pytest.mark.parametrize("how", ["process", "enqueuer", "pool", "both", "all without arguments"])
def test_after_the_tracing_is_off_log_records_name_no_trace(
    stage: EngineStage, seen: Seen, how: str
) -> None:
    pool = stage.pool()
    places: dict[str, tuple[Any, ...]] = {
        "process": (), "enqueuer": (stage.enqueuer,), "pool": (pool,),
        "both": (pool, stage.enqueuer), "all without arguments": (pool, stage.enqueuer),
    }  # fmt: skip
    watched, tracing = places[how], seen.tracing()
    with seen.tracer.start_as_current_span("GET /") as span:
        for _ in range(2):
            assert logged_trace() == "-"
            tracing.instrument(*watched)
            assert logged_trace() == f"{span.get_span_context().trace_id:032x}"
            tracing.uninstrument(*(watched if "without" not in how else ()))
        assert logged_trace() == "-"
    assert pool.probes == stage.enqueuer.probes == ()


@pytest.mark.one_server
def test_one_of_two_places_keeps_the_traces_in_the_log(stage: EngineStage, seen: Seen) -> None:
    pool, tracing = stage.pool(), seen.tracing()
    tracing.instrument(pool)
    tracing.instrument(stage.enqueuer)
    with seen.tracer.start_as_current_span("GET /"):
        tracing.uninstrument(pool)
        assert logged_trace() != "-"
        tracing.uninstrument(stage.enqueuer)
        assert logged_trace() == "-"


@pytest.mark.one_server
def test_something_wrong_changes_nothing(stage: EngineStage, seen: Seen) -> None:
    with pytest.raises(InvalidOption):
        seen.tracing().instrument(stage.enqueuer, "mail")  # type: ignore[arg-type]
    with seen.tracer.start_as_current_span("GET /"):
        assert logged_trace() == "-"
    assert stage.enqueuer.probes == ()


@pytest.mark.one_server
@pytest.mark.parametrize("whole_process", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_a_second_tracing_of_a_place_warns_and_doubles_nothing(
    stage: EngineStage,
    seen: Seen,
    caplog: pytest.LogCaptureFixture,
    whole_process: bool,
    same: bool,
) -> None:
    watched = () if whole_process else (stage.enqueuer,)
    first = seen.tracing()
    first.instrument(*watched)
    second = first if same else seen.tracing()
    second.instrument(*watched)
    stage.enqueuer.enqueue("mail")
    assert [span.name for span in seen.spans] == ["send mail"]
    (warning,) = caplog.records
    assert "is already instrumented by" in warning.message
    assert ("this Tracing" if same else "another Tracing") in warning.message
    second.uninstrument(*watched)
    first.uninstrument(*watched)
    second.instrument(*watched)
    stage.enqueuer.enqueue("mail")
    assert len(seen.spans) == 2


@pytest.mark.one_server
@pytest.mark.parametrize("own_first", [True, False])
def test_the_tracing_of_a_pool_takes_the_place_of_that_of_the_process(
    stage: EngineStage, seen: Seen, own_first: bool
) -> None:
    pool = stage.pool()
    pool.job("mail", lambda job: None)
    instrument: list[Callable[[], None]] = [
        lambda: seen.tracing(child=True).instrument(pool, stage.enqueuer),
        lambda: seen.tracing().instrument(),
    ]
    for each in instrument if own_first else reversed(instrument):
        each()
    stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    assert [span.name for span in seen.spans] == ["send mail", "process mail"]
    assert seen.one("process mail").parent is not None


@pytest.mark.one_server
def test_code_and_the_entry_point_together_trace_once(
    stage: EngineStage, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    seen.tracing().instrument()
    WorkkitInstrumentor().instrument(tracer_provider=seen.tracers)
    stage.enqueuer.enqueue("mail")
    assert [span.name for span in seen.spans] == ["send mail"]
    assert "already instrumented by another Tracing" in caplog.text
    WorkkitInstrumentor().uninstrument()
    stage.enqueuer.enqueue("mail")
    assert len(seen.spans) == 2


def test_a_running_pool_can_be_told_to_stop_tracing_later(
    redis_url: str, namespace: str, seen: Seen
) -> None:
    pool, tracing = WorkerPool(namespace, redis_url), seen.tracing()
    pool.job("mail", lambda job: None)
    tracing.instrument(pool)
    with pool:
        tracing.uninstrument(pool)
        assert list(pool.probes) == [tracing]
    again = WorkerPool(namespace, redis_url)
    tracing.instrument(again)
    tracing.uninstrument(again)
    assert again.probes == ()
