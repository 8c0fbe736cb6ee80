"""Converts packed history to Arrow, column by column.

One object and one row for each record would cost ten times as much as the rest. So entries are
unpacked into columns, some tens of thousands of records at a time. Columns with few values become
dictionaries directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec

from workkit.core.history import FORMAT, PackedHistory, TracedRecord, unpack
from workkit.frames.extra import np, pa
from workkit.frames.schema import schema

__all__ = ["Unpacker"]

#: Records in one Arrow table.
_CHUNK: Final = 65_536
_get: Final = attrgetter(
    "job_id", "name", "enqueued_at", "started_ms", "finished_ms", "outcome", "fails", "error",
    "fingerprint", "worker_id", "reason", "args", "checkins", "enqueued_millis",
    "parent_id",
)  # fmt: skip
_encode: Final = msgspec.json.encode


class Unpacker:
    """Converts packed entries to Arrow tables.

    Args:
        chunk: The least number of records in a table; the last may have fewer.

    Attributes:
        read: The number of records unpacked so far.
        unreadable: The number of records of a later format or in damaged entries.
    """

    def __init__(self, chunk: int = _CHUNK) -> None:
        self._chunk = chunk
        self.read = 0
        self.unreadable = 0

    def tables(self, batches: Iterable[Sequence[PackedHistory]]) -> Iterator[Any]:
        """Turn batches of entries into tables with the schema of the frame "history"."""
        waiting: list[tuple[PackedHistory, list[TracedRecord]]] = []
        count = 0
        for entry in chain.from_iterable(batches):
            records = self._unpack(entry)
            if not records:
                continue
            waiting.append((entry, records))
            count += len(records)
            if count >= self._chunk:
                yield _table(waiting, count)
                waiting, count = [], 0
        if waiting:
            yield _table(waiting, count)

    def _unpack(self, entry: PackedHistory) -> list[TracedRecord]:
        try:
            records = unpack(entry.blob) if entry.version == FORMAT else []
        except msgspec.MsgspecError:
            records = []
        self.read += len(records)
        self.unreadable += max(entry.records - len(records), 0)
        return records


def _table(entries: list[tuple[PackedHistory, list[TracedRecord]]], count: int) -> Any:
    records = list(chain.from_iterable(records for _, records in entries))
    (
        job_ids, names, enqueued, started, finished, outcomes, fails, errors, fingerprints,
        workers, reasons, args, checkins, millis, parents,
    ) = zip(*map(_get, records), strict=True)  # fmt: skip
    del records
    lengths = np.fromiter((len(found) for _, found in entries), np.int64, len(entries))
    beyond_ms = np.fromiter(millis, np.int64, count)
    enqueued_ms = np.fromiter(enqueued, np.int64, count) * 1_000 + np.maximum(beyond_ms, 0)
    started_ms = np.fromiter(started, np.int64, count)
    finished_ms = np.fromiter(finished, np.int64, count)
    idle = started_ms == 0
    time, span = pa.timestamp("ms", tz="UTC"), pa.duration("ms")
    columns = {
        "job_id": pa.array(job_ids, pa.string()),
        "name": _labels(names),
        "outcome": _labels(outcomes),
        "reason": _labels(reasons),
        "enqueued_at": pa.array(enqueued_ms, time),
        "started_at": pa.array(started_ms, time, mask=idle),
        "finished_at": pa.array(finished_ms, time),
        # Clocks of two hosts differ: a job that started before it was enqueued has not waited.
        # Where only the second is known, a wait would be up to a second too long.
        "wait": pa.array(
            np.maximum(started_ms - enqueued_ms, 0), span, mask=idle | (beyond_ms < 0)
        ),
        "run": pa.array(np.maximum(finished_ms - started_ms, 0), span, mask=idle),
        "fails": pa.array(fails, pa.int64()),
        "error": _texts(errors),
        "fingerprint": _labels(fingerprints),
        "worker_id": _labels(workers),
        "pool_id": _repeated([entry.pool_id for entry, _ in entries], lengths),
        "host": _repeated([entry.host for entry, _ in entries], lengths),
        "version": _repeated([entry.program for entry, _ in entries], lengths),
        "args": pa.array(args, pa.string()),
        "checkins": _checkins(checkins, count),
        "parent_id": _texts(parents),
    }
    wanted = schema("history").arrow()
    return pa.Table.from_arrays([columns[name] for name in wanted.names], schema=wanted)


def _labels(values: Sequence[str]) -> Any:
    """Return a dictionary array. "" becomes a missing value."""
    codes: dict[str, int] = {}
    # Each label is looked up only once.
    indices = [codes.setdefault(value, len(codes)) for value in values]
    return _dictionary(np.array(indices, np.int32), list(codes))


def _repeated(values: list[str], lengths: Any) -> Any:
    """Return a dictionary array of a value that all records of an entry share."""
    codes: dict[str, int] = {}
    indices = np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)
    return _dictionary(np.repeat(indices, lengths), list(codes))


def _dictionary(indices: Any, values: list[str]) -> Any:
    mask = indices == values.index("") if "" in values else None
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32(), mask=mask), pa.array(values, pa.string())
    )


def _texts(values: Sequence[str]) -> Any:
    """Return a text array. "" becomes a missing value."""
    if not any(values):
        return pa.nulls(len(values), pa.string())
    return pa.array([value or None for value in values], pa.string())


def _checkins(values: Sequence[tuple[Any, ...]], count: int) -> Any:
    if not any(values):
        return pa.nulls(count, pa.string())
    return pa.array([_encode(value).decode() if value else None for value in values], pa.string())
