"""What workkit's own reads and writes give, beside redis-py's methods on the same connections."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

from benchmarks.bench import Bench, Side
from benchmarks.jobs import queue_names
from benchmarks.result import Result, Row, at_least
from workkit import Enqueuer, Job, WorkerPool
from workkit.store.connections import line, link

__all__ = ["measure"]

_ENQUEUED: Final = 1_500
_RUN: Final = 15_000


def measure(bench: Bench) -> Result:
    """Measure `enqueue` in a loop and no-op jobs, each with both kinds of connections in turn."""
    own, theirs = line.line_of, _through_redis_py
    samples = bench.rounds(
        "jobs/s",
        {
            "enqueue, own": _side(bench, own, _enqueue),
            "enqueue, redis-py": _side(bench, theirs, _enqueue),
            "no-op, own": _side(bench, own, _no_op),
            "no-op, redis-py": _side(bench, theirs, _no_op),
        },
    )
    enqueue = samples["enqueue, own"].over(samples["enqueue, redis-py"])
    no_op = samples["no-op, own"].over(samples["no-op, redis-py"])
    return Result(
        "One process. workkit keeps its own reads and writes only if they give more than a tenth "
        "of one of the two rates. Run it with `--rounds 40`.",
        [
            Row("`enqueue` one by one, own", samples["enqueue, own"], "jobs/s"),
            Row("`enqueue` one by one, own over redis-py", enqueue, "x", at_least(1.1)),
            Row("sync no-op, own", samples["no-op, own"], "jobs/s"),
            Row("sync no-op, own over redis-py", no_op, "x"),
        ],
    )


def _through_redis_py(connection: Any, announced: line.Announced) -> line.Transport:
    return line._ConnectionLine(connection, weakref.WeakMethod(announced))  # noqa: SLF001


def _side(bench: Bench, line_of: Callable[..., Any], work: Callable[[Bench], float]) -> Side:
    def side() -> float:
        bench.empty()
        with mock.patch.object(link, "line_of", line_of):
            return work(bench)

    return side


def _enqueue(bench: Bench) -> float:
    jobs, names = bench.jobs(_ENQUEUED), queue_names(10)
    with Enqueuer("bench", bench.url) as enqueuer:
        enqueuer.enqueue(names[0])
        before_s = time.perf_counter()
        for i in range(jobs):
            enqueuer.enqueue(names[i % 10], {"i": i})
        return jobs / (time.perf_counter() - before_s)


def _no_op(bench: Bench) -> float:
    jobs, names, done = bench.jobs(_RUN), queue_names(10), threading.Event()
    numbers = itertools.count(1)  # one call in C, since threads share it

    def count(_job: Job) -> None:
        if next(numbers) >= jobs:
            done.set()

    bench.enqueue(jobs, names)
    pool = WorkerPool("bench", bench.url, concurrency=20)
    for name in names:
        pool.job(name, count)
    before_s = time.perf_counter()
    with pool:
        done.wait(60)
        return jobs / (time.perf_counter() - before_s)
