"""Histories without a server, for archives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from workkit.admin.steps.history import HistoryExtent, id_pair
from workkit.core.history import FORMAT, PackedHistory, Record, pack

__all__ = ["DAY_MS", "NOON_MS", "Recorded", "as_version_1", "record"]

DAY_MS: Final = 86_400_000
NOON_MS: Final = 20_000 * DAY_MS + DAY_MS // 2


def record(job_id: str, finished_ms: int, **fields: Any) -> Record:
    """Return the record of an execution that waited for 3 ms and ran for 2 ms."""
    started_ms = finished_ms - 2
    values: dict[str, Any] = {
        "name": "mail",
        "enqueued_at": (started_ms - 3) // 1_000,
        "enqueued_millis": (started_ms - 3) % 1_000,
        "started_ms": started_ms,
        "outcome": "done",
    }
    return Record(job_id=job_id, finished_ms=finished_ms, **(values | fields))


class Recorded:
    """A history that archives read, as a `Client` gives it.

    Attributes:
        entries: What the stream has, the oldest first.
        written: How many records were written, also those that were trimmed since.
    """

    label = "work at localhost"

    def __init__(self) -> None:
        self.entries: list[PackedHistory] = []
        self.written = 0

    def write(
        self, records: Sequence[Record], at_ms: int, *, version: str = "", format_: str = FORMAT
    ) -> None:
        """Append an entry, as a pool does."""
        self.written += len(records)
        self.entries.append(
            PackedHistory(
                f"{at_ms}-{self.written}", format_, "pool", "host", pack(records), len(records),
                version,
            )
        )  # fmt: skip

    def write_jobs(self, count: int, at_ms: int = NOON_MS, name: str = "mail") -> None:
        """Append an entry of done jobs; a job's id says how many were written before it."""
        first = self.written
        jobs = [f"job-{n}" for n in range(first, first + count)]
        self.write([record(job, at_ms - 1, name=name) for job in jobs], at_ms)

    def history_extent(self) -> HistoryExtent:
        kept = sum(entry.records for entry in self.entries)
        last = self.entries[-1].entry_id if self.entries else ""
        return HistoryExtent(self.written, kept, 0, last)

    def packed_history(
        self, *, since: float | None = None, after: str = ""
    ) -> Iterator[list[PackedHistory]]:
        low = id_pair(after) if after else (-1, -1)
        for entry in self.entries:
            if id_pair(entry.entry_id) > low:
                yield [entry]


def as_version_1(path: Path) -> None:
    """Write a file of an archive again as its version 1 was: with durations."""
    table = pq.ParquetFile(path).read()
    for name in ("wait", "run"):
        place = table.column_names.index(f"{name}_ms")
        table = table.set_column(place, name, table[f"{name}_ms"].cast(pa.duration("ms")))
    metadata = {**table.schema.metadata, b"workkit": b"history/1"}
    pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
