"""Enqueuing from many tasks and threads at once, beside one by one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.result import Result, Row, at_least

__all__ = ["measure"]

#: Names another source tree, such as a checkout of an older version, to compare with.
_BEFORE: Final = "BENCH_BEFORE"

_JOBS: Final = 20_000

#: Runs in a process of its own, so that two versions can take turns.
_PROGRAM: Final = textwrap.dedent(
    """
    import asyncio, sys, threading, time
    from workkit import AsyncEnqueuer, Enqueuer

    url, kind, callers, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

    def threads():
        enqueuer = Enqueuer("bench", url)
        enqueuer.enqueue("job0")
        gate = threading.Barrier(callers + 1)

        def work():
            gate.wait()
            for i in range(each):
                enqueuer.enqueue("job0", {"i": i})

        workers = [threading.Thread(target=work) for _ in range(callers)]
        for worker in workers:
            worker.start()
        gate.wait()
        before = time.perf_counter()
        for worker in workers:
            worker.join()
        return time.perf_counter() - before

    async def tasks():
        enqueuer = AsyncEnqueuer("bench", url)

        async def work(times):
            for i in range(times):
                await enqueuer.enqueue("job0", {"i": i})

        await asyncio.gather(*(work(1) for _ in range(callers)))
        before = time.perf_counter()
        await asyncio.gather(*(work(each) for _ in range(callers)))
        taken = time.perf_counter() - before
        await enqueuer.close()
        return taken

    print(callers * each / (threads() if kind == "threads" else asyncio.run(tasks())))
    """
)


def measure(bench: Bench) -> Result:
    """Measure tasks and threads that enqueue at once with one enqueuer."""
    tree = os.environ.get(_BEFORE)
    sides = [("threads", 1), ("threads", 16), ("tasks", 1), ("tasks", 100), ("tasks", 1_000)]

    def rate(kind: str, callers: int, path: str | None) -> float:
        bench.empty()
        each = max(bench.jobs(_JOBS) // callers, 1)
        # -P: the folder from which the benchmark runs is not to hide the other tree.
        command = [sys.executable, "-P", "-c", _PROGRAM, bench.url, kind, str(callers), str(each)]
        environment = os.environ | ({"PYTHONPATH": path} if path else {})
        ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return float(ended.stdout)

    samples = bench.rounds(
        "enqueued jobs/s",
        {
            f"{callers} {kind}{' before' if path else ''}": partial(rate, kind, callers, path)
            for kind, callers in sides
            for path in ([None, tree] if tree else [None])
        },
    )
    rows = [Row(name, sample, "jobs/s") for name, sample in samples.items()]
    rows += [
        Row(
            "16 threads over one",
            samples["16 threads"].over(samples["1 threads"]),
            "x",
            at_least(2),
        ),
    ]
    if tree:
        goals = {"1 threads": 1.0, "1 tasks": 1.0, "100 tasks": 4.0, "1000 tasks": 10.0}
        rows += [
            Row(f"{name}, over before", samples[name].over(samples[f"{name} before"]), "x",
                at_least(goal))
            for name, goal in goals.items()
        ]  # fmt: skip
    return Result(
        "One enqueuer, one queue, one argument. Each caller waits for its answer before it calls "
        f"again. {_BEFORE} names another source tree, whose rates stand as `before`.",
        rows,
    )
