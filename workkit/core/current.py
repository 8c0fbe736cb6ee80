"""The job that the calling code belongs to, for handlers, for what they call, and for logs.

A runner names the job in a context variable before its handler runs. So asyncio tasks that the
handler makes, and `asyncio.to_thread`, find the same job, also after the handler has ended and its
worker runs another job. Timers keep the context in which they were made. So the variable holds only
the job's fields, which lead neither to its error nor to the frames of its handler.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from workkit.core.job import Job, Payload
from workkit.core.probes import trace_fields
from workkit.errors import PoolState

__all__ = [
    "RUNNING",
    "WORKER",
    "JobLogFilter",
    "add_job_fields",
    "current_id",
    "current_job",
    "execution_here",
    "job_fields",
    "stamp",
]

#: The job that the current context belongs to, as it was claimed. A runner sets it for each job,
#: and to None before its worker waits.
RUNNING: Final[ContextVar[Payload | None]] = ContextVar("workkit_running", default=None)
#: The worker that runs the current code; its `current` is an execution. It is set once per worker.
WORKER: Final[ContextVar[Any]] = ContextVar("workkit_worker", default=None)

#: The attributes that `JobLogFilter` gives to each record.
_NAMES: Final = ("job_id", "job_name", "job_attempt", "trace_id", "span_id")


def execution_here() -> Any:
    """Return the running execution that the caller belongs to; None outside, and after its end."""
    payload = RUNNING.get()
    # A handler may call a function in a context of its own; then its thread has the worker.
    worker = WORKER.get() or getattr(threading.current_thread(), "workkit_worker", None)
    execution = worker.current if worker is not None else None
    if execution is None or (payload is not None and execution.payload is not payload):
        return None
    return execution


def _payload_here() -> Payload | None:
    payload = RUNNING.get()
    if payload is None and (execution := execution_here()) is not None:
        payload = execution.payload
    return payload


def current_job() -> Job:
    """Return the job whose handler runs the calling code.

    It works in handlers, middleware and context functions, in everything that they call, in asyncio
    tasks that they make, and in `asyncio.to_thread`. A thread that a handler starts in another way
    needs `contextvars.copy_context().run`.

    Raises:
        PoolState: The caller does not belong to a job.
    """
    execution = execution_here()
    if execution is not None:
        job: Job = execution.job
        return job
    payload = RUNNING.get()  # of a task that goes on after the end of its handler
    if payload is None:
        raise PoolState(
            "there is no current job: the call does not come from a handler; in a thread that a "
            "handler starts, run the function with contextvars.copy_context().run(function)"
        )
    return payload.job(b"")


def current_id() -> str:
    """Return the id of the current job; "" outside handlers."""
    payload = _payload_here()
    return "" if payload is None else payload.id


def job_fields() -> dict[str, str | int]:
    """Return the fields that name the current job in a log; empty outside handlers.

    Returns:
        ``job_id``, ``job_name``, and ``job_attempt``: 1 for the first execution, 2 after one
        failure.
    """
    payload = _payload_here()
    if payload is None:
        return {}
    return {"job_id": payload.id, "job_name": payload.name, "job_attempt": payload.fails + 1}


def stamp(record: logging.LogRecord) -> None:
    """Name the current job and the active span in a log record, unless the record names them."""
    if not hasattr(record, "job_id"):
        _add(record, job_fields())
    if not hasattr(record, "trace_id"):
        _add(record, trace_fields())


def _add(record: logging.LogRecord, fields: Mapping[str, object]) -> None:
    for name, value in fields.items():
        if not hasattr(record, name):
            setattr(record, name, value)


class JobLogFilter(logging.Filter):
    """Adds ``job_id``, ``job_name`` and ``job_attempt`` to each log record; drops none.

    With tracing, it also adds ``trace_id`` and ``span_id`` of the active span.

    Add it to a handler of `logging`. Add it to the `QueueHandler` where there is one, because the
    filter must run on the thread that logs. Attributes that the record already has are kept.

    Args:
        outside: The value of the three attributes of records that no job has written, and of the
            other two where no span is active.
    """

    def __init__(self, outside: object = "-") -> None:
        super().__init__()
        self._outside = outside

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; accept the record."""
        stamp(record)
        for name in _NAMES:
            if not hasattr(record, name):
                setattr(record, name, self._outside)
        return True


def add_job_fields(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the fields of the current job to an event: a processor for structlog.

    With tracing, it also adds ``trace_id`` and ``span_id`` of the active span, in handlers and
    elsewhere.

    Returns:
        The event. Fields that it already has are kept.
    """
    for name, value in (*job_fields().items(), *trace_fields().items()):
        event.setdefault(name, value)
    return event
