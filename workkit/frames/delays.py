"""What several executions of a job say together, in archives that do not fit in memory.

The executions of a job may be anywhere in an archive. Only jobs that failed have several that
matter, and they are few. So their ids are collected first, as hashes of 64 bits, and then what is
wanted of these jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workkit.frames.extra import np, pa
from workkit.frames.scanning import Scan, frame_of_tables

__all__ = ["Known", "Last", "LastDone", "Repeated", "Several", "hashes", "retried", "spread"]

#: How many jobs that were tried again one pass looks at, about.
_JOBS: Final = 1_000_000
#: The same, where their ids are kept.
_NAMED_JOBS: Final = 250_000
#: Entries of a table for each job, so that few others fall on the same.
_SPARSE: Final = 16
#: Such a table has at most 2 to the power of this many entries, a byte each.
_MOST_BITS: Final = 27
#: A table of bits has at least, and at most, 2 to the power of this many: 128 MiB.
_LEAST_BITS: Final = 10
_MOST_MARKS: Final = 30
#: The number that is no time, for NumPy.
_NEVER: Final = np.iinfo(np.int64).min
_MULTIPLIER: Final = 0x9E3779B97F4A7C15


def retried(scan: Scan, columns: Sequence[str], *, named: bool) -> Iterator[Any]:
    """Yield frames that together have all executions of jobs that were tried again.

    All executions of a job are in the same frame, in the order of the archive.

    Args:
        scan: The archive.
        columns: The columns of the frames, beside "job_id".
        named: Whether "job_id" is the id. If not, it is a number that only these executions of the
            job have, which takes less memory.
    """
    jobs = _jobs_of(scan.narrowed(outcome="retry"))
    passes = -(-len(jobs) // (_NAMED_JOBS if named else _JOBS))
    for number in range(passes):
        parts, numbers = [], [np.zeros(0, np.int64)]
        for piece in scan.tables(["job_id", *columns]):
            hashed = hashes(piece["job_id"])
            rows, places = jobs.find(hashed)
            if passes > 1:
                now = places % passes == number
                rows, places = rows[now], places[now]
            if len(rows):
                kept = piece if named else piece.drop_columns(["job_id"])
                parts.append(kept.take(pa.array(rows)))
                numbers.append(places)
        if named:
            yield frame_of_tables(parts, ["job_id", *columns])
        else:
            yield frame_of_tables(parts, columns).assign(job_id=np.concatenate(numbers))


class LastDone:
    """When each job that failed was done last.

    Args:
        failed: The failed executions.
        executions: All executions.
    """

    def __init__(self, failed: Scan, executions: Scan) -> None:
        self._jobs = _jobs_of(failed)
        self._done_ms = np.full(len(self._jobs), _NEVER)
        for table in executions.narrowed(outcome="done").tables(["job_id", "finished_at"]):
            rows, places = self._jobs.find(hashes(table["job_id"]))
            finished_ms = table["finished_at"].cast(pa.int64()).to_numpy()
            np.maximum.at(self._done_ms, places, finished_ms[rows])

    def of(self, job_ids: Any) -> Any:
        """Return when jobs were done last, as an array of NumPy times; NaT if they were not.

        Args:
            job_ids: An Arrow array.
        """
        rows, places = self._jobs.find(hashes(job_ids))
        done_ms = np.full(len(job_ids), _NEVER)
        done_ms[rows] = self._done_ms[places]
        return done_ms.astype("datetime64[ms]")


class Several:
    """Finds jobs that have several executions.

    A table has two bits for each job. The hashes of jobs whose bits were set before are kept: of
    those that had come, and of a few others.

    Args:
        executions: How many there are, at most.
    """

    def __init__(self, executions: int) -> None:
        bits = min(max((executions * _SPARSE).bit_length(), _LEAST_BITS), _MOST_MARKS)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << (bits - 3), np.uint8)
        self._came: list[Any] = []

    def add(self, jobs: Any) -> None:
        """Mark jobs, by their hashes."""
        jobs, counts = np.unique(jobs, return_counts=True)
        marks = [self._bits(jobs), self._bits(jobs * np.uint64(_MULTIPLIER))]
        came = np.logical_and(*(self._table[octets] & bits != 0 for octets, bits in marks))
        self._came.append(jobs[came | (counts > 1)])
        for octets, bits in marks:
            np.bitwise_or.at(self._table, octets, bits)

    def known(self) -> Known:
        """Return the jobs that came several times, and a few others. The table is given up."""
        known = Known(self._came)
        self._table, self._came = np.zeros(0, np.uint8), []
        return known

    def _bits(self, jobs: Any) -> tuple[Any, Any]:
        """Return the octet and the bit of each job in the table."""
        places = jobs >> self._shift
        bits = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
        return (places >> np.uint64(3)).astype(np.int64), bits


class Last:
    """Tells which execution of each job is the last of some, when they are read again.

    Args:
        several: The jobs that have several; all others have one.
    """

    def __init__(self, several: Known) -> None:
        self._several = several
        self._numbers = np.full(len(several), -1)

    def place(self, jobs: Any, numbers: Any) -> None:
        """Look at executions: the hashes of their jobs, and their numbers, which increase."""
        rows, places = self._several.find(jobs)
        np.maximum.at(self._numbers, places, numbers[rows])

    def among(self, jobs: Any, numbers: Any) -> Any:
        """Tell of each of these executions whether it is the last, after all were looked at."""
        last = np.ones(len(jobs), bool)
        rows, places = self._several.find(jobs)
        last[rows] = self._numbers[places] == numbers[rows]
        return last


class Repeated:
    """Counts how often jobs come again in one group of executions, which are read twice.

    Args:
        executions: How many there are, at most.
    """

    def __init__(self, executions: int) -> None:
        self._several = Several(executions)
        self._jobs: Known | None = None
        self._known = np.zeros(0, np.uint64)
        self._waiting: list[tuple[Any, Any]] = []
        self._rows = 0
        self._again: Counter[int] = Counter()

    def add(self, jobs: Any) -> None:
        """Mark jobs, by their hashes, in the first reading."""
        self._several.add(jobs)

    def look(self, jobs: Any, groups: Any, places: Any) -> None:
        """Look at the same executions in the second reading.

        Args:
            jobs: The hash of each one's job.
            groups: The number of each one's group.
            places: What `again` counts.
        """
        if self._jobs is None:
            self._jobs = self._several.known()
        rows, _ = self._jobs.find(jobs)
        # One number for a job in a group, as hashes are: two of them are hardly ever equal.
        group = (groups[rows].astype(np.uint64) + np.uint64(1)) * np.uint64(_MULTIPLIER)
        self._waiting.append((jobs[rows] ^ group, places[rows]))
        self._rows += len(rows)
        if self._rows > _JOBS:
            self._settle()

    def again(self) -> Mapping[int, int]:
        """Return how often a job that had come before in its group came at each place."""
        self._settle()
        return self._again

    def _settle(self) -> None:
        if not self._waiting:
            return
        jobs, places = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        again = np.ones(len(jobs), bool)
        again[np.unique(jobs, return_index=True)[1]] = False
        if len(self._known):
            at = np.minimum(np.searchsorted(self._known, jobs), len(self._known) - 1)
            again |= self._known[at] == jobs
        self._again.update(places[again].tolist())
        # Not np.unique, whose table of hashes takes many times as much memory.
        self._known = np.concatenate([self._known, jobs[~again]])
        self._known.sort()
        self._waiting, self._rows = [], 0


class Known:
    """Jobs, by the hashes of their ids.

    Args:
        found: The hashes, in several arrays.
    """

    def __init__(self, found: Sequence[Any]) -> None:
        self._known = np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))
        # Most other jobs are told by a table that fits in a cache better than the hashes do.
        bits = min((len(self._known) * _SPARSE).bit_length(), _MOST_BITS)
        self._shift = np.uint64(64 - max(bits, 1))
        self._near = np.zeros(1 << max(bits, 1), bool)
        self._near[self._known >> self._shift] = True

    def __len__(self) -> int:
        return len(self._known)

    def find(self, hashed: Any) -> tuple[Any, Any]:
        """Return which of some hashes are known, and the place of each in the order of all."""
        near = np.flatnonzero(self._near[hashed >> self._shift])
        places = np.searchsorted(self._known, hashed[near])
        places = np.minimum(places, max(len(self._known) - 1, 0))
        found = self._known[places] == hashed[near]
        return near[found], places[found]


def _jobs_of(executions: Scan) -> Known:
    """Return the jobs of some executions."""
    return Known([hashes(table["job_id"]) for table in executions.tables(["job_id"])])


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
        # Spread over all bits: a short text and its length must not make up for each other.
        begin = (int(length) + 1) * int(_MULTIPLIER) % 2**64
        value = np.full(len(rows), begin, np.uint64)
        for word in block.view(np.uint64).T:
            value = (value ^ word) * np.uint64(_MULTIPLIER)
            value ^= value >> np.uint64(29)
        made[rows] = value
    return made


def spread(numbers: Any) -> Any:
    """Return whole numbers as such hashes: different numbers have different ones."""
    return numbers.astype(np.uint64) * np.uint64(_MULTIPLIER)
