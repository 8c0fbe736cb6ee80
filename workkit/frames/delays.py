"""The delays of retries in archives that do not fit in memory.

A delay lies between two executions of a job, which may be anywhere in an archive. Only jobs that
were tried again have one, and they are few. So their ids are collected first, as bits of a table of
hashes, and then the executions of these jobs, in as many passes as keep them small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workkit.frames.extra import np, pa
from workkit.frames.scanning import Scan, frame_of_tables

__all__ = ["hashes", "retried"]

#: How many jobs that were tried again one pass looks at, about.
_JOBS: Final = 500_000
#: The table of bits has at most 2 to the power of this many entries, a byte each.
_MOST_BITS: Final = 27
#: Entries for each job, so that few others fall on the same.
_SPARSE: Final = 16
_MULTIPLIER: Final = 0x9E3779B97F4A7C15


def retried(scan: Scan, columns: list[str]) -> Iterator[Any]:
    """Yield frames that together have all executions of jobs that were tried again.

    All executions of a job are in the same frame, in the order of the archive. There are executions
    of other jobs among them.

    Args:
        scan: The archive.
        columns: The columns of the frames; "job_id" must be among them.
    """
    found = [hashes(table["job_id"]) for table in scan.narrowed(outcome="retry").tables(["job_id"])]
    if not found:
        return
    known = np.unique(np.concatenate(found))
    bits = min(max(int(len(known) * _SPARSE).bit_length(), 10), _MOST_BITS)
    table = np.zeros(1 << bits, bool)
    places = np.uint64(64 - bits)
    table[known >> places] = True
    passes = -(-len(known) // _JOBS)
    for number in range(passes):
        parts = []
        for piece in scan.tables(columns):
            hashed = hashes(piece["job_id"])
            chosen = table[hashed >> places]
            if passes > 1:
                chosen &= hashed % np.uint64(passes) == number
            if chosen.any():
                parts.append(piece.filter(pa.array(chosen)))
        yield frame_of_tables(parts, columns)


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
