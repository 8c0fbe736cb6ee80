"""No-op jobs with sync handlers, and with async ones."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.result import Result, Row, at_least

__all__ = ["measure"]

_JOBS = 100_000


def measure(bench: Bench) -> Result:
    """Measure sync handlers at concurrency 20 and async ones at 100, in turn."""
    jobs = bench.jobs(_JOBS)
    sync = bench.spec("sync", concurrency=20)
    asynchronous = bench.spec("async", concurrency=100)
    samples = bench.rounds(
        "no-op jobs/s",
        {
            "sync": lambda: bench.throughput(sync, jobs),
            "async": lambda: bench.throughput(asynchronous, jobs),
        },
    )
    return Result(
        f"{jobs:,} jobs in 10 queues, enqueued before the worker starts. One process, one "
        "middleware, and all defaults: locks, heartbeats, observations, history. The goals against "
        "other libraries stand in the other section.",
        [
            Row("sync no-op, concurrency 20", samples["sync"], "jobs/s"),
            Row("async no-op, concurrency 100", samples["async"], "jobs/s"),
            Row("async over sync", samples["async"].over(samples["sync"]), "x", at_least(1.0)),
        ],
    )
