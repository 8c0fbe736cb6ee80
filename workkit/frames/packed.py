"""From packed history to Arrow, column by column.

A record object and a row a record would cost ten times the rest, so entries are unpacked into
columns, some tens of thousands of records at a time, and what has few values becomes a dictionary
at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec

from workkit.core.history import FORMAT, PackedHistory, Record, unpack
from workkit.frames.extra import np, pa
from workkit.frames.schema import schema

__all__ = ["Unpacker"]

#: Records that are turned into Arrow in one go.
_CHUNK: Final = 65_536
_get: Final = attrgetter(
    "job_id", "name", "enqueued_at", "started_ms", "finished_ms", "outcome", "fails", "error",
    "fingerprint", "worker_id", "reason", "args", "checkins", "enqueued_millis",
)  # fmt: skip
_encode: Final = msgspec.json.encode


class Unpacker:
    """Turns packed entries into Arrow tables.

    Args:
        chunk: How many records a table has at least, but for the last.

    Attributes:
        read: How many records were unpacked so far.
        unreadable: How many could not be: of a later format, or damaged.
    """

    def __init__(self, chunk: int = _CHUNK) -> None:
        self._chunk = chunk
        self.read = 0
        self.unreadable = 0

    def tables(self, batches: Iterable[Sequence[PackedHistory]]) -> Iterator[Any]:
        """Turn batches of entries into tables with the schema of the frame "history"."""
        waiting: list[tuple[PackedHistory, list[Record]]] = []
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

    def _unpack(self, entry: PackedHistory) -> list[Record]:
        try:
            records = unpack(entry.blob) if entry.version == FORMAT else []
        except msgspec.MsgspecError:
            records = []
        self.read += len(records)
        self.unreadable += max(entry.records - len(records), 0)
        return records


def _table(entries: list[tuple[PackedHistory, list[Record]]], count: int) -> Any:
    records = list(chain.from_iterable(records for _, records in entries))
    (
        job_ids, names, enqueued, started, finished, outcomes, fails, errors, fingerprints,
        workers, reasons, args, checkins, millis,
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
    }
    wanted = schema("history").arrow()
    return pa.Table.from_arrays([columns[name] for name in wanted.names], schema=wanted)


def _labels(values: Sequence[str]) -> Any:
    """Return a dictionary; "" is missing."""
    codes: dict[str, int] = {}
    # A label is looked up once, however many records have it.
    indices = [codes.setdefault(value, len(codes)) for value in values]
    return _dictionary(np.array(indices, np.int32), list(codes))


def _repeated(values: list[str], lengths: Any) -> Any:
    """Return a dictionary of what an entry says of all its records."""
    codes: dict[str, int] = {}
    indices = np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)
    return _dictionary(np.repeat(indices, lengths), list(codes))


def _dictionary(indices: Any, values: list[str]) -> Any:
    mask = indices == values.index("") if "" in values else None
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32(), mask=mask), pa.array(values, pa.string())
    )


def _texts(values: Sequence[str]) -> Any:
    """Return texts; "" is missing."""
    if not any(values):
        return pa.nulls(len(values), pa.string())
    return pa.array([value or None for value in values], pa.string())


def _checkins(values: Sequence[tuple[Any, ...]], count: int) -> Any:
    if not any(values):
        return pa.nulls(count, pa.string())
    return pa.array([_encode(value).decode() if value else None for value in values], pa.string())
