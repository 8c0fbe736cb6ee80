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
from workkit import frames

__all__ = ["SIDES"]


def _throughput(scan: frames.Scan) -> int:
    return int(frames.throughput(scan, "1h", by="name").to_numpy().sum())


def _latency(scan: frames.Scan) -> int:
    return int(frames.latency_quantiles(scan, "name")["executions", ""].sum())


def _errors(scan: frames.Scan) -> int:
    return int(frames.errors(scan)["failures"].sum())


def _duckdb(scan: frames.Scan) -> int:
    totals: list[Any] = scan.duckdb().aggregate("name, count(*), avg(run_ms)", "name").fetchall()
    return sum(row[1] for row in totals)


#: What can be aggregated.
SIDES: Final[dict[str, Callable[[frames.Scan], int]]] = {
    "throughput": _throughput,
    "latency": _latency,
    "errors": _errors,
    "duckdb": _duckdb,
}

if __name__ == "__main__":
    began_s = time.perf_counter()
    total = SIDES[sys.argv[2]](frames.scan(sys.argv[1]))
    seconds = time.perf_counter() - began_s
    print(json.dumps({"seconds": seconds, "peak_mb": resident_mb("VmHWM"), "total": total}))
