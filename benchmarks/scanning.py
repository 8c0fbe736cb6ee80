"""Aggregate an archive in a process of its own: `python -m benchmarks.scanning DIR WHAT`.

Prints one JSON object: seconds, the largest resident memory in MB, and a checksum.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.reading import resident_mb
from workkit import NoEstimate, frames

__all__ = ["SIDES"]


def _throughput(scan: frames.Scan) -> int:
    return int(frames.throughput(scan, "1h", by="name").to_numpy().sum())


def _latency(scan: frames.Scan) -> int:
    return int(frames.latency_quantiles(scan, "name")["executions", ""].sum())


def _errors(scan: frames.Scan) -> int:
    return int(frames.errors(scan)["failures"].sum())


def _slo(scan: frames.Scan) -> int:
    told = frames.slo(scan, by="name")
    return int(told.loc[told["window"] == "all", "executions"].sum())


def _capacity(scan: frames.Scan) -> int:
    try:
        return frames.capacity(scan).executions
    except NoEstimate:  # the archive's jobs have not waited as in a queue; all was read
        return 0


def _periods(scan: frames.Scan) -> int:
    days = [path.parent.name.removeprefix("day=") for path in scan.files]
    middle = f"{days[len(days) // 2]}T00:00Z"
    told = frames.compare_periods(scan, (None, middle), (middle, None))
    jobs = told[told["measure"] == "jobs_per_s"]
    return int(jobs["before_n"].sum() + jobs["after_n"].sum())


def _compare(scan: frames.Scan) -> int:
    failed, done = scan.narrowed(outcome=("retry", "dead")), scan.narrowed(outcome="done")
    told = frames.compare(failed, done)
    return int(told.loc[told["attribute"] == "name", ["dead", "done"]].to_numpy().sum())


def _duckdb(scan: frames.Scan) -> int:
    totals: list[Any] = scan.duckdb().aggregate("name, count(*), avg(run_ms)", "name").fetchall()
    return sum(row[1] for row in totals)


#: What can be aggregated.
SIDES: Final[dict[str, Callable[[frames.Scan], int]]] = {
    "throughput": _throughput,
    "latency": _latency,
    "errors": _errors,
    "slo": _slo,
    "capacity": _capacity,
    "periods": _periods,
    "compare": _compare,
    "duckdb": _duckdb,
}

if __name__ == "__main__":
    began_s = time.perf_counter()
    total = SIDES[sys.argv[2]](frames.scan(sys.argv[1]))
    seconds = time.perf_counter() - began_s
    print(json.dumps({"seconds": seconds, "peak_mb": resident_mb("VmHWM"), "total": total}))
