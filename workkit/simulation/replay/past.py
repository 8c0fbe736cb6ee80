"""What history says about the jobs that ran: when they came, how long they ran, how they ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from workkit.core.outcomes import with_fate
from workkit.core.verdicts import Discard, Fail, Retry, Verdict
from workkit.errors import InvalidOption

__all__ = ["NEVER_S", "Arrival", "Past", "Try", "read_past"]

#: The delay of a retry that history does not have: it lies beyond every replay, seconds.
NEVER_S: Final = 9 * 365 * 86_400
#: Outcomes of handlers that ran to their end. The others are the work of the fleet, and a replay
#: has a fleet of its own.
_RAN: Final = with_fate(b"d", b"r", b"x")
_VERDICTS: Final[dict[str, type[Verdict]]] = {"dead": Fail, "discarded": Discard}
#: The class in an error's headline, such as "ValueError" or "http.client.BadStatusLine".
_CLASS: Final = re.compile(r"[^\W\d][\w.]{0,99}")
_COLUMNS: Final = (
    "job_id", "name", "outcome", "reason", "enqueued_at", "started_at", "finished_at", "wait",
    "run", "fails", "error", "worker_id", "pool_id",
)  # fmt: skip


class Try(NamedTuple):
    """One run of a handler.

    Attributes:
        run_s: How long it ran, seconds.
        outcome: How it ended: "done", "retry", "postponed", "dead" or "discarded".
        error: The headline of its error; "" without one.
        asked: Whether the handler itself chose the delay until the next run.
        next_in_s: Seconds until the next run was due; `NEVER_S` if history has no next run.
    """

    run_s: float
    outcome: str = "done"
    error: str = ""
    asked: bool = False
    next_in_s: int = NEVER_S

    def exception(self) -> Exception | None:
        """Return what the handler raises to end this way; None for success."""
        if self.outcome == "done":
            return None
        kind, _, message = self.error.partition(": ")
        if _CLASS.fullmatch(kind) is None:
            kind, message = "Exception", self.error
        base: type[Exception] = _VERDICTS.get(self.outcome, Exception)
        if self.outcome == "postponed" or self.asked:
            base = Retry
        error: Exception = _error_class(kind, base)(message)  # type: ignore[arg-type] # it hashes
        if isinstance(error, Retry):
            error.in_s, error.counts = self.next_in_s, self.outcome != "postponed"
        return error


@lru_cache(maxsize=1_000)
def _error_class(name: str, base: type[Exception]) -> type[Exception]:
    """Return a class of the recorded name, so that errors are grouped as they were."""
    return base if name == base.__name__ else type(name, (base,), {"__module__": "builtins"})


class Arrival(NamedTuple):
    """A job that entered its queue.

    Attributes:
        at_ms: When, epoch milliseconds.
        job_id: Its id.
        name: Its name.
        fails: How often it had failed before.
        args: Its args as JSON; None if history has none.
        tries: Its runs, in their order.
    """

    at_ms: int
    job_id: str
    name: str
    fails: int
    args: str | None
    tries: tuple[Try, ...]


@dataclass(frozen=True)
class Past:
    """The jobs of a history.

    Attributes:
        arrivals: The jobs, the first to arrive first.
        runs: How many runs they have together.
        left_out: Records that no handler ran to its end, such as returned jobs.
        run_times_s: Name -> how long its handlers ran, seconds.
        end_ms: When the last run ended, epoch milliseconds.
    """

    arrivals: tuple[Arrival, ...]
    runs: int
    left_out: int
    run_times_s: dict[str, list[float]] = field(repr=False)
    end_ms: int

    @property
    def start_ms(self) -> int:
        """When the first job arrived, epoch milliseconds."""
        return self.arrivals[0].at_ms


def read_past(frame: Any) -> Past:
    """Read the jobs of a frame of history.

    Raises:
        InvalidOption: It is not a frame of history, or no job of it has run.
    """
    columns = getattr(frame, "columns", ())
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise InvalidOption(f"this is not a frame of history: it has no {', '.join(missing)}")
    records = list(_records(frame))
    jobs: dict[str, list[_Record]] = {}
    for record in records:
        jobs.setdefault(record.job_id, []).append(record)
    arrivals = []
    run_times_s: dict[str, list[float]] = {}
    for job_id, found in jobs.items():
        ran = [each for each in found if each.outcome in _RAN and each.started_ms]
        if ran:
            arrivals.append(_arrival(job_id, found[0], ran))
            run_times_s.setdefault(ran[0].name, []).extend(each.run_s for each in ran)
    if not arrivals:
        raise InvalidOption(
            "history has no run to replay; pools with history=None and Go pools write none, and "
            "the bounds on its time may leave out all of it"
        )
    runs = sum(len(each.tries) for each in arrivals)
    arrivals.sort(key=lambda each: (each.at_ms, each.job_id))
    end_ms = max(record.finished_ms for record in records)
    return Past(tuple(arrivals), runs, len(records) - runs, run_times_s, end_ms)


class _Record(NamedTuple):
    job_id: str
    name: str
    outcome: str
    reason: str
    enqueued_ms: int
    started_ms: int
    finished_ms: int
    exact: bool
    fails: int
    error: str
    args: str | None

    @property
    def run_s(self) -> float:
        return max(self.finished_ms - self.started_ms, 0) / 1_000


def _records(frame: Any) -> Iterator[_Record]:
    """Yield the rows in the order of their ends."""
    ordered = frame.sort_values("finished_at", kind="stable")
    ordered = ordered[ordered["job_id"].notna() & ordered["name"].notna()]

    def texts(name: str, missing: object = "") -> Any:
        values = ordered[name].astype(object)
        return values.where(values.notna(), missing).tolist()

    def millis(name: str) -> Any:
        times = ordered[name].astype("datetime64[ms, UTC]")
        return times.astype("int64").where(times.notna(), 0).tolist()

    args = texts("args", None) if "args" in ordered else [None] * len(ordered)
    return map(
        _Record,
        texts("job_id"), texts("name"), texts("outcome"), texts("reason"), millis("enqueued_at"),
        millis("started_at"), millis("finished_at"), ordered["wait"].notna().tolist(),
        ordered["fails"].fillna(0).astype("int64").tolist(), texts("error"), args,
    )  # fmt: skip


def _arrival(job_id: str, first: _Record, ran: list[_Record]) -> Arrival:
    at_ms = first.enqueued_ms
    if not first.exact and at_ms % 1_000 == 0:
        # Only the second is known. The middle is off by half a second at most.
        at_ms = max(at_ms, min(at_ms + 500, (first.started_ms or first.finished_ms)))
    tries = tuple(
        Try(
            record.run_s,
            record.outcome,
            record.error,
            record.outcome == "retry" and record.reason == "Retry",
            NEVER_S if after is None else _delay_s(record, after),
        )
        for record, after in zip(ran, [*ran[1:], None], strict=True)
    )
    begun = ran[0]
    fails = max(begun.fails - (begun.outcome not in {"done", "postponed"}), 0)
    return Arrival(at_ms, job_id, begun.name, fails, begun.args, tries)


def _delay_s(record: _Record, after: _Record) -> int:
    """Return the delay that the engine had drawn: both of its ends are whole seconds."""
    return max(after.enqueued_ms // 1_000 - record.finished_ms // 1_000, 0)
