"""The cost of metrics: no-op throughput and processor time with them, and without, in turn."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.figures import Sample, rate
from benchmarks.jobs import WorkerSpec, queue_names
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers

__all__ = ["measure"]

_JOBS = 100_000


def measure(bench: Bench) -> Result:
    """Measure sync no-op handlers with metrics off and on."""
    jobs = bench.jobs(_JOBS)
    specs = {"off": bench.spec("sync"), "on": replace(bench.spec("sync"), metrics=True)}
    spent: dict[str, list[float]] = {name: [] for name in specs}

    def run(name: str, spec: WorkerSpec) -> float:
        throughput, micros = _run(bench, spec, jobs)
        spent[name].append(micros)
        return throughput

    samples = bench.rounds(
        "no-op jobs/s",
        {"off": lambda: run("off", specs["off"]), "on": lambda: run("on", specs["on"])},
    )
    off, on = Sample.of(spent["off"]), Sample.of(spent["on"])
    ratio = samples["on"].over(samples["off"])
    return Result(
        f"{jobs:,} no-op jobs in 10 queues, sync, concurrency 20, enqueued before the worker "
        "starts; without metrics, and with metrics that are sorted five times a second, as under a "
        "supervisor. The cost is what is lost, round by round.",
        [
            Row("metrics off", samples["off"], "jobs/s"),
            Row("metrics on", samples["on"], "jobs/s"),
            Row("on over off", ratio, "x"),
            Row("cost of throughput", _lost(ratio), "%", at_most(3)),
            Row("processor time, off", off, "us/job"),
            Row("processor time, on", on, "us/job"),
            Row("processor time, on over off", on.over(off), "x"),
        ],
    )


def _run(bench: Bench, spec: WorkerSpec, jobs: int) -> tuple[float, float]:
    """Return jobs a second, and microseconds of the worker's processor time a job."""
    bench.empty()
    bench.enqueue(jobs, queue_names(spec.queues))
    with Workers(spec) as workers:
        workers.await_count(jobs)
        throughput = rate(workers.values())
        return throughput, 1e6 * workers.processor_s() / jobs


def _lost(ratio: Sample) -> Sample:
    return Sample.of([100 * (1 - share) for share in ratio.values])
