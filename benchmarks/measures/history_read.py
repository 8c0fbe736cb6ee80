"""A million records of history, as a DataFrame and as Parquet files."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample
from benchmarks.past import fill
from benchmarks.result import Result, Row, at_least, at_most
from benchmarks.workers import ROOT

__all__ = ["measure", "reading"]

_RECORDS = 1_000_000


def measure(bench: Bench) -> Result:
    """Measure reading, and compare it with redis-py alone on the same stream."""
    records = bench.jobs(_RECORDS)
    bench.empty()
    fill(bench.client, records)
    found: dict[str, list[dict[str, float]]] = {"redis-py": [], "frame": [], "archive": []}
    sides: dict[str, Side] = {
        name: _side(bench, name, readings) for name, readings in found.items()
    }
    samples = bench.rounds("seconds", sides)
    each_us = {
        name: Sample.of([s * 1e6 / records for s in sample.values])
        for name, sample in samples.items()
    }
    rates = Sample.of([records / seconds for seconds in samples["archive"].values])
    memory = Sample.of([reading["peak_mb"] / reading["frame_mb"] for reading in found["frame"]])
    frame_mb = Sample.of([reading["frame_mb"] for reading in found["frame"]])
    return Result(
        f"{records:,} records in entries of 20, 10 job names, 5 % failures. Each side runs in a "
        "process of its own, over TCP. redis-py reads the stream with XRANGE and does nothing with "
        "it. Memory is the highest resident set while the frame is made, less that before, over "
        "what pandas says of the frame. The archive goes to a temporary directory, with fsync.",
        [
            Row("redis-py reads the stream, a record", each_us["redis-py"], "µs"),
            Row("frames.history, a record", each_us["frame"], "µs", at_most(15)),
            Row("the frame", frame_mb, "MB"),
            Row("memory to make it, over the frame", memory, "x", at_most(4)),
            Row("archived to Parquet", rates, "records/s", at_least(60_000)),
        ],
    )


def reading(bench: Bench, name: str) -> dict[str, float]:
    """Run one side of `benchmarks.reading` and return its result."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reading", name, bench.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _side(bench: Bench, name: str, readings: list[dict[str, float]]) -> Side:
    def run() -> float:
        readings.append(reading(bench, name))
        return readings[-1]["seconds"]

    return run
