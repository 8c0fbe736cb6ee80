"""How the rate changes with concurrency, the number of pools, and the size of payloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample
from benchmarks.jobs import queue_names
from benchmarks.result import Curve, Result

__all__ = ["measure"]

_JOBS = 40_000
_CONCURRENCIES = (1, 2, 5, 10, 20, 50, 100, 200)
_POOLS = (1, 2, 3, 4)
_PAYLOADS = (100, 1_000, 10_000, 100_000)
#: Bytes of payload in one measurement; the server keeps them all in memory.
_BYTES = 200_000_000
_ENVELOPE = 85


def measure(bench: Bench) -> Result:
    """Measure the scaling curves of no-op jobs."""
    return Result(
        f"No-op jobs in 10 queues, about {bench.jobs(_JOBS):,} for each point (fewer where "
        f"payloads are large); concurrency 20, one pool and small payloads where they are not "
        "varied. Each pool is a process of its own. The size of a payload is that of the whole "
        "list element.",
        curves=[_concurrency(bench), _pools(bench), _payloads(bench)],
    )


def _concurrency(bench: Bench) -> Curve:
    jobs = bench.jobs(_JOBS)

    def line(kind: str) -> dict[int, Sample]:
        def side(concurrency: int) -> Side:
            spec = bench.spec("async" if kind == "async" else "sync", concurrency=concurrency)
            return lambda: bench.throughput(spec, jobs)

        return _line(bench, f"{kind}, concurrency", _CONCURRENCIES, side)

    lines = {kind: line(kind) for kind in ("sync", "async")}
    return Curve("Jobs by concurrency", "at once", lines)


def _pools(bench: Bench) -> Curve:
    jobs = bench.jobs(_JOBS)

    def side(pools: int) -> Side:
        return lambda: bench.throughput(bench.spec(), jobs * pools, processes=pools)

    return Curve("Jobs by number of pools", "pools", {"sync": _line(bench, "pools", _POOLS, side)})


def _payloads(bench: Bench) -> Curve:
    def side(size: int) -> Side:
        jobs = min(bench.jobs(_JOBS), max(_BYTES // size, 40))
        padding = max(size - _ENVELOPE, 0)
        return lambda: bench.throughput(
            bench.spec(),
            jobs,
            enqueue=lambda n: bench.enqueue(n, queue_names(10), padding=padding),
        )

    line = _line(bench, "payload bytes", _PAYLOADS, side)
    return Curve("Jobs by size of the payload", "bytes", {"sync": line})


def _line(
    bench: Bench, what: str, points: Sequence[int], side: Callable[[int], Side]
) -> dict[int, Sample]:
    samples = bench.rounds(f"jobs/s by {what}", {str(x): side(x) for x in points})
    return {x: samples[str(x)] for x in points}
