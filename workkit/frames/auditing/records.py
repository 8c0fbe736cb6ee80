"""The records of history as arrays, job by job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from workkit.core.outcomes import OUTCOMES
from workkit.frames.extra import np, pd

__all__ = ["Evidence", "Finding", "Hits", "Records", "Span"]

_CODES: Final = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Finding(NamedTuple):
    """Something that breaks a rule.

    Attributes:
        rule: "lost", "duplicate", "retry", "cron", "limit" or "order".
        what: What is wrong, in words.
        job_id: The job; "" if it is not about a job.
        name: The job's name, or "".
        at: When, epoch seconds; None if unknown.
    """

    rule: str
    what: str
    job_id: str = ""
    name: str = ""
    at: float | None = None


class Hits(NamedTuple):
    """Records that break a rule. Only those that are shown are put into words.

    Attributes:
        rule: The rule.
        rows: Their rows in `Records`.
        what: Puts one of them into words.
    """

    rule: str
    rows: Any
    what: Callable[[int], str]


class Span(NamedTuple):
    """A span of time, epoch milliseconds."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Evidence:
    """What is known beside the records.

    Attributes:
        limits: Name -> `max_concurrency`.
        backoff: The shortest delay of a retry in seconds, by the number of failures; None if it is
            unknown.
        slack_ms: How far the clocks of two hosts may differ.
        gaps: Spans of which history has lost records.
        go: Whether Go pools run jobs too; they write no history.
    """

    limits: dict[str, int] = field(default_factory=dict)
    backoff: Callable[[int], float] | None = None
    slack_ms: int = 2_000
    gaps: Sequence[Span] = ()
    go: bool = False

    def in_gap(self, start_ms: Any, end_ms: Any) -> Any:
        """Tell for spans whether a gap touches them."""
        touched = np.zeros(len(start_ms), bool)
        for gap in self.gaps:
            touched |= (start_ms <= gap.end_ms) & (end_ms >= gap.start_ms)
        return touched


class Records:
    """The records as arrays, sorted by job, and each job's by their ends.

    Args:
        frame: A frame of history.

    Attributes:
        job: The number of the job.
        name: The number of its name in `names`.
        outcome: The code of its outcome; see `is_outcome`.
        enqueued, started, finished: Epoch milliseconds; 0 where there is no time.
        exact: Whether `enqueued` is known to the millisecond.
        fails: Failures so far.
        worker, host: Numbers of workers and hosts; -1 without one.
        names: The names.
        timed_out: Whether the run has timed out, so that its handler may have run on.
        is_next: Whether the record before belongs to the same job.
    """

    def __init__(self, frame: Any) -> None:
        frame = frame[frame["job_id"].notna()]
        job, _ = pd.factorize(frame["job_id"])
        finished = _millis(frame["finished_at"])
        started = _millis(frame["started_at"])
        order = np.lexsort((started, finished, job))
        self._ids = frame["job_id"].to_numpy(dtype=object)[order]
        self.job, self.finished, self.started = job[order], finished[order], started[order]
        self.enqueued = _millis(frame["enqueued_at"])[order]
        self.exact = frame["wait"].notna().to_numpy()[order]
        self.fails = frame["fails"].fillna(0).astype("int64").to_numpy()[order]
        outcomes = frame["outcome"].astype(object).map(_CODES).fillna(-1)
        self.outcome = outcomes.astype("int64").to_numpy()[order]
        self.timed_out = (frame["reason"] == "timeout").to_numpy(dtype=bool)[order]
        names, found = pd.factorize(frame["name"].astype(object))
        self.name, self.names = names[order], [str(each) for each in found]
        self.worker = pd.factorize(frame["worker_id"].astype(object))[0][order]
        self.host = pd.factorize(frame["host"].astype(object))[0][order]
        self.is_next = np.zeros(len(self.job), bool)
        self.is_next[1:] = self.job[1:] == self.job[:-1]

    def __len__(self) -> int:
        return len(self.job)

    @property
    def start_ms(self) -> int:
        """When the first record ended."""
        return int(self.finished.min()) if len(self) else 0

    @property
    def end_ms(self) -> int:
        """When the last record ended."""
        return int(self.finished.max()) if len(self) else 0

    @property
    def ran(self) -> Any:
        """Whether a handler ran, and its result counted."""
        return (self.started > 0) & ~self.is_outcome("fenced", "recovered")

    def is_outcome(self, *outcomes: str) -> Any:
        """Tell for each record whether it has one of these outcomes."""
        return np.isin(self.outcome, [_CODES[each] for each in outcomes])  # type: ignore[index]

    def before(self, values: Any) -> Any:
        """Return for each record the value of the record before it; 0 for the first."""
        moved = np.zeros_like(values)
        moved[1:] = values[:-1]
        return moved

    def counted_before(self, flags: Any) -> Any:
        """Count for each record the flagged ones of its job before it."""
        total = np.cumsum(flags)
        earlier = total - flags
        first = np.maximum.accumulate(np.where(self.is_next, 0, np.arange(len(self))))
        return earlier - earlier[first]

    def job_id(self, row: int) -> str:
        """Return the id of a record's job."""
        return str(self._ids[row])

    @property
    def ids(self) -> Any:
        """The ids of the jobs, record by record."""
        return self._ids

    def name_of(self, row: int) -> str:
        """Return the name of a record's job."""
        return self.names[self.name[row]] if self.name[row] >= 0 else ""

    def most_by_name(self, values: Any, rows: Any) -> Any:
        """Return for each record the highest value among some rows of its name; 0 without any."""
        most = np.zeros(len(self.names) + 1, "int64")
        np.maximum.at(most, self.name[rows], values[rows])
        return most[self.name]


def _millis(times: Any) -> Any:
    known = times.notna()
    millis = times.astype("datetime64[ms, UTC]").astype("int64")
    return millis.where(known, 0).to_numpy()
