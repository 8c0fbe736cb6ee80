"""An archive larger than memory, aggregated: time and memory of the measures of a scan."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.archives import write_archive
from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.result import Result, Row, at_most
from benchmarks.scanning import SIDES
from benchmarks.workers import ROOT

__all__ = ["measure"]

_RECORDS: Final = 10_000_000
#: A GiB in MB.
_MOST_MB: Final = 1_073
_MEASURES: Final = {
    "throughput": "throughput by name and hour",
    "latency": "latency_quantiles by name, with the delays of retries",
    "errors": "errors",
    "slo": "slo by name",
    "capacity": "capacity",
    "periods": "compare_periods of two halves",
    "compare": "compare of failed with done executions",
    "duckdb": "DuckDB: counts and means by name",
}


def measure(bench: Bench) -> Result:
    """Measure each aggregation as a process of its own; `--records` says how many records."""
    records = bench.records or bench.jobs(_RECORDS)
    sides = [side for side in SIDES if side != "duckdb" or importlib.util.find_spec("duckdb")]
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder) / "archive"
        bench.say(f"writing {records:,} records")
        write_archive(root, records)
        size_mb = sum(path.stat().st_size for path in root.glob("day=*/*")) / 1e6

        def run(side: str) -> float:
            found[side].append(_scanned(root, side))
            return float(found[side][-1]["seconds"])

        times = bench.rounds("seconds", {side: lambda side=side: run(side) for side in sides})  # type: ignore[misc] # a lambda with a default
    rows = []
    for side in sides:
        memory = Sample.of([each["peak_mb"] for each in found[side]])
        rows.append(Row(f"{_MEASURES[side]}, time", times[side], "s"))
        rows.append(Row(f"{_MEASURES[side]}, memory", memory, "MB", _goal(side)))
    return Result(
        f"{records:,} records, {size_mb:,.0f} MB of Parquet with a file for each day, 10 names, "
        "2 % failures that are tried again. Each runs in a process of its own; memory is its "
        "largest resident set, Python and libraries included.",
        rows,
    )


def _goal(side: str) -> Any:
    # DuckDB takes what it is given: its own setting memory_limit bounds it.
    return None if side == "duckdb" else at_most(_MOST_MB)


def _scanned(root: Path, side: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scanning", str(root), side],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{side}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
