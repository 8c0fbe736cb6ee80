"""What several executions of a job say together, in archives that do not fit in memory.

The executions of a job may be anywhere in an archive. Only jobs that failed have several that
matter, and they are few. So their ids are collected first, as hashes of 64 bits, and then what is
wanted of these jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workkit.frames.extra import np, pa
from workkit.frames.scanning import Scan, frame_of_tables

__all__ = ["LastDone", "hashes", "retried"]

#: How many jobs that were tried again one pass looks at, about.
_JOBS: Final = 500_000
#: The number that is no time, for NumPy.
_NEVER: Final = np.iinfo(np.int64).min
_MULTIPLIER: Final = 0x9E3779B97F4A7C15


def retried(scan: Scan, columns: list[str]) -> Iterator[Any]:
    """Yield frames that together have all executions of jobs that were tried again.

    All executions of a job are in the same frame, in the order of the archive.

    Args:
        scan: The archive.
        columns: The columns of the frames; "job_id" must be among them.
    """
    known = _jobs_of(scan.narrowed(outcome="retry"))
    passes = -(-len(known) // _JOBS)
    for number in range(passes):
        parts = []
        for piece in scan.tables(columns):
            hashed = hashes(piece["job_id"])
            _, chosen = _places_in(known, hashed)
            if passes > 1:
                chosen &= hashed % np.uint64(passes) == number
            if chosen.any():
                parts.append(piece.filter(pa.array(chosen)))
        yield frame_of_tables(parts, columns)


class LastDone:
    """When each job that failed was done last.

    Args:
        failed: The failed executions.
        executions: All executions.
    """

    def __init__(self, failed: Scan, executions: Scan) -> None:
        self._known = _jobs_of(failed)
        self._done_ms = np.full(len(self._known), _NEVER)
        for table in executions.narrowed(outcome="done").tables(["job_id", "finished_at"]):
            places, known = _places_in(self._known, hashes(table["job_id"]))
            finished_ms = table["finished_at"].cast(pa.int64()).to_numpy()
            np.maximum.at(self._done_ms, places[known], finished_ms[known])

    def of(self, job_ids: Any) -> Any:
        """Return when jobs were done last, as an array of NumPy times; NaT if they were not.

        Args:
            job_ids: An Arrow array.
        """
        places, known = _places_in(self._known, hashes(job_ids))
        done_ms = np.full(len(places), _NEVER)
        done_ms[known] = self._done_ms[places[known]]
        return done_ms.astype("datetime64[ms]")


def _places_in(known: Any, hashed: Any) -> tuple[Any, Any]:
    """Return where hashes are among known ones, which are in order, and which of them are there."""
    if not len(known):
        return np.zeros(len(hashed), np.int64), np.zeros(len(hashed), bool)
    places = np.minimum(np.searchsorted(known, hashed), len(known) - 1)
    return places, known[places] == hashed


def _jobs_of(executions: Scan) -> Any:
    """Return the hashes of the ids of jobs, each once, in order."""
    found = [hashes(table["job_id"]) for table in executions.tables(["job_id"])]
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))


def hashes(texts: Any) -> Any:
    """Return a hash of 64 bits for each text of an Arrow array; equal texts have equal ones."""
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if isinstance(array, pa.ChunkedArray):  # combined to no chunk or to several
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.string())
    _, offsets, data = array.buffers()
    count = len(array)
    if not count or data is None:
        return np.zeros(count, np.uint64)
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + count + 1]
    octets, lengths = np.frombuffer(data, np.uint8), np.diff(ends)
    made = np.zeros(count, np.uint64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        block = np.zeros((len(rows), max(-(-length // 8), 1) * 8), np.uint8)
        if len(rows) == count:
            block[:, :length] = octets[ends[0] : ends[-1]].reshape(count, length)
        else:
            block[:, :length] = octets[ends[rows][:, None] + np.arange(length)]
        value = np.full(len(rows), length, np.uint64)
        for word in block.view(np.uint64).T:
            value = (value ^ word) * np.uint64(_MULTIPLIER)
            value ^= value >> np.uint64(29)
        made[rows] = value
    return made
