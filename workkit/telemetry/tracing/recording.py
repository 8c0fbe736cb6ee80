"""Records exceptions in spans, also those whose own code fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workkit.core.fingerprint import can_be_logged
from workkit.telemetry.tracing.measures import error_type

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["record"]


def record(span: Span, error: BaseException, text: str) -> None:
    """Record an exception in a span.

    Args:
        span: The span.
        error: The exception.
        text: It as the job stores it, for one that cannot be formatted or is too long; or "".
    """
    if isinstance(error, GeneratorExit):
        return  # of a cancelled call, which has no error of its own
    if can_be_logged(error):
        span.record_exception(error)
        return
    span.add_event(
        "exception",
        {
            "exception.type": error_type(error),
            "exception.message": text.partition("\n")[0],
            "exception.stacktrace": text,
        },
    )
