"""Rates and series, computed from successive overviews."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workkit.admin.steps.history import HistoryRecord
from workkit.core.outcomes import OUTCOMES, with_flag
from workkit.core.records import Overview, Queue

__all__ = ["FAILED_TOTALS", "Digest", "Flow", "Flows", "Sample", "Spans", "Spread", "Trends"]

#: Points of a series: at two seconds each, four minutes.
POINTS: Final = 120
#: Rates are computed over this much of the recent past, seconds.
_WINDOW_S: Final = 15.0
#: Percentiles of a name are of at most this many of its last executions.
_SPANS: Final = 200
#: Older executions do not count as recent, seconds.
_RECENT_S: Final = 600.0
#: Outcomes of handlers that ran to their end.
_BAD: Final = with_flag("failed")
#: The fields of a heartbeat that count these outcomes.
FAILED_TOTALS: Final = tuple(OUTCOMES[outcome].total for outcome in _BAD)
_ENDED: Final = _BAD | {"done"}


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow of a queue.

    Attributes:
        out_per_s: Jobs that end a second, estimated from a sample of history; None if unknown.
        in_per_s: Jobs that come a second; None if unknown.
        drain_s: How long until it is empty at that pace; None if it is not getting shorter.
    """

    out_per_s: float | None = None
    in_per_s: float | None = None
    drain_s: float | None = None


@dataclass(frozen=True, slots=True)
class Flows:
    """How queues move; computed when drawn, since only few of a thousand queues are visible.

    Attributes:
        out_per_s: Name → jobs that end a second. A queue without an entry has not moved.
        before: Name → how many jobs waited at the start of the period of the rates.
        passed_s: The length of that period, seconds; 0 before the second overview.
    """

    out_per_s: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    passed_s: float = 0.0

    def of(self, queue: Queue) -> Flow:
        """Return the flow of a queue."""
        if not self.passed_s:
            return Flow()
        out = self.out_per_s.get(queue.job_name, 0.0)
        grows = (queue.count - self.before.get(queue.job_name, 0)) / self.passed_s
        drain = queue.count / -grows if grows < 0 and queue.count else None
        return Flow(out, max(out + grows, 0.0), drain)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long the recent executions of a name waited and ran, milliseconds.

    Attributes:
        wait_ms: The median and the 95th percentile of the waits; None where none is known.
        run_ms: The same of the runs.
        executions: How many executions they are of.
    """

    wait_ms: tuple[int, int] | None
    run_ms: tuple[int, int] | None
    executions: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of an overview that rates need.

    Attributes:
        at_s: When it was read, epoch seconds.
        done: Pool id → jobs done since its start.
        failed: Pool id → executions that failed since its start.
        executions: Executions that history has recorded.
        depths: Queue → how many jobs wait.
        dead: Jobs in the dead set.
    """

    at_s: float
    done: Mapping[str, int]
    failed: Mapping[str, int]
    executions: int
    depths: Mapping[str, int]
    dead: int

    @classmethod
    def of(cls, seen: Overview) -> Sample:
        """Return the sample of an overview."""
        return cls(
            seen.taken_at,
            {pool.worker_pool_id: pool.totals.get("done", 0) for pool in seen.pools},
            {
                pool.worker_pool_id: sum(pool.totals.get(name, 0) for name in FAILED_TOTALS)
                for pool in seen.pools
            },
            seen.executions,
            {queue.job_name: queue.count for queue in seen.queues},
            seen.dead,
        )


@dataclass(frozen=True, slots=True)
class Digest:
    """The part of the executions between two overviews that rates and series need.

    Attributes:
        ran: Name → how many executions ran a handler.
        ended: Name → how many of these ended recently, done or failed.
        failed: Name → how many of those failed.
        wait_ms: Median time in the queue, milliseconds; 0 if unknown.
        run_ms: Median time of the handlers, milliseconds; 0 if unknown.
        failures: The failures, the newest first.
        versions: Versions of the programs that ran them.
        fresh: The executions themselves, the newest first.
    """

    ran: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    wait_ms: float = 0.0
    run_ms: float = 0.0
    failures: Sequence[HistoryRecord] = ()
    versions: frozenset[str] = frozenset()
    fresh: Sequence[HistoryRecord] = ()

    @classmethod
    def of(cls, at_s: float, fresh: Sequence[HistoryRecord]) -> Digest:
        """Summarize executions.

        Args:
            at_s: When they were read, epoch seconds.
            fresh: The executions, the newest first.
        """
        ran = [record for record in fresh if record.started_ms]
        ended = [r for r in ran if r.outcome in _ENDED and r.finished_ms / 1_000 > at_s - _RECENT_S]
        return cls(
            Counter(record.name for record in ran),
            Counter(record.name for record in ended),
            Counter(record.name for record in ended if record.outcome in _BAD),
            _median([r.wait_ms for r in ran if r.wait_ms is not None]),
            _median([r.finished_ms - r.started_ms for r in ran]),
            [record for record in fresh if record.outcome in _BAD],
            frozenset(record.version for record in ran if record.version),
            fresh,
        )


class Spans:
    """How long the last executions of each name waited and ran."""

    def __init__(self) -> None:
        #: Name → wait (None if unknown) and run of its last executions, milliseconds.
        self._spans: dict[str, deque[tuple[int | None, int]]] = {}
        self._recorded: Mapping[str, Spread] = {}

    def add(self, fresh: Sequence[HistoryRecord]) -> None:
        """Add executions, the newest first."""
        for record in reversed(fresh):
            if record.started_ms:
                spans = self._spans.setdefault(record.name, deque(maxlen=_SPANS))
                spans.append((record.wait_ms, max(record.finished_ms - record.started_ms, 0)))

    def replace(self, recorded: Mapping[str, Spread]) -> None:
        """Take what was recorded of each name."""
        self._recorded = recorded

    def of(self, name: str) -> Spread | None:
        """Return how long those of a name waited and ran; None if none was seen."""
        spans = self._spans.get(name)
        if not spans:
            return self._recorded.get(name)
        waits = sorted(wait for wait, _ in spans if wait is not None)
        runs = sorted(run for _, run in spans)
        return Spread(_quantiles(waits), _quantiles(runs), len(spans))


