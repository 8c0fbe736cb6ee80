"""A snapshot of a million dead jobs."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.measures.history_read import reading
from benchmarks.past import NAMESPACE
from benchmarks.result import Result, Row, at_most
from workkit.core import job as wire
from workkit.core.entropy import Entropy
from workkit.core.gojson import encode_args

__all__ = ["measure"]

_JOBS: Final = 1_000_000
_CHUNK: Final = 5_000
_ERROR: Final = "ConnectionError: host db-{n} did not answer\n\nTraceback (innermost last):\n" + (
    '  File "/srv/app/tasks.py", line 117, in work\n    answer = fetch(url, timeout=5)\n' * 5
)


def measure(bench: Bench) -> Result:
    """Measure time, memory and size, with the default redaction."""
    jobs = bench.jobs(_JOBS)
    bench.empty()
    _lay(bench, jobs)
    found: list[dict[str, float]] = []

    def run() -> float:
        found.append(reading(bench, "snapshot"))
        return jobs / found[-1]["seconds"]

    rates = bench.rounds("jobs/s", {"snapshot": run})["snapshot"]
    return Result(
        f"{jobs:,} dead jobs with three args, one of them a secret, and a traceback, in a process "
        "of its own, over TCP, with the default redaction. Memory is the process's highest "
        "resident set, Python and libraries included.",
        [
            Row("jobs written", rates, "jobs/s"),
            Row("memory", Sample.of([each["peak_mb"] for each in found]), "MB", at_most(200)),
            Row("the file", Sample.of([each["file_mb"] for each in found]), "MB"),
        ],
    )


def _lay(bench: Bench, jobs: int) -> None:
    entropy = Entropy(1)
    for start in range(0, jobs, _CHUNK):
        members = {}
        for n in range(start, min(start + _CHUNK, jobs)):
            args = {"user": n, "path": f"/exports/{n % 97}.csv", "token": entropy.identifier()}
            raw = wire.encode(f"job{n % 10}", entropy.identifier(), n, encode_args(args))
            members[wire.failed(raw, 4, _ERROR.format(n=n % 31), n)] = 1_800_000_000 + n
        bench.client.zadd(f"{NAMESPACE}:dead", members)
