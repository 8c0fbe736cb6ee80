"""Background jobs on Redis.

    from workkit import Enqueuer, WorkerPool

    pool = WorkerPool("work", "redis://localhost:6379")

    @pool.job
    def send_email(job):
        deliver(job.arg_str("address"))

    if __name__ == "__main__":
        enqueuer = Enqueuer("work", "redis://localhost:6379")
        enqueuer.enqueue("send_email", {"address": "a@example.com"})
        pool.run()

Names are loaded when they are first used, so that enqueuing does not load the modules of
processing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from workkit._version import __version__

if TYPE_CHECKING:
    from workkit.admin.query import Query
    from workkit.admin.reader import Reader
    from workkit.admin.steps.history import HistoryExtent, HistoryRecord
    from workkit.client import AsyncClient, Client
    from workkit.core.call import Call
    from workkit.core.clock import Clock, Instant, SystemClock
    from workkit.core.current import JobLogFilter, add_job_fields, current_job
    from workkit.core.entropy import Entropy
    from workkit.core.job import Job
    from workkit.core.options import HistoryOptions, JobOptions
    from workkit.core.records import (
        Batch,
        CronEntry,
        DeadJob,
        Drained,
        Found,
        Overview,
        Page,
        Place,
        Queue,
        QueuedJob,
        RetryJob,
        ScheduledJob,
        WorkerObservation,
        WorkerPoolHeartbeat,
    )
    from workkit.core.verdicts import Discard, Fail, Retry
    from workkit.engine.handling.events import ReapedPool
    from workkit.enqueuer import AsyncEnqueuer, Enqueuer
    from workkit.errors import (
        ArgsMismatch,
        InvalidArgs,
        InvalidHandler,
        InvalidName,
        InvalidOption,
        InvalidQuery,
        InvalidSpec,
        JobTimeout,
        LifespanFailed,
        MissingExtra,
        NoEstimate,
        NoStack,
        NotConfirmed,
        NotDeleted,
        NotEdited,
        NotRetried,
        NotUndone,
        PoolState,
        ServerError,
        ServerRefused,
        ServerUnavailable,
        Undecodable,
        WorkkitError,
    )
    from workkit.pool import WorkerPool
    from workkit.tasks import Task, Tasks

__all__ = [
    "ArgsMismatch",
    "AsyncClient",
    "AsyncEnqueuer",
    "Batch",
    "Call",
    "Client",
    "Clock",
    "CronEntry",
    "DeadJob",
    "Discard",
    "Drained",
    "Enqueuer",
    "Entropy",
    "Fail",
    "Found",
    "HistoryExtent",
    "HistoryOptions",
    "HistoryRecord",
    "Instant",
    "InvalidArgs",
    "InvalidHandler",
    "InvalidName",
    "InvalidOption",
    "InvalidQuery",
    "InvalidSpec",
    "Job",
    "JobLogFilter",
    "JobOptions",
    "JobTimeout",
    "LifespanFailed",
    "MissingExtra",
    "NoEstimate",
    "NoStack",
    "NotConfirmed",
    "NotDeleted",
    "NotEdited",
    "NotRetried",
    "NotUndone",
    "Overview",
    "Page",
    "Place",
    "PoolState",
    "Query",
    "Queue",
    "QueuedJob",
    "Reader",
    "ReapedPool",
    "Retry",
    "RetryJob",
    "ScheduledJob",
    "ServerError",
    "ServerRefused",
    "ServerUnavailable",
    "SystemClock",
    "Task",
    "Tasks",
    "Undecodable",
    "WorkerObservation",
    "WorkerPool",
    "WorkerPoolHeartbeat",
    "WorkkitError",
    "__version__",
    "add_job_fields",
    "current_job",
]

_HOMES: Final = {
    "client": ("AsyncClient", "Client"),
    "core.call": ("Call",),
    "core.clock": ("Clock", "Instant", "SystemClock"),
    "core.current": ("JobLogFilter", "add_job_fields", "current_job"),
    "enqueuer": ("AsyncEnqueuer", "Enqueuer"),
    "core.entropy": ("Entropy",),
    "errors": (
        "ArgsMismatch", "InvalidArgs", "InvalidHandler", "InvalidName", "InvalidOption",
        "InvalidQuery", "InvalidSpec", "JobTimeout", "LifespanFailed", "MissingExtra",
        "NoEstimate", "NoStack", "NotConfirmed", "NotDeleted", "NotEdited", "NotRetried",
        "NotUndone", "PoolState", "ServerError", "ServerRefused", "ServerUnavailable",
        "Undecodable", "WorkkitError",
    ),
    "engine.handling.events": ("ReapedPool",),
    "admin.steps.history": ("HistoryExtent", "HistoryRecord"),
    "core.job": ("Job",),
    "core.options": ("HistoryOptions", "JobOptions"),
    "core.verdicts": ("Discard", "Fail", "Retry"),
    "pool": ("WorkerPool",),
    "tasks": ("Task", "Tasks"),
    "admin.query": ("Query",),
    "admin.reader": ("Reader",),
    "core.records": (
        "Batch", "CronEntry", "DeadJob", "Drained", "Found", "Overview", "Page", "Place", "Queue",
        "QueuedJob", "RetryJob", "ScheduledJob", "WorkerObservation", "WorkerPoolHeartbeat",
    ),
}  # fmt: skip
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'workkit' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"workkit.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
