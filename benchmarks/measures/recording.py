"""A day of 100 queues in a recording: its size, and how long a jump takes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.result import Result, Row, at_most
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.steps.walk import record
from workkit.admin.trends import Digest
from workkit.core.entropy import Entropy
from workkit.core.masks import Masks
from workkit.core.records import (
    Overview,
    Page,
    Place,
    Queue,
    WorkerObservation,
    WorkerPoolHeartbeat,
)
from workkit.core.secrets import SECRETS
from workkit.recording import Recorder, Recording, RecordingWriter

__all__ = ["measure"]

_DAY_S: Final = 86_400
_EVERY_S: Final = 2
_QUEUES: Final = 100
_POOLS: Final = 20
_WORKERS: Final = 10
_BYTES: Final = 50_000_000
_JUMPS: Final = 200
_START_S: Final = 1_800_000_000
_TOTALS: Final = ("done", "retried", "died", "discarded", "returned", "fenced", "abandoned")
_ERROR: Final = "ConnectionError: host db-{n} did not answer\n\nTraceback (innermost last):\n" + (
    '  File "/srv/app/tasks.py", line 117, in work\n    answer = fetch(url, timeout=5)\n' * 5
)


def measure(bench: Bench) -> Result:
    """Record a busy day that is made up, and jump to times at random."""
    readings = max(bench.jobs(_DAY_S // _EVERY_S), 200)
    days = readings * _EVERY_S / _DAY_S
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.wkr"
        wrote_ms, kept_s = _record(path, readings)
        size_mb = path.stat().st_size / 1e6
        jumps, wall, details = _jumps(path)
    for each in (jumps, wall):
        each.sort()
    return Result(
        f"{readings:,} readings, two seconds apart, of {_QUEUES} queues of which 70 change each "
        f"time, and {_POOLS} pools with {_WORKERS} workers each; details are read every ten "
        "seconds: 200 busy workers, 600 jobs of the sets, 200 of queues, half of them new each "
        "time, 20 executions, percentiles of 100 names. A jump reads the moment, its rates, its "
        "details and the strip, in processor time, which is that of the wall on a machine that "
        "does nothing else.",
        [
            Row("the file, by the day", Sample.of([size_mb / days]), "MB", at_most(50)),
            Row("of the day is kept", Sample.of([100 * kept_s / (readings * _EVERY_S)]), "%"),
            Row("a reading is written in", Sample.of([wrote_ms]), "ms"),
            Row("a jump, median", Sample.of([jumps[len(jumps) // 2]]), "ms", at_most(100)),
            Row("a jump, 95th of 100", Sample.of([jumps[len(jumps) * 95 // 100]]), "ms"),
            Row("a jump, longest", Sample.of([jumps[-1]]), "ms"),
            Row("a jump on the wall, median", Sample.of([wall[len(wall) // 2]]), "ms"),
            Row("details are of", Sample.of([details]), "s before"),
        ],
    )


class _Busy:
    """A reader whose workers and jobs are other ones each time."""

    def __init__(self) -> None:
        self._chance = Entropy(2)
        self._raws: list[bytes] = []

    def worker_observations(self, ids: Sequence[str]) -> list[WorkerObservation]:
        fresh = self._chance.identifier
        return [
            WorkerObservation(worker, True, "queue_7", fresh(), _START_S, '{"user":7}', "page 3")
            for worker in ids
        ]

    def jobs(self, place: Place, start: int, count: int, *, reverse: bool = False) -> Page[Any]:
        del start, reverse
        fresh = [self._job(place) for _ in range(count // 2)]
        self._raws = (fresh + self._raws)[:2_000]
        return Page([record(place, raw, _START_S) for raw in self._raws[:count]], 40_000)

    def _job(self, place: Place) -> bytes:
        import json

        job_id = self._chance.identifier()
        job: dict[str, Any] = {"name": place.queue or "queue_7", "id": job_id, "t": _START_S}
        job["args"] = {"user": int(job_id[:6], 16), "to": f"user{job_id[:4]}@example.com"}
        if place.kind in {"retry", "dead"}:
            job |= {"fails": 4, "err": _ERROR.format(n=job_id[0]), "failed_at": _START_S}
        return json.dumps(job).encode()

    def cron(self) -> list[Any]:
        return []


def _record(path: Path, readings: int) -> tuple[float, float]:
    """Record a day; return the time of a reading, ms, and how much is kept, seconds."""
    writer = RecordingWriter(
        path, "work at localhost", every_s=_EVERY_S, keep_s=_DAY_S, most_bytes=_BYTES
    )
    reader: Any = _Busy()
    made = Recorder(reader, writer, Masks(SECRETS))
    took_s = 0.0
    for seen, digest in _day(readings):
        began = time.perf_counter()
        made.record(seen, digest)
        took_s += time.perf_counter() - began
    low, high = made.recording.span or (0, 0)
    made.close()
    return 1_000 * took_s / readings, high - low


def _day(readings: int) -> Iterator[tuple[Overview, Digest]]:
    """Make a day in which most queues change with each reading."""
    dice = Entropy(1)

    def some(most: int) -> int:
        return int(dice.identifier()[:6], 16) % most

    names = [f"queue_{n}" for n in range(_QUEUES)]
    counts = [some(200) for _ in names]
    totals = [dict.fromkeys(_TOTALS, 0) for _ in range(_POOLS)]
    beats = [_START_S] * _POOLS
    workers = [[f"{n:020x}{at:04x}" for at in range(_WORKERS)] for n in range(_POOLS)]
    for at in range(readings):
        at_s = _START_S + _EVERY_S * at + some(100) / 1_000
        for n in range(_QUEUES):
            if some(10) < 7:  # noqa: PLR2004 - the share that changes
                counts[n] = max(counts[n] + some(41) - 20, 0)
        queues = [
            Queue(name, count, some(60) if count else 0, running=some(3))
            for name, count in zip(names, counts, strict=True)
        ]
        for n in range(_POOLS):
            if some(2):
                totals[n]["done"] += some(200)
                totals[n]["retried"] += some(3)
                beats[n] = int(at_s)
        pools = [
            WorkerPoolHeartbeat(
                f"{n:024x}", beats[n], _START_S, names, _WORKERS, f"web-{n}", n, workers[n],
                {"busy": some(_WORKERS) + 1, **totals[n]}, "0.1.0",
            )
            for n in range(_POOLS)
        ]  # fmt: skip
        ran = {names[some(_QUEUES)]: some(9) + 1 for _ in range(30)}
        seen = Overview(at_s, queues, pools, 1_000, some(100), 500, None, None, 500 * at)
        fresh = [
            HistoryRecord(
                dice.identifier(), name, int(at_s) - some(60), round(at_s * 1_000) - some(900),
                round(at_s * 1_000), "done", 0, "", "", workers[n % _POOLS][n % _WORKERS], "",
                f"{n % _POOLS:024x}", f"web-{n % _POOLS}", "2026.11.3",
                enqueued_ms=round(at_s * 1_000) - some(60_000),
            )
            for name, number in ran.items() for n in range(number)
        ]  # fmt: skip
        yield seen, Digest(ran, ran, {}, some(900), some(90), fresh=fresh)


def _jumps(path: Path) -> tuple[list[float], list[float], float]:
    """Jump to times at random.

    Returns:
        Processor time and wall time of each jump, ms, and the mean age of details, seconds.
    """
    recording, dice = Recording(path), Entropy(3)
    low, high = recording.span or (0.0, 0.0)
    took_ms, wall_ms, age_s = [], [], 0.0
    for _ in range(_JUMPS):
        at_s = low + (high - low) * (int(dice.identifier()[:8], 16) / 16**8)
        began, on_wall = time.process_time(), time.perf_counter()
        moment = recording.moment(at_s)
        recording.points(low, high, 200)
        took_ms.append(1_000 * (time.process_time() - began))
        wall_ms.append(1_000 * (time.perf_counter() - on_wall))
        age_s += at_s - (moment.details_at_s or low)
    recording.close()
    return took_ms, wall_ms, age_s / _JUMPS
