"""Counters and histograms that can be added up, sent to another process, and shown.

They need no library, so a supervised process counts without the extra.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple, Self, TypeAlias

__all__ = ["BOUNDS_S", "METRICS", "Counts", "Histogram", "Metric", "Series"]

#: The upper bounds of the buckets, seconds: from a millisecond to an hour.
BOUNDS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    150.0, 300.0, 600.0, 1800.0, 3600.0,
)  # fmt: skip


class Metric(NamedTuple):
    """A metric of a worker.

    Attributes:
        meaning: Its help text.
        labels: The names of its labels.
        timed: Whether it is a histogram of seconds, rather than a counter.
        values: The values of its only label, if they are known from the beginning.
    """

    meaning: str
    labels: tuple[str, ...] = ()
    timed: bool = False
    values: tuple[str, ...] = ()


#: All metrics of a worker, by name. The names of counters are shown with `_total`.
METRICS: Final = {
    "workkit_executions": Metric("Executions that have ended.", ("queue", "outcome")),
    "workkit_run_seconds": Metric("How long handlers ran.", ("queue", "outcome"), timed=True),
    "workkit_wait_seconds": Metric(
        "How long jobs waited in their queue before they started.", ("queue",), timed=True
    ),
    "workkit_schedule_lateness_seconds": Metric(
        "How long after their due time scheduled jobs entered their queue.", timed=True
    ),
    "workkit_enqueued": Metric("Jobs that this worker's code has enqueued.", ("queue",)),
    "workkit_pools_reaped": Metric("Dead pools whose jobs this worker has recovered."),
    "workkit_redis_disruptions": Metric("How often Redis has stopped answering."),
    "workkit_process_restarts": Metric(
        "Processes that the supervisor replaced.", ("reason",),
        values=("exit", "signal", "hung", "max_jobs", "max_rss", "SIGHUP", "edit"),
    ),
}  # fmt: skip

#: A metric's name and the values of its labels.
Series: TypeAlias = tuple[str, ...]


class Histogram:
    """How many times fell into which bucket, and their sum in seconds."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0


class Counts:
    """Numbers that only grow.

    Attributes:
        counters: Series -> number.
        histograms: Series -> buckets.
    """

    def __init__(self) -> None:
        self.counters: Counter[Series] = Counter()
        self.histograms: dict[Series, Histogram] = {}

    def __bool__(self) -> bool:
        return bool(self.counters or self.histograms)

    def observe(self, series: Series, seconds: float, times: int = 1) -> None:
        """Add a duration to a histogram.

        Args:
            series: The histogram.
            seconds: The duration; one below zero counts as zero, since clocks are set back.
            times: How often it occurred.
        """
        seconds = max(seconds, 0.0)
        histogram = self._histogram(series)
        histogram.buckets[bisect_left(BOUNDS_S, seconds)] += times
        histogram.sum_s += seconds * times

    def add(self, others: Counts) -> None:
        """Add all numbers of another one."""
        self.counters.update(others.counters)
        for series, other in others.histograms.items():
            histogram = self._histogram(series)
            histogram.sum_s += other.sum_s
            histogram.buckets = [
                mine + theirs for mine, theirs in zip(histogram.buckets, other.buckets, strict=True)
            ]

    def _histogram(self, series: Series) -> Histogram:
        histogram = self.histograms.get(series)
        if histogram is None:
            histogram = self.histograms[series] = Histogram()
        return histogram

    def dump(self) -> str:
        """Write all numbers in one line."""
        return json.dumps(
            [
                [[series, number] for series, number in self.counters.items()],
                [[series, own.sum_s, _sparse(own)] for series, own in self.histograms.items()],
            ],
            separators=(",", ":"),
        )

    @classmethod
    def load(cls, line: str) -> Self:
        """Read what `dump` has written."""
        counts = cls()
        counters, histograms = json.loads(line)
        for series, number in counters:
            counts.counters[tuple(series)] = number
        for series, sum_s, buckets in histograms:
            own = counts._histogram(tuple(series))
            own.sum_s = sum_s
            for at, number in buckets:
                own.buckets[at] = number
        return counts


def _sparse(histogram: Histogram) -> Iterable[tuple[int, int]]:
    return [(at, number) for at, number in enumerate(histogram.buckets) if number]
