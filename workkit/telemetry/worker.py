"""Counts what one pool does.

The dispatcher only counts equal tuples, a batch at a time. Tuples become buckets when somebody
asks, or when there are many of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from workkit.core.outcomes import OUTCOMES
from workkit.engine.handling.events import ReapedPool
from workkit.engine.observing import Executed, PoolObserver
from workkit.enqueuer.observing import listening
from workkit.telemetry.counts import Counts

__all__ = ["PoolMetrics"]

#: Queue, outcome, how long the handler ran and how long the job had waited, milliseconds.
_Execution: TypeAlias = tuple[str, str, int, int]
#: Queue, outcome, and how long the handler ran, milliseconds.
_Run: TypeAlias = tuple[str, str, int]

#: How executions end in the pool that has run them.
_OUTCOMES: Final = tuple(outcome for outcome in OUTCOMES if outcome != "recovered")
#: After this many different tuples, they become buckets at once: it bounds the memory.
_MOST: Final = 20_000
#: A longer time cannot be right, milliseconds: a start or a time of enqueuing is unknown.
_UNKNOWN_MS: Final = 10 * 366 * 86_400_000


class PoolMetrics(PoolObserver):
    """The numbers of one pool since this object was made: `pool.observe(PoolMetrics())`."""

    is_quick = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()
        self._executions: dict[_Execution, int] = {}

    def starts(self, queues: Sequence[str]) -> None:
        """Begin the counters of the pool's queues at 0, so that their first increase is seen."""
        with self._lock:
            for queue in queues:
                self._counts.counters["workkit_enqueued", queue] += 0
                for outcome in _OUTCOMES:
                    self._counts.counters["workkit_executions", queue, outcome] += 0

    def executed(self, executions: Sequence[Executed]) -> None:
        """Count executions."""
        # Each look-up counts: it is made for every job. Jobs that were enqueued together are mostly
        # equal to the one before, which is cheaper to see than to count.
        with self._lock:
            found, times = self._executions, 0
            key: _Execution = ("", "", 0, 0)
            queue = outcome = ""
            millis = started_ms = finished_ms = enqueued_at = 0
            for execution in executions:
                record = execution.record
                if (
                    record.enqueued_millis == millis
                    and record.started_ms == started_ms
                    and record.finished_ms == finished_ms
                    and execution.queue == queue
                    and record.enqueued_at == enqueued_at
                    and record.outcome == outcome
                ):
                    times += 1
                    continue
                if times:
                    found[key] = found.get(key, 0) + times
                times, queue, outcome = 1, execution.queue, record.outcome
                started_ms, finished_ms = record.started_ms, record.finished_ms
                enqueued_at, millis = record.enqueued_at, record.enqueued_millis
                wait_ms = started_ms - enqueued_at * 1000 - millis
                key = (queue, outcome, finished_ms - started_ms, wait_ms)
            if times:
                found[key] = found.get(key, 0) + times
            if len(found) > _MOST:
                self._sort()

    def requeued(self, late_s: Sequence[float]) -> None:
        """Count how late scheduled jobs entered their queues."""
        with self._lock:
            for seconds in late_s:
                self._counts.observe(("workkit_schedule_lateness_seconds",), seconds)

    def reaped(self, pool: ReapedPool) -> None:
        """Count a dead pool whose jobs were recovered."""
        del pool
        self._count("workkit_pools_reaped")

    def disrupted(self) -> None:
        """Count that Redis has stopped answering."""
        self._count("workkit_redis_disruptions")

    def enqueued(self, jobs: Mapping[str, int]) -> None:
        """Count jobs that code of this process has enqueued, by queue."""
        with self._lock:
            for queue, number in jobs.items():
                self._counts.counters["workkit_enqueued", queue] += number

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count meanwhile also the jobs that enqueuers of this process enqueue."""
        with listening(self.enqueued):
            yield

    def take(self) -> Counts:
        """Return the numbers since the last call."""
        with self._lock:
            self._sort()
            counts, self._counts = self._counts, Counts()
        return counts

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts.counters[(name,)] += 1

    def _sort(self) -> None:
        """Turn the tuples into counters and buckets."""
        counts, runs, waits = self._counts, Counter[_Run](), Counter[tuple[str, int]]()
        for (queue, outcome, run_ms, wait_ms), times in self._executions.items():
            runs[queue, outcome, run_ms] += times
            if run_ms < _UNKNOWN_MS and abs(wait_ms) < _UNKNOWN_MS:
                waits[queue, wait_ms] += times
        for (queue, outcome, run_ms), times in runs.items():
            counts.counters["workkit_executions", queue, outcome] += times
            if run_ms < _UNKNOWN_MS:  # else it has not started
                counts.observe(("workkit_run_seconds", queue, outcome), run_ms / 1000, times)
        for (queue, wait_ms), times in waits.items():
            counts.observe(("workkit_wait_seconds", queue), wait_ms / 1000, times)
        self._executions = {}
