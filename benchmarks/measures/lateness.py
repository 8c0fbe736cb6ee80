"""How late scheduled jobs start."""

from __future__ import annotations

import time

from benchmarks.bench import Bench
from benchmarks.figures import Sample, percentile
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers
from workkit import Enqueuer

__all__ = ["measure"]

_SECONDS = 30
_JOBS_A_SECOND = 20
_AHEAD_S = 2


def measure(bench: Bench) -> Result:
    """Measure from the beginning of the second for which a job is scheduled to its handler."""
    late_ms: list[list[float]] = []
    seconds = max(round(bench.seconds(_SECONDS)), 1)

    def side() -> float:
        late_ms.append(_late_ms(bench, seconds))
        return percentile(late_ms[-1], 0.5)

    bench.rounds("lateness ms", {"scheduled": side})
    return Result(
        f"{_JOBS_A_SECOND} jobs of different names for each of {seconds} consecutive seconds, "
        "scheduled beforehand; one otherwise idle pool, concurrency 20. From the beginning of the "
        "second by the wall clock of the machine to the first line of the handler.",
        [
            Row(
                f"scheduled job: {label}",
                Sample.of([percentile(values, share) for values in late_ms]),
                "ms",
                at_most(50) if label == "p99" else None,
            )
            for label, share in (("median", 0.5), ("p99", 0.99), ("worst", 1.0))
        ],
    )


def _late_ms(bench: Bench, seconds: int) -> list[float]:
    bench.empty()
    enqueuer = Enqueuer("bench", bench.url)
    with Workers(bench.spec("lateness")) as workers:
        first = int(time.time()) + _AHEAD_S
        for run_at in range(first, first + seconds):
            for i in range(_JOBS_A_SECOND):
                enqueuer.enqueue_at(f"job{i % 10}", run_at, {"run_at": run_at})
        workers.await_count(seconds * _JOBS_A_SECOND)
        return [value * 1000 for value in workers.values()]
