"""An audit of an archive of a million records, in which a loss and a duplicate are planted."""

from __future__ import annotations

import datetime
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.past import NAMESPACE
from benchmarks.result import Result, Row, at_least, at_most
from workkit import Client, frames
from workkit.core.entropy import Entropy
from workkit.core.history import FORMAT, Record, pack
from workkit.core.outcomes import Outcome
from workkit.frames.archive_files import files_of

__all__ = ["measure"]

_RECORDS: Final = 1_000_000
_START_MS: Final = 1_800_000_000_000
_STEP_MS: Final = 80
_RUN_MS: Final = 40
#: Every so many jobs fail once, and run again so many jobs later.
_FAILING: Final = 25
_LATER: Final = 750
_WORKERS: Final = 20
_ENTRY: Final = 100
_PIPELINE: Final = 200
_MOST_S: Final = 60


def measure(bench: Bench) -> Result:
    """Measure `workkit audit` as a process of its own, with and without what is planted."""
    records = max(bench.jobs(_RECORDS), 4 * _LATER)
    bench.empty()
    _fill(bench, records)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "history"
        frames.archive(Client(NAMESPACE, bench.url), archive)
        clean, _ = _audit(archive)
        planted = _plant(archive)
        took: list[float] = []

        def run() -> float:
            found, seconds = _audit(archive)
            took.append(seconds)
            named = {(each["rule"], each["job_id"]) for each in found["findings"]}
            return float(len(named & planted))

        named = bench.rounds("planted and named", {"audit": run})["audit"]
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Result(
        f"{records:,} records of an archive, in a process of its own, Python and libraries "
        "included. The last record of a job that had failed is taken out, and a job that was done "
        "runs again.",
        [
            Row("findings before", Sample.of([sum(clean["counts"].values())]), "", at_most(0)),
            Row("planted and named, of 2", named, "", at_least(2)),
            Row("time", Sample.of(took), "s", at_most(_MOST_S)),
            Row("memory of the largest process", Sample.of([peak_mb]), "MB"),
        ],
    )


def _records(count: int) -> Iterator[Record]:
    """Make the records of jobs that come one after the other; some fail, and run again later."""
    entropy, waiting = Entropy(1), deque[tuple[int, str]]()
    number = 0
    for at in range(count):
        started_ms = _START_MS + _STEP_MS * at
        outcome: Outcome = "done"
        if waiting and waiting[0][0] <= at:
            _, job_id = waiting.popleft()
            fails = 1
        else:
            job_id, fails, number = entropy.identifier(), 0, number + 1
            # The last ones could not run again.
            if number % _FAILING == 0 and at < count - 2 * _LATER:
                waiting.append((at + _LATER, job_id))
                outcome, fails = "retry", 1
        error = "ConnectionError: host db-7 did not answer" if outcome == "retry" else ""
        yield Record(
            job_id, f"job{int(job_id[-1], 16) % 10}", started_ms // 1_000, started_ms,
            started_ms + _RUN_MS, outcome, fails, error, "abc" if error else "",
            f"worker-{at % _WORKERS}", enqueued_millis=started_ms % 1_000,
        )  # fmt: skip


def _fill(bench: Bench, count: int) -> None:
    written, pipe = 0, bench.client.pipeline(transaction=False)
    made = _records(count)
    number, last_ms = 0, 0
    while entry := list(islice(made, _ENTRY)):
        number, last_ms = number + 1, entry[-1].finished_ms
        written += len(entry)
        fields: dict[Any, Any] = {
            "v": FORMAT, "pool": "pool-1", "host": "host-1", "n": len(entry),
            "r": pack(entry), "b": 0, "ver": "1.2.3",
        }  # fmt: skip
        pipe.xadd(f"{NAMESPACE}:history", fields, id=f"{last_ms}-{written}")
        if number % _PIPELINE == 0:
            pipe.execute()
    pipe.set(f"{NAMESPACE}:history:head", f"{last_ms} {written} 0")
    pipe.execute()


def _audit(archive: Path) -> tuple[dict[str, Any], float]:
    began_s = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "workkit", "audit", str(archive), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return json.loads(ran.stdout), time.monotonic() - began_s


def _plant(archive: Path) -> set[tuple[str, str]]:
    """Take out a record, and let a job that is done run again."""
    file = files_of(archive)[len(files_of(archive)) // 2].path
    table = pq.read_table(file, partitioning=None)
    rows = table.select(["job_id", "outcome", "fails"]).to_pylist()
    second = [at for at, row in enumerate(rows) if row["outcome"] == "done" and row["fails"]]
    first = [at for at, row in enumerate(rows) if row["outcome"] == "done" and not row["fails"]]
    lost, twice = second[len(second) // 2], first[len(first) // 3]
    again = table.slice(twice, 1).to_pylist()[0]
    for name in ("enqueued_at", "started_at", "finished_at"):
        again[name] += datetime.timedelta(milliseconds=_STEP_MS // 2)
    more = pa.Table.from_pylist([again], schema=table.schema)
    changed = pa.concat_tables([table.slice(0, lost), table.slice(lost + 1), more])
    pq.write_table(changed, file, compression="zstd")
    return {("lost", rows[lost]["job_id"]), ("duplicate", rows[twice]["job_id"])}
