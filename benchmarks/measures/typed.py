"""What typed tasks cost: CPU time a no-op job, beside handlers that take the job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Side
from benchmarks.jobs import Kind, queue_names
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers

__all__ = ["measure"]

_JOBS: Final = 100_000
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def measure(bench: Bench) -> Result:
    """Measure the CPU time of one worker process with each kind of handler, in turn."""
    jobs = bench.jobs(_JOBS)
    kinds: dict[Kind, int] = {"sync": 20, "typed": 20, "async": 100, "typed async": 100}
    samples = bench.rounds(
        "CPU us/job", {kind: _side(bench, jobs, kind, many) for kind, many in kinds.items()}
    )
    sync = samples["typed"].over(samples["sync"])
    asynchronous = samples["typed async"].over(samples["async"])
    return Result(
        f"CPU time of the worker process for {jobs:,} no-op jobs in 10 queues that are enqueued "
        "before it starts, one middleware, all defaults. A handler that takes (job) reads one "
        "integer with job.arg_int; a typed task gets it as its parameter. Round by round.",
        [
            Row("(job), sync", samples["sync"], "us/job"),
            Row("typed, sync", samples["typed"], "us/job"),
            Row("typed over (job), sync", sync, "x", at_most(1.1)),
            Row("(job), async", samples["async"], "us/job"),
            Row("typed, async", samples["typed async"], "us/job"),
            Row("typed over (job), async", asynchronous, "x", at_most(1.1)),
        ],
    )


def _side(bench: Bench, jobs: int, kind: Kind, concurrency: int) -> Side:
    spec = bench.spec(kind, concurrency=concurrency)

    def side() -> float:
        bench.empty()
        bench.enqueue(jobs, queue_names(spec.queues))
        with Workers(spec) as workers:
            pid = workers.processes[0].pid
            before_s = _cpu_s(pid)
            workers.await_count(jobs)
            # At least one tick: with few jobs the clock has not moved.
            return 1_000_000 * max(_cpu_s(pid) - before_s, _TICK_S) / jobs

    return side


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S
