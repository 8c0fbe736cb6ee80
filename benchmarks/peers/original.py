"""The original, a Go library, through a program that the user brings.

The contract: the program finds in its environment BENCH_REDIS (host:port), BENCH_NAMESPACE,
BENCH_QUEUES (a number; they are called job0, job1 and so on), BENCH_JOBS and BENCH_CONCURRENCY. It
enqueues the jobs one by one, each with one argument, starts one worker pool with one middleware,
and prints one JSON object: `jobs_per_s`, from the first to the last completion without the first
tenth of them; `enqueued_per_s`; and `about`, which describes the build.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Said", "run"]

_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Said:
    """The output of the program.

    Attributes:
        jobs_per_s: Jobs a second.
        enqueued_per_s: Jobs a second, enqueued one by one.
        about: The description of the build.
    """

    jobs_per_s: float
    enqueued_per_s: float
    about: str


def run(binary: Path, url: str, *, queues: int, jobs: int, concurrency: int) -> Said:
    """Run the program once.

    Raises:
        RuntimeError: It failed, or its output is not valid.
    """
    variables = {
        "BENCH_REDIS": urlsplit(url).netloc,
        "BENCH_NAMESPACE": "bench",
        "BENCH_QUEUES": str(queues),
        "BENCH_JOBS": str(jobs),
        "BENCH_CONCURRENCY": str(concurrency),
    }
    done = subprocess.run(
        [binary],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{binary} ended with status {done.returncode}: {done.stderr[-300:]}")
    try:
        said = json.loads(done.stdout)
        return Said(float(said["jobs_per_s"]), float(said["enqueued_per_s"]), str(said["about"]))
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"{binary} printed no such JSON ({error!r}): {done.stdout[:300]}"
        ) from None
