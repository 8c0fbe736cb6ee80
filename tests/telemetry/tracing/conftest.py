"""Spans and metrics in memory, and the stage of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.engine.conftest import client, enqueuer, make_pool, stage
from workkit.core import probes
from workkit.telemetry.otel import Tracing

__all__ = ["client", "enqueuer", "make_pool", "stage"]


class Seen:
    """What OpenTelemetry has received from a test."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._metrics])
        self.tracer: Any = self.tracers.get_tracer("test")

    def tracing(self, **options: Any) -> Tracing:
        """Make a tracing with these providers."""
        return Tracing(self.tracers, self.meters, **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self._spans.get_finished_spans())

    def named(self, name: str) -> list[Any]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Any:
        """The only span of a name."""
        (span,) = self.named(name)
        return span

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The attributes and the value, or the count, of each point of a metric."""
        data = self._metrics.get_metrics_data()
        return [
            (dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def seen() -> Iterator[Seen]:
    """What OpenTelemetry receives. Probes of the process end with the test."""
    made = Seen()
    yield made
    for each in probes.attached(()):
        probes.detach(each)
    for source in probes._trace_sources:
        probes.remove_trace_source(source)
    made.tracers.shutdown()
    made.meters.shutdown()
