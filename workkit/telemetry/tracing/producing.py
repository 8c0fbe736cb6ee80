"""The spans of a send: `send NAME`, and `create NAME` for the jobs of `enqueue_many`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from workkit.core.clock import monotonic_s
from workkit.core.job import Job
from workkit.core.parents import parent_member
from workkit.core.probes import Where
from workkit.errors import ServerError
from workkit.telemetry.tracing.context import Carried
from workkit.telemetry.tracing.measures import (
    BATCH_COUNT,
    DESTINATION,
    ERROR_TYPE,
    MESSAGE_ID,
    OPERATION_NAME,
    OPERATION_TYPE,
    Attributes,
    Measures,
    common,
    error_type,
)
from workkit.telemetry.tracing.recording import record

__all__ = ["Producing"]


class Producing:
    """One send.

    Args:
        tracer: Makes the spans.
        measures: The metrics.
        carried: Writes the contexts.
        jobs: The jobs.
        where: The server.
        many: Whether `enqueue_many` sends them.
        most_created: How many spans ``create NAME`` there are at most.
    """

    def __init__(
        self,
        tracer: Tracer,
        measures: Measures,
        carried: Carried,
        jobs: Sequence[Job],
        where: Where,
        *,
        many: bool,
        most_created: int,
    ) -> None:
        self._tracer = tracer
        self._measures = measures
        self._carried = carried
        self._jobs = jobs
        self._counts = Counter(job.name for job in jobs)
        self._common = common(where, "send")
        only = next(iter(self._counts)) if len(self._counts) == 1 else ""
        attributes = self._common | ({DESTINATION: only} if only else {})
        if many:
            attributes[BATCH_COUNT] = len(jobs)
        else:
            attributes[MESSAGE_ID] = jobs[0].id
        all_created = many and len(jobs) <= most_created
        self._began_s = monotonic_s()
        self._span = tracer.start_span(
            f"send {only}".rstrip(),
            # The conventions: a producer's span is one whose context the messages carry.
            kind=SpanKind.CLIENT if all_created else SpanKind.PRODUCER,
            attributes=attributes,
        )
        self._context = set_span_in_context(self._span)
        self._parent = parent_member()
        self._members = carried.write(self._context) | self._parent
        self._most_created = most_created if self._span.is_recording() else 0

    def members(self, at: int) -> Mapping[str, str]:
        """Return the members of a job: its parent, and the context of its span or of the send."""
        if at >= self._most_created:
            return self._members
        job = self._jobs[at]
        attributes: Attributes = self._common | {
            OPERATION_NAME: "create",
            OPERATION_TYPE: "create",
            DESTINATION: job.name,
            MESSAGE_ID: job.id,
        }
        created: Span = self._tracer.start_span(
            f"create {job.name}", self._context, SpanKind.PRODUCER, attributes
        )
        created.end()
        return self._carried.write(set_span_in_context(created, self._context)) | self._parent

    def ended(self, error: BaseException | None, *, accepted: bool) -> None:
        """End the span and count the jobs."""
        took_s = monotonic_s() - self._began_s
        attributes = self._common
        if error is not None:
            attributes = attributes | {ERROR_TYPE: error_type(error)}
        try:
            if error is not None:
                self._span.set_attribute(ERROR_TYPE, attributes[ERROR_TYPE])
                self._span.set_status(Status(StatusCode.ERROR))
                record(self._span, error, "")
            elif not accepted:
                self._span.set_attribute("workkit.duplicate", value=True)
        finally:
            self._span.end()
        # An error of another kind was raised before anything was sent.
        if accepted and (error is None or isinstance(error, (ServerError, GeneratorExit))):
            for name, count in self._counts.items():
                self._measures.sent.add(count, attributes | {DESTINATION: name}, self._context)
        if len(self._counts) == 1:
            attributes = attributes | {DESTINATION: next(iter(self._counts))}
        self._measures.operations.record(took_s, attributes, self._context)
