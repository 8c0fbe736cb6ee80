"""Imports the client library of Prometheus, or names the command that installs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workkit.errors import MissingExtra

try:
    from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.registry import Collector
except ImportError:
    raise MissingExtra("serving metrics", "metrics") from None

__all__ = [
    "Collector",
    "CollectorRegistry",
    "CounterMetricFamily",
    "GaugeMetricFamily",
    "HistogramMetricFamily",
    "Metric",
    "gauge",
    "labels",
    "make_wsgi_app",
]


def labels(values: Iterable[str]) -> list[str]:
    """Return values that the text format can carry: lone surrogates have no form in UTF-8."""
    return [value.encode("utf-8", "replace").decode("utf-8") for value in values]


def gauge(
    name: str,
    meaning: str,
    names: Sequence[str],
    rows: Iterable[tuple[tuple[str, ...], float]],
) -> GaugeMetricFamily:
    """Return a gauge with a sample for each row; of two rows with equal labels, only the first.

    Prometheus refuses a scrape in which a sample occurs twice.

    Args:
        name: The metric's name.
        meaning: Its help text.
        names: The names of its labels.
        rows: The values of the labels, and the number.
    """
    family = GaugeMetricFamily(name, meaning, labels=names)
    seen: set[tuple[str, ...]] = set()
    for values, number in rows:
        shown = labels(values)
        if (key := tuple(shown)) not in seen:
            seen.add(key)
            family.add_metric(shown, number)
    return family
