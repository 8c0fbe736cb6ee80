"""Reads metrics and health as a monitoring system does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

__all__ = ["Samples", "collected", "get", "read", "scrape", "served_at"]

SERVED = re.compile(r"metrics (?:and health )?on (http://[^/\s]+)")


class Samples(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The samples of one scrape."""

    def of(self, name: str, /, **labels: str) -> float | None:
        """Return the value of a sample; None if it is not there."""
        return self.get((name, frozenset(labels.items())))

    def total(self, name: str) -> float:
        """Return the sum over all labels."""
        return sum(value for (found, _), value in self.items() if found == name)

    def names(self) -> set[str]:
        return {name for name, _ in self}


def read(text: str) -> Samples:
    """Read the text format; a sample that occurs twice is an error, as for Prometheus."""
    samples = Samples()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
    return samples


class _Kept(Collector):
    """Shows the same in each format."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def collected(collector: Collector) -> Samples:
    """Return what a collector shows, in both formats."""
    registry = CollectorRegistry()
    registry.register(_Kept(list(collector.collect())))
    samples = read(generate_latest(registry).decode())
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    families = list(read_openmetrics(text))  # type: ignore[no-untyped-call]
    assert sum(len(family.samples) for family in families) == len(samples)
    return samples


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, str, Mapping[str, Any]]:
    """Return the status, the body and the headers of a page."""
    try:
        with urlopen(Request(url, headers=headers, method=method), timeout=30) as reply:  # noqa: S310 - our own
            return reply.status, reply.read().decode(), dict(reply.headers)
    except HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def scrape(base: str) -> Samples:
    """Read the metrics of a server."""
    status, text, _ = get(f"{base}/metrics")
    assert status == 200
    return read(text)


def served_at(log: str) -> str | None:
    """Return the address that a program has announced."""
    found = SERVED.search(log)
    return found and found[1]
