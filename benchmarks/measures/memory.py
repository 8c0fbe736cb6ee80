"""Memory of an idle worker process."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample
from benchmarks.jobs import queue_names
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers

__all__ = ["measure"]

_FEW, _MANY = 10, 210
_SETTLING_S = 3.0
_JOBS_A_SLOT = 50
_REDIS_ONLY = "import redis, sys; print('ready', flush=True); sys.stdin.readline()"


def measure(bench: Bench) -> Result:
    """Measure resident memory, with few and with many slots, before and after they have run."""
    samples = bench.rounds(
        "resident MB",
        {
            "redis": lambda: _redis_only_mb(bench),
            "few idle": _side(bench, _FEW, used=False),
            "many idle": _side(bench, _MANY, used=False),
            "few used": _side(bench, _FEW, used=True),
            "many used": _side(bench, _MANY, used=True),
        },
    )
    above = _minus(samples["few idle"], samples["redis"])
    rows = [
        Row("a process that only imported redis", samples["redis"], "MB"),
        Row(f"idle worker, concurrency {_FEW}", samples["few idle"], "MB"),
        Row("idle worker above it", above, "MB", at_most(15)),
    ]
    for state in ("idle", "used"):
        slots_mb = _minus(samples[f"many {state}"], samples[f"few {state}"])
        each_kb = Sample.of([mb * 1000 / (_MANY - _FEW) for mb in slots_mb.values])
        label = "a slot" if state == "idle" else "a slot that has run jobs"
        rows.append(Row(label, each_kb, "kB", at_most(100)))
    return Result(
        "Resident set as the kernel counts it (VmRSS), pages shared with other processes included, "
        f"{bench.seconds(_SETTLING_S):g} s after the start, 10 job types. A slot is the difference "
        f"between concurrency {_MANY} and {_FEW}, divided; for slots that have run jobs, "
        f"{_JOBS_A_SLOT} jobs a slot that sleep 1 ms, in both.",
        rows,
    )


def _redis_only_mb(bench: Bench) -> float:
    with subprocess.Popen(
        [sys.executable, "-c", _REDIS_ONLY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.readline()
        time.sleep(bench.seconds(0.5))
        resident_mb = _resident_mb(process.pid)
        process.communicate(b"\n")
    return resident_mb


def _side(bench: Bench, concurrency: int, *, used: bool) -> Side:
    def run() -> float:
        bench.empty()
        with Workers(bench.spec("sleep", concurrency=concurrency)) as workers:
            if used:
                jobs = concurrency * _JOBS_A_SLOT
                bench.enqueue(jobs, queue_names(10))
                workers.await_count(jobs)
            time.sleep(bench.seconds(_SETTLING_S))
            return _resident_mb(workers.processes[0].pid)

    return run


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    match = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"process {pid} has ended")
    return int(match[1]) * 1024 / 1e6


def _minus(a: Sample, b: Sample) -> Sample:
    return Sample.of([x - y for x, y in zip(a.values, b.values, strict=True)])
