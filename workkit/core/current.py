"""The job that the calling code belongs to, for handlers, for what they call, and for logs.

A runner names the execution in a context variable before its handler runs. So asyncio tasks that
the handler makes, and `asyncio.to_thread`, find the same job, also after the handler has ended and
its worker runs another job. An execution that has ended holds neither its error nor its job.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

from workkit.core.job import Job, Payload
from workkit.errors import PoolState

__all__ = [
    "RUNNING",
    "JobLogFilter",
    "Running",
    "add_job_fields",
    "current_job",
    "job_fields",
    "running",
    "stamp",
]


class Running(Protocol):
    """An execution of a job, as far as the code of its handler may know it."""

    @property
    def payload(self) -> Payload:
        """The job's fields before this execution."""
        ...

    @property
    def job(self) -> Job:
        """The job as its handler sees it; after the end of the handler, a new one of its bytes."""
        ...


#: The execution that the current context belongs to; a runner sets it around each handler.
RUNNING: Final[ContextVar[Running | None]] = ContextVar("workkit_running", default=None)


def running() -> Running | None:
    """Return the execution that the caller belongs to; None outside handlers."""
    found = RUNNING.get()
    if found is None:
        # A handler may call a function in a context of its own; then its thread has the worker.
        worker = getattr(threading.current_thread(), "workkit_worker", None)
        found = worker.current if worker is not None else None
    return found


def current_job() -> Job:
    """Return the job whose handler runs the calling code.

    It works in handlers, middleware and context functions, in everything that they call, in asyncio
    tasks that they make, and in `asyncio.to_thread`. A thread that a handler starts in another way
    needs `contextvars.copy_context().run`.

    Raises:
        PoolState: The caller does not belong to a job.
    """
    found = running()
    if found is None:
        raise PoolState(
            "there is no current job: the call does not come from a handler; in a thread that a "
            "handler starts, run the function with contextvars.copy_context().run(function)"
        )
    return found.job


def job_fields() -> dict[str, str | int]:
    """Return the fields that name the current job in a log; empty outside handlers.

    Returns:
        ``job_id``, ``job_name``, and ``job_attempt``: 1 for the first execution, 2 after one
        failure.
    """
    found = running()
    if found is None:
        return {}
    payload = found.payload
    return {
        "job_id": payload.id,
        "job_name": payload.name,
        "job_attempt": payload.fails + 1,
    }


def stamp(record: logging.LogRecord) -> None:
    """Name the current job in a log record, unless the record names a job."""
    if hasattr(record, "job_id"):
        return
    for name, value in job_fields().items():
        if not hasattr(record, name):
            setattr(record, name, value)


class JobLogFilter(logging.Filter):
    """Adds ``job_id``, ``job_name`` and ``job_attempt`` to each log record; drops none.

    Add it to a handler of `logging`. Add it to the `QueueHandler` where there is one, because the
    filter must run on the thread that logs. Attributes that the record already has are kept.

    Args:
        outside: The value of the three attributes of records that no job has written.
    """

    def __init__(self, outside: object = "-") -> None:
        super().__init__()
        self._outside = outside

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; accept the record."""
        stamp(record)
        for name in ("job_id", "job_name", "job_attempt"):
            if not hasattr(record, name):
                setattr(record, name, self._outside)
        return True


def add_job_fields(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the fields of the current job to an event: a processor for structlog.

    Returns:
        The event. Fields that it already has are kept.
    """
    for name, value in job_fields().items():
        event.setdefault(name, value)
    return event
