"""The span of an execution: `process NAME`."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from workkit.core.clock import epoch_ns
from workkit.core.probes import Ended, Incoming
from workkit.telemetry.tracing.context import Carried
from workkit.telemetry.tracing.measures import (
    DESTINATION,
    ERROR_TYPE,
    MESSAGE_ID,
    Measures,
    common,
    error_type,
)
from workkit.telemetry.tracing.recording import record

__all__ = ["Consuming"]

_NANOSECONDS: Final = 1_000_000_000
#: The end of a span is set by hand if it is longer ago than this, nanoseconds.
_PRECISE_NS: Final = 10_000


class Consuming:
    """One execution.

    Args:
        tracer: Makes the span.
        measures: The metrics.
        carried: Reads the context of the sender.
        job: The job.
        child: Whether the span of a first execution is a child of the sender's.
    """

    def __init__(
        self, tracer: Tracer, measures: Measures, carried: Carried, job: Incoming, *, child: bool
    ) -> None:
        payload = job.payload
        self._measures = measures
        self._attributes = common(job.where, "process") | {DESTINATION: payload.name}
        own, sent = carried.read(job.raw)
        parent, links = own, []
        if sent is not None and child and not job.again:
            parent = set_span_in_context(NonRecordingSpan(sent), own)
        elif sent is not None:
            links = [Link(sent)]
        self._span = tracer.start_span(
            f"process {payload.name}",
            parent,
            SpanKind.CONSUMER,
            self._attributes | {MESSAGE_ID: payload.id, "workkit.attempt": payload.fails + 1},
            links,
        )
        self._context = set_span_in_context(self._span, own)
        measures.consumed.add(1, self._attributes, self._context)

    def enter(self) -> object:
        """Make the span the current one."""
        return contexts.attach(self._context)

    def leave(self, entered: Any) -> None:
        """Make the former span the current one."""
        if entered is not None:
            contexts.detach(entered)

    def ended(self, end: Ended) -> None:
        """End the span, and measure."""
        attributes, error = self._attributes, end.error
        if end.failed and error is not None:
            attributes = attributes | {ERROR_TYPE: error_type(error)}
        try:
            self._span.set_attribute("workkit.outcome", end.outcome)
            if end.failed and error is not None:
                self._span.set_attribute(ERROR_TYPE, attributes[ERROR_TYPE])
                self._span.set_status(Status(StatusCode.ERROR))
                record(self._span, error, end.error_text)
        finally:
            ago_ns = round(end.ago_s * _NANOSECONDS)
            self._span.end(epoch_ns() - ago_ns if ago_ns > _PRECISE_NS else None)
        self._measures.processed.record(end.run_s, attributes, self._context)
