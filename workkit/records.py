"""What a `Client` returns: frozen records with the original's field names in snake case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from workkit.job import Job

__all__ = [
    "DeadJob",
    "Found",
    "Page",
    "Queue",
    "QueuedJob",
    "RetryJob",
    "ScheduledJob",
    "WorkerObservation",
    "WorkerPoolHeartbeat",
]

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job that waits for its time.

    Attributes:
        run_at: When it is due, epoch seconds.
        job: The job.
    """

    run_at: int
    job: Job


@dataclass(frozen=True, slots=True)
class RetryJob:
    """A failed job that will be tried again.

    Attributes:
        retry_at: When it is due, epoch seconds.
        job: The job.
    """

    retry_at: int
    job: Job


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that is not tried any more.

    Attributes:
        died_at: When it died, epoch seconds.
        job: The job.
    """

    died_at: int
    job: Job


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits in its queue.

    Attributes:
        position: 0 for the one that runs next.
        job: The job.
    """

    position: int
    job: Job


@dataclass(frozen=True, slots=True)
class Page(Generic[J]):
    """One page of a set.

    Attributes:
        jobs: Its jobs, in the set's order.
        total: How many the whole set has.
    """

    jobs: list[J]
    total: int


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue.

    Attributes:
        job_name: The name of the jobs in it.
        count: How many wait.
        latency: How long the next one has waited, seconds; 0 for an empty queue.
        paused: Whether it is paused.
        running: How many of its jobs pools hold at present.
        max_concurrency: How many may run at once; 0 for no limit.
        broken: Whether one of its keys has a wrong type, so that nothing runs.
    """

    job_name: str
    count: int
    latency: int
    paused: bool = False
    running: int = 0
    max_concurrency: int = 0
    broken: bool = False


@dataclass(frozen=True, slots=True)
class WorkerPoolHeartbeat:
    """A pool as it last described itself.

    Attributes:
        worker_pool_id: Its id.
        heartbeat_at: When, epoch seconds; 0 if its heartbeat is missing.
        started_at: When it started, epoch seconds.
        job_names: What it handles, sorted.
        concurrency: How many handlers it runs at once.
        host: Its machine.
        pid: Its process.
        worker_ids: Its workers, sorted.
        totals: What a workkit pool counts since it started: "busy" (now), "done", "retried",
            "died", "discarded", "returned", "fenced", "abandoned" (now); empty for a Go pool.
        version: Its workkit version; "" for a Go pool.
    """

    worker_pool_id: str
    heartbeat_at: int
    started_at: int
    job_names: list[str]
    concurrency: int
    host: str
    pid: int
    worker_ids: list[str]
    totals: Mapping[str, int] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class WorkerObservation:
    """What one worker runs.

    Attributes:
        worker_id: The worker.
        is_busy: Whether it runs a job; the other fields say nothing if not.
        job_name: The job's name.
        job_id: Its id.
        started_at: Since when, epoch seconds.
        args_json: Its args.
        checkin: Its newest check-in.
        checkin_at: When that was, epoch seconds.
    """

    worker_id: str
    is_busy: bool = False
    job_name: str = ""
    job_id: str = ""
    started_at: int = 0
    args_json: str = ""
    checkin: str = ""
    checkin_at: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Where a job is.

    Attributes:
        place: "queued", "running", "scheduled", "retry" or "dead".
        job: The job.
        at: Its score (due or died, epoch seconds), or None in a queue.
        pool_id: Who holds it while it runs; "" elsewhere.
    """

    place: str
    job: Job
    at: int | None = None
    pool_id: str = ""
