"""How telemetry is turned on, and what it costs where it is not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module

import pytest

from tests.engine.stage import EngineStage
from tests.house.sources import ROOT
from tests.telemetry.tracing.conftest import Seen
from workkit.core import probes
from workkit.errors import InvalidOption
from workkit.simulation import Simulation
from workkit.telemetry.otel import Tracing


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
