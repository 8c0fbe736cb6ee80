"""CPU-bound jobs with one process and with two."""

from __future__ import annotations

import time

from benchmarks.bench import Bench
from benchmarks.figures import rate
from benchmarks.jobs import WorkerSpec, burn, queue_names
from benchmarks.result import Result, Row, at_least
from benchmarks.workers import Workers, cli_takes_processes

__all__ = ["measure"]

_JOBS = 5_000
_TRIED_LOOPS = 20_000
_TRIES = 15


def measure(bench: Bench) -> Result:
    """Measure jobs of about 1 ms of pure Python."""
    jobs = bench.jobs(_JOBS)
    loops = _loops_in_a_millisecond()
    spec = bench.spec("burn", loops=loops)
    supervised = cli_takes_processes()
    samples = bench.rounds(
        "CPU-bound jobs/s",
        {
            "one": lambda: _throughput(bench, spec, jobs, 1, supervised=supervised),
            "two": lambda: _throughput(bench, spec, 2 * jobs, 2, supervised=supervised),
        },
    )
    how = "`workkit worker --processes`" if supervised else "two worker processes, started apart"
    return Result(
        f"{jobs:,} jobs a process, {loops:,} rounds of integer arithmetic each, which took 1 ms "
        f"when nothing else ran; 10 queues, concurrency 20. Started by {how}.",
        [
            Row("one process", samples["one"], "jobs/s"),
            Row("two processes", samples["two"], "jobs/s"),
            Row("two over one", samples["two"].over(samples["one"]), "x", at_least(1.8)),
        ],
    )


def _throughput(
    bench: Bench, spec: WorkerSpec, jobs: int, processes: int, *, supervised: bool
) -> float:
    bench.empty()
    bench.enqueue(jobs, queue_names(spec.queues))
    with Workers(spec, processes, supervised=supervised) as workers:
        workers.await_count(jobs)
        return rate(workers.values())


def _loops_in_a_millisecond() -> int:
    best_s = float("inf")
    for _ in range(_TRIES):
        before = time.perf_counter()
        burn(_TRIED_LOOPS)
        best_s = min(best_s, time.perf_counter() - before)
    return round(_TRIED_LOOPS * 0.001 / best_s)
