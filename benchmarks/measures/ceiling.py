"""How much of the server's maximum one process of workkit reaches, and two."""

from __future__ import annotations

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample
from benchmarks.flat_out import drive
from benchmarks.jobs import queue_names
from benchmarks.result import Result, Row, at_least

__all__ = ["measure"]

_JOBS = 100_000
_BATCHES = (50, 100, 200, 500, 1_000, 2_000)


def measure(bench: Bench) -> Result:
    """Measure the exchange script alone, then one and two worker processes."""
    jobs = bench.jobs(_JOBS)
    names = queue_names(10)
    spec = bench.spec()

    def drive_with(batch: int) -> Side:
        def side() -> float:
            bench.empty()
            return drive(bench.url, names, jobs, batch)

        return side

    tried = {f"batch {batch}": drive_with(batch) for batch in _BATCHES if batch <= jobs}
    samples = bench.rounds(
        "ceiling jobs/s",
        {
            **tried,
            "one process": lambda: bench.throughput(spec, jobs),
            "two processes": lambda: bench.throughput(spec, jobs * 2, processes=2),
        },
    )
    best = max(tried, key=lambda name: samples[name].median)
    ceiling = samples[best]
    one, two = samples["one process"], samples["two processes"]
    return Result(
        "The ceiling is the exchange script (settle, append history, claim, over 10 queues), "
        "driven over one unpipelined connection by a client whose commands are packed beforehand, "
        f"at its best batch size. Workers do everything else too: {jobs:,} no-op jobs a process, "
        "one middleware, all defaults.",
        [
            Row(f"ceiling, {best}", ceiling, "jobs/s"),
            *(Row(f"ceiling, {name}", samples[name], "jobs/s") for name in tried if name != best),
            Row("one process", one, "jobs/s"),
            Row("two processes", two, "jobs/s"),
            Row("share of one process", _percent(one, ceiling), "%", at_least(60)),
            Row("share of two processes", _percent(two, ceiling), "%", at_least(85)),
        ],
    )


def _percent(part: Sample, whole: Sample) -> Sample:
    return Sample.of([100 * share for share in part.over(whole).values])
