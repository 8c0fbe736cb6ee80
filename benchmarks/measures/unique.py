"""Unique jobs compared with plain ones."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.jobs import queue_names
from benchmarks.result import Result, Row, at_least
from workkit import Enqueuer

__all__ = ["measure"]

_JOBS = 50_000


def measure(bench: Bench) -> Result:
    """Measure how fast jobs run that were enqueued with `enqueue_unique`."""
    jobs, spec = bench.jobs(_JOBS), bench.spec()

    def enqueue_unique(count: int) -> None:
        enqueuer, names = Enqueuer("bench", bench.url), queue_names(10)
        for i in range(count):
            enqueuer.enqueue_unique(names[i % 10], {"i": i})

    samples = bench.rounds(
        "unique jobs/s",
        {
            "plain": lambda: bench.throughput(spec, jobs),
            "unique": lambda: bench.throughput(spec, jobs, enqueue=enqueue_unique),
        },
    )
    plain, unique = samples["plain"], samples["unique"]
    return Result(
        f"{jobs:,} no-op jobs of different args in 10 queues, one process, concurrency 20. Before "
        "a unique job starts, its key is freed in Redis.",
        [
            Row("plain", plain, "jobs/s"),
            Row("unique", unique, "jobs/s"),
            Row("unique over plain", unique.over(plain), "x", at_least(0.5)),
        ],
    )
