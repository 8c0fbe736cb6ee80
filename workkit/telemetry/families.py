"""The metrics of a worker, for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final, TypeAlias

from workkit.telemetry.counts import BOUNDS_S, METRICS, Counts, Series
from workkit.telemetry.prometheus import (
    Collector,
    CounterMetricFamily,
    HistogramMetricFamily,
    labels,
)

__all__ = ["WorkerCollector"]

_Family: TypeAlias = CounterMetricFamily | HistogramMetricFamily

_ENDS: Final = (*map(str, BOUNDS_S), "+Inf")


class WorkerCollector(Collector):
    """Adds up what a pool, or the processes of a supervisor, have counted.

    Args:
        take: Returns the numbers since its last call.
    """

    def __init__(self, take: Callable[[], Counts]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._total = Counts()
        for name, metric in METRICS.items():
            if metric.timed:
                continue
            # Prometheus sees an increase only of a counter that it has seen before.
            for values in ((),) if not metric.labels else ((value,) for value in metric.values):
                self._total.counters[(name, *values)] = 0

    def collect(self) -> Iterator[_Family]:
        """Yield all metrics."""
        with self._lock:
            self._total.add(self._take())
            families = self._families()
        yield from families

    def _families(self) -> list[_Family]:
        counters = {
            name: CounterMetricFamily(name, metric.meaning, labels=metric.labels)
            for name, metric in METRICS.items()
            if not metric.timed
        }
        histograms = {
            name: HistogramMetricFamily(name, metric.meaning, labels=metric.labels)
            for name, metric in METRICS.items()
            if metric.timed
        }
        total = _merged(self._total)
        for (name, *values), number in total.counters.items():
            counters[name].add_metric(values, number)
        for (name, *values), own in total.histograms.items():
            buckets = list(zip(_ENDS, accumulate(own.buckets), strict=True))
            histograms[name].add_metric(values, buckets, own.sum_s)
        return [*counters.values(), *histograms.values()]


def _merged(counts: Counts) -> Counts:
    """Return the numbers by the labels that the text format can carry."""
    merged = Counts()
    for series, number in counts.counters.items():
        merged.counters[_shown(series)] += number
    for series, own in counts.histograms.items():
        part = Counts()
        part.histograms[_shown(series)] = own
        merged.add(part)
    return merged


def _shown(series: Series) -> Series:
    return tuple(labels(series))
