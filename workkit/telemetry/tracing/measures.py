"""Attributes and metrics of OpenTelemetry for jobs: the names are those of its conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workkit.core.probes import Where

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

__all__ = [
    "BATCH_COUNT",
    "DESTINATION",
    "ERROR_TYPE",
    "MESSAGE_ID",
    "OPERATION_NAME",
    "OPERATION_TYPE",
    "Attributes",
    "Measures",
    "common",
    "error_type",
]

Attributes = dict[str, Any]

DESTINATION: Final = "messaging.destination.name"
MESSAGE_ID: Final = "messaging.message.id"
BATCH_COUNT: Final = "messaging.batch.message_count"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
ERROR_TYPE: Final = "error.type"
#: The bounds that the conventions advise, seconds.
_SEND_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: Jobs take from no time at all to an hour, seconds.
_RUN_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600,
)  # fmt: skip


def common(where: Where, operation: str) -> Attributes:
    """Return the attributes that all spans and metrics of an operation have."""
    found: Attributes = {
        "messaging.system": "workkit",
        OPERATION_NAME: operation,
        OPERATION_TYPE: operation,
    }
    if where.address:
        found["server.address"] = where.address
    if where.port is not None:
        found["server.port"] = where.port
    return found


def error_type(error: BaseException) -> str:
    """Return the name of an exception's class, as `error.type`."""
    kind = type(error)
    if kind is GeneratorExit:  # the caller was cancelled before the reply came
        return "cancelled"
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


class Measures:
    """The metrics.

    Args:
        meter: Makes them.

    Attributes:
        sent: Counts the jobs that were sent.
        operations: How long sends took.
        consumed: Counts the jobs that handlers have received.
        processed: How long handlers ran.
    """

    def __init__(self, meter: Meter) -> None:
        self.sent = meter.create_counter(
            "messaging.client.sent.messages",
            "{message}",
            "Number of messages producer attempted to send to the broker.",
        )
        self.operations = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Duration of messaging operation initiated by a producer or consumer client.",
            explicit_bucket_boundaries_advisory=_SEND_S,
        )
        self.consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            "{message}",
            "Number of messages that were delivered to the application.",
        )
        self.processed = meter.create_histogram(
            "messaging.process.duration",
            "s",
            "Duration of processing operation.",
            explicit_bucket_boundaries_advisory=_RUN_S,
        )