class Trends:
    """Remembers overviews for some minutes."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=POINTS)
        self._names: deque[tuple[float, Mapping[str, int]]] = deque(maxlen=POINTS)
        #: For each overview: how many executions of a name ended, and how many of these failed.
        self._ends: deque[tuple[Mapping[str, int], Mapping[str, int]]] = deque(maxlen=POINTS)
        self.done: deque[float] = deque(maxlen=POINTS)
        self.failed: deque[float] = deque(maxlen=POINTS)
        self.queued: deque[float] = deque(maxlen=POINTS)
        self.wait_ms: deque[float] = deque(maxlen=POINTS)
        self.run_ms: deque[float] = deque(maxlen=POINTS)
        self.spans = Spans()
        self._newest_ms = 0
        #: The last failures, the newest first.
        self.failures: deque[HistoryRecord] = deque(maxlen=POINTS)

    def add(self, seen: Overview, recent: Sequence[HistoryRecord]) -> Digest:
        """Add an overview.

        Args:
            seen: The overview.
            recent: The last executions, the newest first.

        Returns:
            What was added of the executions that were not seen before.
        """
        fresh = [record for record in recent if record.finished_ms > self._newest_ms]
        digest = Digest.of(seen.taken_at, fresh)
        if not self.add_sample(Sample.of(seen), digest):
            return Digest()
        if recent:
            self._newest_ms = max(self._newest_ms, *(record.finished_ms for record in recent))
        self.spans.add(fresh)
        return digest

    def add_sample(self, sample: Sample, digest: Digest) -> bool:
        """Add an overview and executions that are summarized already, as in a recording.

        Returns:
            Whether it was added; an overview that is not newer than the last one is not.
        """
        if self._samples and sample.at_s <= self._samples[-1].at_s:
            return False
        self._samples.append(sample)
        self.done.append(self.done_per_s or 0)
        self.failed.append(self.failed_per_s or 0)
        self.queued.append(sum(sample.depths.values()))
        self.failures.extendleft(reversed(digest.failures))
        self._names.append((sample.at_s, digest.ran))
        self._ends.append((digest.ended, digest.failed))
        self.wait_ms.append(digest.wait_ms)
        self.run_ms.append(digest.run_ms)
        return True

    # Rates.

    def _window(self) -> tuple[Sample, Sample] | None:
        """Return the two overviews between which rates are computed."""
        if len(self._samples) < 2:  # noqa: PLR2004 - a rate needs two
            return None
        last = self._samples[-1]
        first = next(s for s in self._samples if s.at_s >= last.at_s - _WINDOW_S or s is last)
        return (self._samples[-2], last) if first is last else (first, last)

    def _rate(self, totals: str) -> float | None:
        window = self._window()
        if window is None:
            return None
        first, last = window
        before, after = getattr(first, totals), getattr(last, totals)
        # A new pool began at zero; a pool that is gone adds nothing.
        grown = sum(max(n - before.get(pool, 0), 0) for pool, n in after.items())
        return float(grown / (last.at_s - first.at_s))

    @property
    def done_per_s(self) -> float | None:
        """Jobs that succeed a second; None before the second overview."""
        return self._rate("done")

    @property
    def failed_per_s(self) -> float | None:
        """Executions that fail a second; None before the second overview."""
        return self._rate("failed")

    @property
    def executions_per_s(self) -> float | None:
        """Executions that history records a second; None before the second overview."""
        window = self._window()
        if window is None:
            return None
        first, last = window
        return max(last.executions - first.executions, 0) / (last.at_s - first.at_s)

    @property
    def died_recently(self) -> int:
        """How much the dead set has grown within `remembered_s`."""
        return self._samples[-1].dead - self._samples[0].dead if self._samples else 0

    @property
    def remembered_s(self) -> float:
        """The time between the first and the last overview, seconds."""
        return self._samples[-1].at_s - self._samples[0].at_s if self._samples else 0.0

    def outcomes(self) -> list[tuple[str, int, int]]:
        """Return the recent executions of each name: how many ended, how many failed."""
        ended: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for each, bad in self._ends:
            ended.update(each)
            failed.update(bad)
        return [(name, number, failed[name]) for name, number in ended.items()]

    def spread(self, name: str) -> Spread | None:
        """Return how long the last executions of a name waited and ran; None if none was seen."""
        return self.spans.of(name)

    def flows(self) -> Flows:
        """Return the flows of all queues."""
        window, total = self._window(), self.executions_per_s
        if window is None or total is None:
            return Flows()
        first, last = window
        seen: Counter[str] = Counter()
        for at_s, names in self._names:
            if at_s > first.at_s:
                seen.update(names)
        share = total / (seen.total() or 1)
        out_per_s = {name: share * number for name, number in seen.items()}
        return Flows(out_per_s, first.depths, last.at_s - first.at_s)


def _median(numbers: list[int]) -> float:
    return float(sorted(numbers)[len(numbers) // 2]) if numbers else 0.0


def _quantiles(numbers: Sequence[int]) -> tuple[int, int] | None:
    """Return the median and the 95th percentile of sorted numbers: of the nearest rank."""
    if not numbers:
        return None
    last = len(numbers) - 1
    return numbers[len(numbers) // 2], numbers[min(math.ceil(0.95 * len(numbers)), last + 1) - 1]
