"""The context of a trace as members of a job: `traceparent`, `tracestate` and `baggage`.

What does not have the form of the W3C is left out, and nobody logs it.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from workkit.telemetry.tracing.members import fits, read_members

__all__ = ["Carried"]

_STATE_CHARS: Final = 512
_BAGGAGE_CHARS: Final = 8_192


class Carried:
    """Writes the context of a span into a job, and reads it there.

    Args:
        baggage: Whether to write and read the baggage.
        tracestate: Whether to write and read the trace state.
    """

    def __init__(self, *, baggage: bool, tracestate: bool) -> None:
        self._limits = {"traceparent": 55}
        if tracestate:
            self._limits["tracestate"] = _STATE_CHARS
        if baggage:
            self._limits["baggage"] = _BAGGAGE_CHARS
        self._trace = TraceContextTextMapPropagator()
        self._baggage = W3CBaggagePropagator() if baggage else None

    def write(self, context: Context | None = None) -> dict[str, str]:
        """Return the members for the span and the baggage of a context; None for the current."""
        found: dict[str, str] = {}
        self._trace.inject(found, context)
        if self._baggage is not None:
            self._baggage.inject(found, context)
        return {name: found[name] for name in found if self._fits(name, found[name])}

    def read(self, raw: bytes) -> tuple[Context, trace.SpanContext | None]:
        """Read a job's bytes.

        Returns:
            A new context with the baggage, and the span that has sent the job, if it is known.
        """
        members = read_members(raw, self._limits)
        sent = trace.get_current_span(self._trace.extract(members, Context())).get_span_context()
        context = Context()
        if self._baggage is not None:
            context = self._baggage.extract(members, context)
        return context, sent if sent.is_valid else None

    def _fits(self, name: str, text: str) -> bool:
        return name in self._limits and len(text) <= self._limits[name] and fits(name, text)
