"""How fast due jobs go back to their queues, and whether a pool can stop during that."""

from __future__ import annotations

import json
import time

from benchmarks.bench import Bench
from benchmarks.result import Result, Row, at_least, at_most
from benchmarks.workers import Workers
from workkit import Client

__all__ = ["measure"]

_JOBS = 100_000
_CHUNK = 5_000
_SCHEDULED = "bench:scheduled"
_POLL_S = 0.002


def measure(bench: Bench) -> Result:
    """Measure a pool that starts when many scheduled jobs are due."""
    jobs = bench.jobs(_JOBS)
    samples = bench.rounds(
        "requeue",
        {"jobs/s": lambda: _rate(bench, jobs), "stop ms": lambda: 1000 * _stop_s(bench, jobs)},
    )
    return Result(
        f"{jobs:,} due jobs of 10 names in the scheduled set, whose queues are paused, so that the "
        "one pool does nothing but requeue. The rate is that of the set's size, asked for every "
        "2 ms by another client, from the first look that finds it smaller to the first that "
        "finds it empty. `stop()` is called in another run, when a third is done.",
        [
            Row("requeue", samples["jobs/s"], "jobs/s", at_least(50_000)),
            Row("`stop()` meanwhile", samples["stop ms"], "ms", at_most(100)),
        ],
    )


def _rate(bench: Bench, jobs: int) -> float:
    _schedule(bench, jobs)
    with Workers(bench.spec()):
        bench.await_true(lambda: _left(bench) < jobs)
        left, before = _left(bench), time.perf_counter()
        bench.await_true(lambda: not _left(bench), pause_s=_POLL_S)
        return left / max(time.perf_counter() - before, 1e-9)


def _stop_s(bench: Bench, jobs: int) -> float:
    _schedule(bench, jobs)
    with Workers(bench.spec()) as workers:
        bench.await_true(lambda: _left(bench) < jobs * 2 / 3)
        stop_s = workers.stop()
        if not _left(bench) and bench.effort.share >= 1:
            raise RuntimeError("all jobs were requeued before the pool was asked to stop")
        return stop_s


def _left(bench: Bench) -> int:
    left: int = bench.client.zcard(_SCHEDULED)
    return left


def _schedule(bench: Bench, jobs: int) -> None:
    """Fill the scheduled set without the enqueuer, which would take longer than the measurement."""
    bench.empty()
    now_s = int(time.time())
    for start in range(0, jobs, _CHUNK):
        scores = {}
        for i in range(start, min(start + _CHUNK, jobs)):
            job = {"name": f"job{i % 10}", "id": f"{i:024x}", "t": now_s, "args": {"i": i}}
            scores[json.dumps(job, separators=(",", ":"))] = now_s - 60 + i * 59 // jobs
        bench.client.zadd(_SCHEDULED, scores)
    client = Client("bench", bench.url)
    for i in range(10):
        client.pause(f"job{i}")
