"""Counts each job once, in executions of any number.

An archive is read four times or five, so that only a few jobs have to be remembered: which tries
there are, which jobs come several times, where each of these comes last, and then what is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from workkit.frames.delays import Last, Several, hashes, spread
from workkit.frames.extra import np, pd
from workkit.frames.scanning import Scan, frame_of_tables
from workkit.frames.tallies import Executions

__all__ = ["LABELS", "TIMES", "Once", "args_of"]

#: The columns of history that are labels of a job or of a try.
LABELS: Final = ("name", "host", "version")
#: When a job or an execution ended; a frame has one of them.
TIMES: Final = ("finished_at", "died_at")
#: The columns that tell which try an execution is.
_OF_A_TRY: Final = ("outcome", "fails")


class Once:
    """Executions of which each job counts once: the last, and the last of tries of one number.

    Args:
        executions: A frame of jobs or executions, or a scan that does not change.

    Attributes:
        rows: How many executions there are.
        known: Labels that some of them have, and "hour" if they have times.
        tries: How many have each number, 1 for first tries; None if they do not tell.
    """

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        self.rows = 0
        self.known: set[str] = set()
        self.tries: Counter[int] | None = Counter()
        for rows, _, _ in self._read(*LABELS, *_OF_A_TRY):
            self.rows += len(rows)
            self.known |= {name for name in LABELS if name in rows and rows[name].notna().any()}
            numbers = _tries(rows)
            if numbers is None:
                self.tries = None
            elif self.tries is not None:
                self.tries.update(numbers.tolist())
        if isinstance(executions, Scan) or any(name in executions for name in TIMES):
            self.known.add("hour")
        self._number: int | None = None
        self._last: tuple[Last, Last] | None = None

    def find_last(self, number: int | None, look: Callable[[Any], None] | None = None) -> None:
        """Find the last execution of each job, before `pieces`.

        Args:
            number: Which tries are taken together; None for all.
            look: Gets the args of all executions, in pieces.
        """
        self._number = number
        several = Several(self.rows)
        for rows, jobs, has_id in self._read("args" if look else "outcome"):
            several.add(jobs[has_id])
            if look:
                look(args_of(rows, slice(None)))
        known, at = several.known(), 0
        if not len(known):
            return
        self._last = of_jobs, of_tries = Last(known), Last(known)
        for rows, jobs, has_id in self._read(*_OF_A_TRY):
            numbers = np.arange(at, at + len(rows))
            at += len(rows)
            of_jobs.place(jobs[has_id], numbers[has_id])
            mine = has_id & self._mine(rows)
            of_tries.place(jobs[mine], numbers[mine])

    def pieces(self, *columns: str) -> Iterator[tuple[Any, Any, Any]]:
        """Yield frames with some columns, and which of their rows count.

        Args:
            *columns: The columns; a frame has further ones, and perhaps not all of these.

        Yields:
            A frame; which rows count for their jobs; and which do among tries of the number.
        """
        at = 0
        for rows, jobs, has_id in self._read(*_OF_A_TRY, *columns):
            numbers = np.arange(at, at + len(rows))
            at += len(rows)
            mine = self._mine(rows)
            if self._last is None:
                yield rows, np.ones(len(rows), bool), mine
                continue
            is_job, is_try = (each.among(jobs, numbers) | ~has_id for each in self._last)
            yield rows, is_job, is_try & mine

    def _mine(self, rows: Any) -> Any:
        if self._number is None:
            return np.ones(len(rows), bool)
        return _tries(rows) == self._number

    def _read(self, *columns: str) -> Iterator[tuple[Any, Any, Any]]:
        """Yield frames, the hashes of their jobs, and which rows have the id of a job."""
        if isinstance(self._executions, Scan):
            for table in self._executions.tables(list(dict.fromkeys(["job_id", *columns]))):
                ids = table["job_id"]
                yield frame_of_tables([table], columns), hashes(ids), ids.is_valid().to_numpy()
            return
        rows = self._executions
        if "job_id" in rows:
            codes, _ = pd.factorize(rows["job_id"])
            yield rows, spread(codes), codes >= 0
        else:
            yield rows, np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)


def args_of(rows: Any, which: Any) -> Any:
    """Return the args of some rows of a frame, which may have none."""
    return rows.loc[which, "args"] if "args" in rows else ()


def _tries(frame: Any) -> Any:
    """Return which try each row is, 1 for the first; None where the frame does not tell."""
    if "fails" not in frame:
        return None
    fails = frame["fails"].astype("Int64").fillna(0).to_numpy(np.int64)
    return fails + (frame["outcome"] == "done").to_numpy(np.int64) if "outcome" in frame else fails
