"""An archive of any size, written without a server: `write_archive`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from workkit.frames.archive_files import ArchiveHeader, day_of, name_of, write_file
from workkit.frames.schema import schema

__all__ = ["write_archive"]

_START_MS: Final = 20_000 * 86_400_000
_DAY_MS: Final = 86_400_000
#: Records in a row group.
_CHUNK: Final = 131_072
#: The records of a day, but for small archives.
_DAY: Final = 3_500_000
#: One of so many executions fails and is tried again.
_RETRIED: Final = 50
_NAMES: Final = [f"job{number}" for number in range(10)]
_HEX: Final = np.frombuffer("".join(f"{n:02x}" for n in range(256)).encode(), "S2")


def write_archive(root: Path, records: int) -> None:
    """Write an archive as `workkit archive --compact` leaves it, with a file for each day.

    There are 10 names and 4 hosts; 2 % of the executions fail with 7 errors, and their jobs run
    again. Jobs wait and run for times that are distributed exponentially.

    Args:
        root: The directory, which must not exist.
        records: How many.
    """
    dice, written, day = np.random.default_rng(1), 0, 0
    a_day = min(_DAY, -(-records // 3))
    root.mkdir(parents=True)
    (root / ".lock").touch()
    while written < records:
        count = min(a_day, records - written)
        start_ms = _START_MS + day * _DAY_MS
        first, last = f"{start_ms + 1}-{written + 1}", f"{start_ms + _DAY_MS - 1}-{written + count}"
        folder = root / day_of(start_ms)
        folder.mkdir()
        with (folder / name_of(first, last, late=False)).open("wb") as file:
            header = ArchiveHeader("bench at localhost", count)
            write_file(file, _tables(dice, start_ms, count), header)
        written, day = written + count, day + 1


def _tables(dice: Any, start_ms: int, records: int) -> Iterator[Any]:
    for begin in range(0, records, _CHUNK):
        count = min(_CHUNK, records - begin)
        span_ms = _DAY_MS * count // records
        yield _table(dice, start_ms + _DAY_MS * begin // records, span_ms, count)


def _table(dice: Any, start_ms: int, span_ms: int, count: int) -> Any:
    retried = count // _RETRIED
    finished = np.sort(dice.integers(start_ms + 1, start_ms + span_ms, count))
    run, wait = dice.exponential(120, count).astype(int), dice.exponential(900, count).astype(int)
    outcome, fails = np.zeros(count, np.int32), np.zeros(count, np.int64)
    outcome[:retried], fails[:retried], fails[count - retried :] = 1, 1, 1
    octets = np.frombuffer(dice.bytes(12 * count), np.uint8).reshape(count, 12).copy()
    octets[count - retried :] = octets[:retried]  # the same jobs again
    error = dice.integers(0, 7, count).astype(np.int32)
    failed = outcome == 1
    errors = [f"ConnectionError: host db-{number} did not answer" for number in range(7)]
    time, span, label = pa.timestamp("ms", tz="UTC"), pa.duration("ms"), pa.int32()
    nothing = pa.nulls(count, pa.string())
    columns = {
        "job_id": pa.array(_HEX[octets].view("S24")[:, 0]).cast(pa.string()),
        "name": _labels(pa.array(dice.integers(0, 10, count).astype(np.int32)), _NAMES),
        "outcome": _labels(pa.array(outcome), ["done", "retry"]),
        "reason": _labels(pa.nulls(count, label), []),
        "enqueued_at": pa.array(finished - run - wait, time),
        "started_at": pa.array(finished - run, time),
        "finished_at": pa.array(finished, time),
        "wait": pa.array(wait, span),
        "run": pa.array(run, span),
        "fails": pa.array(fails),
        "error": _labels(pa.array(error, mask=~failed), errors).cast(pa.string()),
        "fingerprint": _labels(pa.array(error, mask=~failed), [f"f{n}" for n in range(7)]),
        "worker_id": _labels(pa.array((error * 3).astype(np.int32)), [f"w{n}" for n in range(19)]),
        "pool_id": _labels(pa.array(error % 4), [f"p{n}" for n in range(4)]),
        "host": _labels(pa.array(error % 4), [f"host-{n}" for n in range(4)]),
        "version": _labels(pa.array(np.zeros(count, np.int32)), ["1.2.3"]),
        "args": nothing,
        "checkins": nothing,
        "parent_id": nothing,
    }
    wanted = schema("history").arrow()
    return pa.Table.from_arrays([columns[name] for name in wanted.names], schema=wanted)


def _labels(indices: Any, values: list[str]) -> Any:
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))
