"""What a `Client` returns: frozen records with the original's field names in snake case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, Protocol, TypeVar, get_args

from workkit.core.job import Job
from workkit.errors import InvalidOption

__all__ = [
    "Batch",
    "CronEntry",
    "DeadJob",
    "Found",
    "Kind",
    "Overview",
    "Page",
    "Place",
    "Placed",
    "Queue",
    "QueuedJob",
    "RetryJob",
    "ScheduledJob",
    "WorkerObservation",
    "WorkerPoolHeartbeat",
]

J = TypeVar("J")
J_co = TypeVar("J_co", covariant=True)

#: Kinds of places in which jobs wait.
Kind = Literal["queued", "scheduled", "retry", "dead"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs wait: a queue, or one of the sorted sets.

    Attributes:
        kind: "queued", "scheduled", "retry" or "dead".
        queue: The name of the queue; "" for a set.

    Raises:
        InvalidOption: The place is unknown.
    """

    kind: Kind
    queue: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InvalidOption(
                f"unknown place {self.kind!r}; known are {', '.join(get_args(Kind))}"
            )
        if bool(self.queue) != (self.kind == "queued"):
            raise InvalidOption("a place of kind 'queued', and no other, names its queue")

    def __str__(self) -> str:
        """Return it as people call it."""
        return f"queue {self.queue!r}" if self.queue else f"the {self.kind} set"


class Placed(Protocol):
    """What all records of waiting jobs have in common."""

    @property
    def place(self) -> str:
        """The kind of place: "queued", "running", "scheduled", "retry" or "dead"."""
        ...

    @property
    def at(self) -> int | None:
        """When it is due or died, epoch seconds; None in a queue."""
        ...

    @property
    def job(self) -> Job:
        """The job."""
        ...


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job that waits for its time.

    Attributes:
        run_at: When it is due, epoch seconds.
        job: The job.
    """

    place: ClassVar[Kind] = "scheduled"

    run_at: int
    job: Job

    @property
    def at(self) -> int:
        """As `run_at`."""
        return self.run_at


@dataclass(frozen=True, slots=True)
class RetryJob:
    """A failed job that will be tried again.

    Attributes:
        retry_at: When it is due, epoch seconds.
        job: The job.
    """

    place: ClassVar[Kind] = "retry"

    retry_at: int
    job: Job

    @property
    def at(self) -> int:
        """As `retry_at`."""
        return self.retry_at


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that is not tried any more.

    Attributes:
        died_at: When it died, epoch seconds.
        job: The job.
    """

    place: ClassVar[Kind] = "dead"

    died_at: int
    job: Job

    @property
    def at(self) -> int:
        """As `died_at`."""
        return self.died_at


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits in its queue.

    Attributes:
        position: 0 for the one that runs next.
        job: The job.
    """

    place: ClassVar[Kind] = "queued"

    position: int
    job: Job

    @property
    def at(self) -> None:
        """None: it waits for no time."""
        return


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
class Batch(Generic[J_co]):
    """One step of a walk over a whole place.

    Attributes:
        jobs: What it brought, in the order of the walk.
        seen: How many jobs the walk has brought so far, these included.
        total: How many the place held when this was read.
    """

    jobs: Sequence[J_co]
    seen: int
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


@dataclass(frozen=True, slots=True)
class Overview:
    """A namespace at a glance, read in a constant number of round trips.

    Attributes:
        taken_at: When it was read, epoch seconds.
        queues: All queues, by name.
        pools: All registered pools, by id.
        scheduled: How many jobs wait for their time.
        retry: How many failed jobs will be tried again.
        dead: How many jobs are not tried any more.
        next_scheduled_at: When the earliest scheduled job is due, epoch seconds; None without one.
        next_retry_at: When the earliest retry is due, epoch seconds; None without one.
        executions: How many executions history has recorded since it began.
    """

    taken_at: float
    queues: list[Queue]
    pools: list[WorkerPoolHeartbeat]
    scheduled: int
    retry: int
    dead: int
    next_scheduled_at: int | None = None
    next_retry_at: int | None = None
    executions: int = 0

    @property
    def queued(self) -> int:
        """How many jobs wait in queues."""
        return sum(queue.count for queue in self.queues)

    @property
    def running(self) -> int:
        """How many jobs pools hold at present."""
        return sum(queue.running for queue in self.queues)

    def size(self, place: Place) -> int:
        """Return how many jobs wait in a place."""
        if place.kind == "queued":
            return next((q.count for q in self.queues if q.job_name == place.queue), 0)
        size: int = getattr(self, place.kind)
        return size


@dataclass(frozen=True, slots=True)
class CronEntry:
    """A job that is enqueued by the clock, as pools have declared it.

    Attributes:
        job_name: The job's name.
        spec: Its cron spec.
        seen_at: When a pool last declared it, epoch seconds.
        planned_until: Up to when its slots are scheduled, epoch seconds.
        next_slots: When it is due next, epoch seconds; a spec without a zone is read in the zone of
            the reading host. Empty if the spec cannot be read.
        last_slot: Its newest slot that is known to have been planned, epoch seconds; None if none
            is known (what is known of slots is kept for two days after they have run).
        last_state: How far that slot has come: "scheduled", "queued", "started", "failed", "done";
            "" if none is known.
    """

    job_name: str
    spec: str
    seen_at: int
    planned_until: int
    next_slots: tuple[int, ...] = ()
    last_slot: int | None = None
    last_state: str = ""
