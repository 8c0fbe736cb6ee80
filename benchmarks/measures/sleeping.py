"""Jobs that sleep 1 ms, compared with bare threads that do the same."""

from __future__ import annotations

import sys

from benchmarks.bench import Bench
from benchmarks.figures import rate
from benchmarks.result import Result, Row, at_least
from benchmarks.workers import Metered

__all__ = ["measure"]

_JOBS = 60_000
_CONCURRENCY = 50

_BARE = """
import sys, threading, time
from benchmarks.meter import Meter
meter, threads, loops = Meter(), int(sys.argv[1]), int(sys.argv[2])
def loop():
    for _ in range(loops):
        time.sleep(0.001)
        meter.hit()
for _ in range(threads):
    threading.Thread(target=loop, daemon=True).start()
sys.stdin.readline()
"""


def measure(bench: Bench) -> Result:
    """Measure 50 slots, and 50 threads that loop over the same sleep."""
    jobs = max(bench.jobs(_JOBS), 10 * _CONCURRENCY)
    spec = bench.spec("sleep", concurrency=_CONCURRENCY)

    def bare() -> float:
        with Metered({}) as threads:
            each = jobs // _CONCURRENCY
            threads.start([sys.executable, "-c", _BARE, str(_CONCURRENCY), str(each)])
            threads.await_count(each * _CONCURRENCY)
            return rate(threads.values())

    samples = bench.rounds(
        "sleeps/s", {"threads": bare, "workkit": lambda: bench.throughput(spec, jobs)}
    )
    threads, workkit = samples["threads"], samples["workkit"]
    share = type(workkit).of([100 * value for value in workkit.over(threads).values])
    return Result(
        f"{jobs:,} jobs that call `time.sleep(0.001)`, in 10 queues, one process, concurrency "
        f"{_CONCURRENCY}; and {_CONCURRENCY} threads of a process without workkit and without a "
        "server, which sleep and count as often.",
        [
            Row(f"{_CONCURRENCY} bare threads", threads, "sleeps/s"),
            Row(f"workkit, concurrency {_CONCURRENCY}", workkit, "jobs/s"),
            Row("share of the bare threads", share, "%", at_least(80)),
        ],
    )
