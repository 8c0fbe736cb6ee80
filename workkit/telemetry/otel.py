"""Traces and metrics of jobs with OpenTelemetry, by its conventions for messaging.

    from workkit.telemetry.otel import Tracing

    Tracing().instrument()

needs only the API of OpenTelemetry (extra `otel`); the application chooses the SDK and exporters.
docs/telemetry.md lists the spans, attributes and metrics.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from workkit.core import probes
from workkit.core.job import Job
from workkit.core.options import check_flag, check_whole, shown
from workkit.core.probes import Incoming, Probe, Where
from workkit.errors import InvalidOption, MissingExtra

try:
    from opentelemetry import metrics, trace
except ImportError:
    raise MissingExtra("workkit.telemetry.otel", "otel") from None

from collections.abc import Mapping, Sequence

from workkit._version import __version__
from workkit.telemetry.tracing.consuming import Consuming
from workkit.telemetry.tracing.context import Carried
from workkit.telemetry.tracing.measures import Measures
from workkit.telemetry.tracing.producing import Producing

__all__ = ["Tracing", "WorkkitInstrumentor"]

_MOST_CREATED: Final = 10_000


class _Watched(Protocol):
    """A pool or an enqueuer."""

    probes: tuple[Probe, ...]


class Tracing:
    """Makes the spans and metrics of jobs.

    Args:
        tracer_provider: Makes the tracer; None for the provider of the process.
        meter_provider: Makes the meter; None for the provider of the process.
        child: Whether the span of the first execution is a child of the span that has sent the job.
            By default each execution begins a trace that links to it. Later executions always do.
        baggage: Whether the baggage of the sender travels with the job, readable in Redis.
        tracestate: Whether the trace state of vendors travels with the job.
        max_create_spans: `enqueue_many` makes at most this many spans ``create NAME``; further jobs
            of that call carry the context of its span ``send``. 0 to 10000.

    Raises:
        InvalidOption: An option has a wrong type or is out of its range.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        child: bool = False,
        baggage: bool = False,
        tracestate: bool = True,
        max_create_spans: int = 100,
    ) -> None:
        for name, value in (("child", child), ("baggage", baggage), ("tracestate", tracestate)):
            check_flag(name, value)
        check_whole("max_create_spans", max_create_spans, 0, _MOST_CREATED)
        self._max_create_spans = max_create_spans
        self._tracer = trace.get_tracer("workkit", __version__, tracer_provider)
        self._measures = Measures(metrics.get_meter("workkit", __version__, meter_provider))
        self._carried = Carried(baggage=baggage, tracestate=tracestate)
        self._child = child

    def instrument(self, *watched: _Watched) -> None:
        """Begin to watch pools and enqueuers, or everything.

        Args:
            *watched: Pools that have not been started, and enqueuers. Without any, all enqueuers of
                the process are watched, and the pools that start from now on: those of tasks and of
                Django's backend, too.

        Raises:
            InvalidOption: An argument is neither.
            PoolState: A pool has been started.
        """
        probes.add_trace_source(_active_ids)
        if not watched:
            probes.attach(self)
        for each in watched:
            _check(each)
            if self not in each.probes:
                each.probes = (*each.probes, self)

    def uninstrument(self, *watched: _Watched) -> None:
        """Undo `instrument`. Pools that run go on as they began."""
        if not watched:
            probes.detach(self)
            probes.remove_trace_source(_active_ids)
        for each in watched:
            _check(each)
            each.probes = tuple(one for one in each.probes if one is not self)

    # Called by enqueuers and pools.

    def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> Producing:
        """Begin the spans of a send."""
        most = self._max_create_spans if many else 0
        return Producing(
            self._tracer, self._measures, self._carried, jobs, where, many=many, most_created=most
        )

    def runs(self, job: Incoming) -> Consuming:
        """Begin the span of an execution."""
        return Consuming(self._tracer, self._measures, self._carried, job, child=self._child)


class WorkkitInstrumentor:
    """Turns tracing on and off for the process, as `opentelemetry-instrument` does it."""

    _tracing: Tracing | None = None

    def instrument(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        child: bool = False,
        baggage: bool = False,
        **_: Any,
    ) -> None:
        """Begin to watch the process; see `Tracing`. A second call changes nothing."""
        if WorkkitInstrumentor._tracing is None:
            tracing = Tracing(tracer_provider, meter_provider, child=child, baggage=baggage)
            tracing.instrument()
            WorkkitInstrumentor._tracing = tracing

    def uninstrument(self, **_: Any) -> None:
        """Stop watching the process."""
        tracing, WorkkitInstrumentor._tracing = WorkkitInstrumentor._tracing, None
        if tracing is not None:
            tracing.uninstrument()


def _active_ids() -> Mapping[str, str]:
    """Return ``trace_id`` and ``span_id`` of the active span, in hexadecimal; empty without one."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def _check(watched: object) -> None:
    if not isinstance(getattr(watched, "probes", None), tuple):
        raise InvalidOption(
            f"instrument() takes pools and enqueuers, not {shown(watched)}; without arguments it "
            "watches the whole process, also tasks and Django's backend"
        )
