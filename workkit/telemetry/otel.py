"""Traces and metrics of jobs with OpenTelemetry, by its conventions for messaging.

    from workkit.telemetry.otel import Tracing

    Tracing().instrument()

needs only the API of OpenTelemetry (extra `otel`); the application chooses the SDK and exporters.
docs/telemetry.md lists the spans, attributes and metrics.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final, Protocol
from weakref import WeakSet

from workkit.core import probes
from workkit.core.job import Job
from workkit.core.options import check_flag, check_whole, shown
from workkit.core.probes import Incoming, Probe, Where
from workkit.errors import InvalidOption, MissingExtra, PoolState

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

_log = logging.getLogger("workkit")

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

    #: Of several probes of one kind, only one watches a job.
    kind: Final = "opentelemetry"

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
        self._watched: WeakSet[_Watched] = WeakSet()

    def instrument(self, *watched: _Watched) -> None:
        """Begin to watch pools and enqueuers, or everything.

        Args:
            *watched: Pools that have not been started, and enqueuers. Without any, all enqueuers of
                the process are watched, and the pools that start from now on: those of tasks and of
                Django's backend, too. Where a pool or an enqueuer has a `Tracing` of its own, that
                of the process makes no spans.

        A place that a `Tracing` watches already stays as it is, with a warning.

        Raises:
            InvalidOption: An argument is neither.
            PoolState: A pool has been started.
        """
        for each in watched:
            _check(each)
        if not watched and self._may_join(probes.EVERYWHERE, "the process"):
            probes.attach(self)
        for each in watched:
            if self._may_join(each.probes, f"this {type(each).__name__}"):
                each.probes = (*each.probes, self)
                self._watched.add(each)
        if self._watches:
            probes.add_trace_source(self._active_ids)

    def uninstrument(self, *watched: _Watched) -> None:
        """Undo `instrument`. Pools that run go on as they began.

        Args:
            *watched: Pools and enqueuers. Without any, nothing is watched any more.

        Raises:
            InvalidOption: An argument is neither.
        """
        for each in watched:
            _check(each)
        if not watched:
            probes.detach(self)
        for each in watched or tuple(self._watched):
            with suppress(PoolState):  # it runs
                each.probes = tuple(one for one in each.probes if one is not self)
        if not self._watches:
            probes.remove_trace_source(self._active_ids)

    @property
    def _watches(self) -> bool:
        return self in probes.EVERYWHERE or any(self in each.probes for each in self._watched)

    def _may_join(self, there: Sequence[Probe], where: str) -> bool:
        """Tell whether nobody makes these spans already; else warn."""
        other = next((each for each in there if isinstance(each, Tracing)), None)
        if other is not None:
            which = "this Tracing" if other is self else "another Tracing"
            _log.warning(
                "%s is already instrumented by %s, so this call changes nothing: all spans would "
                "be made twice; call uninstrument() of the first before",
                where,
                which,
            )
        return other is None

    def _active_ids(self) -> Mapping[str, str]:
        return _active_ids()

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
        """Begin to watch the process; see `Tracing`. A second call changes nothing, and warns."""
        tracing = Tracing(tracer_provider, meter_provider, child=child, baggage=baggage)
        tracing.instrument()
        if tracing in probes.EVERYWHERE:
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
