"""The cost of importing workkit and of starting its command."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample
from benchmarks.result import Result, Row, at_most

__all__ = ["measure"]

_PROCESSES = 15


def measure(bench: Bench) -> Result:
    """Measure whole processes, from start to end."""
    workkit = str(Path(sys.executable).with_name("workkit"))
    commands = {
        "nothing": [sys.executable, "-c", "pass"],
        "import redis": [sys.executable, "-c", "import redis"],
        "import workkit": [sys.executable, "-c", "import workkit"],
        "from workkit import WorkerPool": [sys.executable, "-c", "from workkit import WorkerPool"],
        "workkit --help": [workkit, "--help"],
    }
    processes = max(round(_PROCESSES * min(bench.effort.share, 1.0)), 3)
    samples = bench.rounds(
        "ms", {name: _side(command, processes) for name, command in commands.items()}
    )
    nothing, redis = samples["nothing"], samples["import redis"]
    ratio = _minus(samples["import workkit"], nothing).over(_minus(redis, nothing))
    return Result(
        f"Wall time of whole processes, byte code cached; each round is the median of {processes}. "
        "The ratio of the imports leaves out what a process takes that runs nothing; `--help` is "
        "held against the whole process that imports redis. `import workkit` loads what is used of "
        "it, and redis, when it is used: `from workkit import WorkerPool` shows that.",
        [
            *(Row(f"`{name}`", sample, "ms") for name, sample in samples.items()),
            Row("`import workkit` over `import redis`", ratio, "x", at_most(1.2)),
            Row(
                "`workkit --help` over `import redis`",
                samples["workkit --help"].over(redis),
                "x",
                at_most(1.0),
            ),
        ],
    )


def _side(command: Sequence[str], processes: int) -> Side:
    def run() -> float:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # the caches are warm now
        spent_ms = []
        for _ in range(processes):
            before = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            spent_ms.append((time.perf_counter() - before) * 1000)
        return statistics.median(spent_ms)

    return run


def _minus(a: Sample, b: Sample) -> Sample:
    return Sample.of([x - y for x, y in zip(a.values, b.values, strict=True)])
