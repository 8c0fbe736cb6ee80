"""What a timeline shows, from the events of a trace: runs as bars, faults as marks, queues."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from workkit.simulation.trace import Event

__all__ = ["Mark", "Run", "Timeline", "detail_of", "read_timeline"]

_ENDS: Final = {"succeeded": "succeeded", "failed": "failed"}
#: The fate of a job whose handler has ended.
_FATES: Final = {"retried": "failed, retried", "died": "failed, dead", "returned": "returned"}
#: Events after which a job waits in its queue, or no longer does.
_WAITING: Final = {"enqueued": 1, "due": 1, "returned": 1, "recovered": 1, "revived": 1,
                   "claimed": -1}  # fmt: skip
_DETAIL_CHARS: Final = 300


class Run(NamedTuple):
    """A handler from its start to its end.

    Attributes:
        pool: The number of its pool in `Timeline.pools`.
        row: Its row in the lane of the pool: no two runs of a row overlap.
        name: The job's name.
        job_id: The job's id.
        start_us: When it started, microseconds since the world began.
        end_us: When it ended, or the world did.
        outcome: "succeeded", "failed", "failed, retried", "failed, dead", "crashed" (with its
            pool), or "running" at the end of the world.
        detail: The error, or "".
    """

    pool: int
    row: int
    name: str
    job_id: str
    start_us: int
    end_us: int
    outcome: str
    detail: str


class Mark(NamedTuple):
    """A fault, or the start or the end of a pool.

    Attributes:
        at_us: When, microseconds since the world began.
        pool: The number of the pool; -1 for all, such as a fault of Redis.
        kind: "fault" or "pool".
        text: What happened.
        for_us: How long it lasts; 0 for a moment.
    """

    at_us: int
    pool: int
    kind: str
    text: str
    for_us: int = 0


@dataclass
class Timeline:
    """The parts of a timeline.

    Attributes:
        pools: The names of the pools.
        rows: How many rows the lane of each pool has.
        runs: In the order of their starts.
        marks: In the order of their times.
        waiting: When the number of jobs in queues changes, and how many there are then.
        end_us: The time of the last event.
    """

    pools: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    end_us: int = 0


@dataclass(slots=True)
class _Open:
    """A run whose end has not come yet."""

    pool: int
    row: int
    name: str
    start_us: int


class _Reader:
    """Reads a trace once, from its beginning to its end."""

    def __init__(self) -> None:
        self.made = Timeline()
        self._numbers: dict[str, int] = {}
        self._free: list[list[int]] = []
        self._open: dict[tuple[str, str], _Open] = {}
        #: The last run of each job, until its fate is known.
        self._undecided: dict[str, int] = {}
        self._count = 0

    def read(self, event: Event) -> None:
        """Read the next event."""
        self.made.end_us = max(self.made.end_us, event.at_us)
        if change := _WAITING.get(event.kind):
            self._wait(event.at_us, change)
        if event.kind == "started":
            self._start(event)
        elif event.kind in _ENDS:
            self._end(event.where, event.job_id, event.at_us, event.kind, detail_of(event))
        elif event.kind in _FATES and event.job_id in self._undecided:
            at = self._undecided.pop(event.job_id)
            if self.made.runs[at].outcome == "failed":
                self.made.runs[at] = self.made.runs[at]._replace(outcome=_FATES[event.kind])
        elif event.kind in {"fault", "pool", "reaped"}:
            self._mark(event)

    def _wait(self, at_us: int, change: int) -> None:
        self._count = max(self._count + change, 0)
        waiting = self.made.waiting
        if waiting and waiting[-1][0] == at_us:
            waiting.pop()
        waiting.append((at_us, self._count))

    def _pool(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            self.made.pools.append(name)
            self.made.rows.append(1)
            self._free.append([])
        return self._numbers[name]

    def _start(self, event: Event) -> None:
        pool = self._pool(event.where)
        self._end(event.where, event.job_id, event.at_us, "crashed", "")
        free = self._free[pool]
        taken = sum(1 for where, _ in self._open if where == event.where)
        row = heapq.heappop(free) if free else taken
        self.made.rows[pool] = max(self.made.rows[pool], row + 1)
        self._open[event.where, event.job_id] = _Open(pool, row, event.name, event.at_us)

    def _end(self, where: str, job_id: str, at_us: int, outcome: str, detail: str) -> None:
        run = self._open.pop((where, job_id), None)
        if run is None:
            return
        heapq.heappush(self._free[run.pool], run.row)
        self._undecided[job_id] = len(self.made.runs)
        self.made.runs.append(
            Run(run.pool, run.row, run.name, job_id, run.start_us, at_us, outcome, detail)
        )

    def _mark(self, event: Event) -> None:
        detail = dict(event.detail)
        what = detail.pop("fault", None) or detail.pop("does", event.kind)
        for_s = detail.get("for_s", 0)
        text = f"{what} {detail_of(event, leave=('fault', 'does'))}".strip()
        pool = self._pool(event.where) if event.where else -1
        kind = "pool" if event.kind == "pool" else "fault"
        self.made.marks.append(Mark(event.at_us, pool, kind, text, round(for_s * 1_000_000)))
        if what in {"crash", "end"}:
            for where, job_id in [key for key in self._open if key[0] == event.where]:
                self._end(where, job_id, event.at_us, "crashed", "")

    def finish(self) -> Timeline:
        """End what still runs."""
        for where, job_id in list(self._open):
            self._end(where, job_id, self.made.end_us, "running", "")
        self.made.runs.sort(key=lambda run: run.start_us)
        return self.made


def read_timeline(events: Iterable[Event]) -> Timeline:
    """Return the parts of a timeline."""
    reader = _Reader()
    for event in events:
        reader.read(event)
    return reader.finish()


def detail_of(event: Event, leave: tuple[str, ...] = ()) -> str:
    """Return the facts of an event as text of a bounded length."""
    text = "  ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in event.detail.items()
        if key not in leave
    )
    return text if len(text) <= _DETAIL_CHARS else text[: _DETAIL_CHARS - 3] + "..."
