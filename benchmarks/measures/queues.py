"""How the rate changes with the number of queues."""

from __future__ import annotations

from benchmarks.bench import Bench, Side
from benchmarks.jobs import queue_names
from benchmarks.result import Curve, Result, Row, at_least

__all__ = ["measure"]

_JOBS = 50_000
_COUNTS = (1, 10, 100, 1_000)


def measure(bench: Bench) -> Result:
    """Measure 1 to 1,000 queues, with jobs in all of them, and with jobs in one of them."""
    jobs = bench.jobs(_JOBS)

    def side(count: int, *, in_one: bool) -> Side:
        names = queue_names(1 if in_one else count)
        spec = bench.spec(queues=count)
        return lambda: bench.throughput(spec, jobs, enqueue=lambda n: bench.enqueue(n, names))

    samples = bench.rounds(
        "jobs/s by queues",
        {
            f"{count} {where}": side(count, in_one=where == "in one")
            for count in _COUNTS
            for where in ("in all", "in one")
        },
    )
    rows, lines = [], {}
    for where in ("in all", "in one"):
        line = {count: samples[f"{count} {where}"] for count in _COUNTS}
        lines[f"jobs {where}"] = line
        rows += [Row(f"{n:,} queues, jobs {where}", sample, "jobs/s") for n, sample in line.items()]
        share = line[1_000].over(line[10])
        rows.append(Row(f"1,000 over 10 queues, jobs {where}", share, "x", at_least(0.5)))
    return Result(
        f"{jobs:,} no-op jobs, one process, concurrency 20; the pool has a handler for every "
        "queue.",
        rows,
        [Curve("Jobs by number of queues", "queues", lines)],
    )
