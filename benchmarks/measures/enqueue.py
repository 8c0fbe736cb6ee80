"""Enqueuing, one by one and many at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.jobs import queue_names
from benchmarks.result import Result, Row, at_least
from workkit import Enqueuer

__all__ = ["measure"]

_ONE_BY_ONE = 20_000
_MANY = 200_000


def measure(bench: Bench) -> Result:
    """Measure `enqueue` in a loop and one call of `enqueue_many`."""
    names = queue_names(10)
    enqueuer = Enqueuer("bench", bench.url)
    one_by_one, many = bench.jobs(_ONE_BY_ONE), bench.jobs(_MANY)

    def loop() -> None:
        for i in range(one_by_one):
            enqueuer.enqueue(names[i % 10], {"i": i})

    def at_once() -> None:
        enqueuer.enqueue_many([(names[i % 10], {"i": i}) for i in range(many)])

    def rate(work: Callable[[], None], jobs: int) -> float:
        bench.empty()
        enqueuer.enqueue(names[0])
        before = time.perf_counter()
        work()
        return jobs / (time.perf_counter() - before)

    samples = bench.rounds(
        "enqueued jobs/s",
        {"enqueue": lambda: rate(loop, one_by_one), "many": lambda: rate(at_once, many)},
    )
    return Result(
        "One thread, 10 queues, one argument. `enqueue` waits for the server's answer each time; "
        "its goal is the original's rate, which stands in the other section.",
        [
            Row("`enqueue` one by one", samples["enqueue"], "jobs/s"),
            Row("`enqueue_many`", samples["many"], "jobs/s", at_least(100_000)),
        ],
    )
