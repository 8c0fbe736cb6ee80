"""The cost of history: no-op throughput with it, with args as well, and without."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample
from benchmarks.jobs import Remembering
from benchmarks.result import Result, Row, at_most

__all__ = ["measure"]

_JOBS = 100_000


def measure(bench: Bench) -> Result:
    """Measure sync no-op handlers with history off, on, and on with args."""
    jobs = bench.jobs(_JOBS)
    samples = bench.rounds(
        "no-op jobs/s",
        {
            "off": _side(bench, jobs, "nothing"),
            "on": _side(bench, jobs, "default"),
            "args": _side(bench, jobs, "args"),
        },
    )
    return Result(
        f"{jobs:,} no-op jobs in 10 queues, sync, concurrency 20, enqueued before the worker "
        "starts; history off, with its defaults, and with args and check-ins as well. The cost is "
        "what is lost of the throughput without history, round by round.",
        [
            Row("history=None", samples["off"], "jobs/s"),
            Row("history with its defaults", samples["on"], "jobs/s"),
            Row("history with args and check-ins", samples["args"], "jobs/s"),
            Row("cost of history", _lost(samples["on"], samples["off"]), "%", at_most(10)),
            Row("cost with args and check-ins", _lost(samples["args"], samples["off"]), "%"),
        ],
    )


def _side(bench: Bench, jobs: int, remembering: Remembering) -> Side:
    spec = replace(bench.spec("sync", concurrency=20), remembering=remembering)
    return lambda: bench.throughput(spec, jobs)


def _lost(with_it: Sample, without: Sample) -> Sample:
    return Sample.of([100 * (1 - share) for share in with_it.over(without).values])
