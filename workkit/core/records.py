"""The records that a `Client` returns. Their fields are the original's, in snake case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, Protocol, TypeVar, get_args

from workkit.core.job import Job
from workkit.core.options import shown
from workkit.errors import InvalidOption

__all__ = [
    "Batch",
    "CronEntry",
    "DeadJob",
    "Drained",
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
    "check_place",
    "queue_places",
]

J = TypeVar("J")
J_co = TypeVar("J_co", covariant=True)

#: Kinds of places where jobs wait.
Kind = Literal["queued", "scheduled", "retry", "dead"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place where jobs wait: a queue, or one of the sorted sets.

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
            raise InvalidOption("a place of kind 'queued' needs a queue; other kinds have none")

    def __str__(self) -> str:
        """Return its name for people."""
        return f"queue {self.queue!r}" if self.queue else f"the {self.kind} set"


def check_place(place: object) -> None:
    """Refuse what is not a place.

    Raises:
        InvalidOption: The message shows how places are written.
    """
    if not isinstance(place, Place):
        raise InvalidOption(
            f'a place is Place("dead"), or Place("queued", NAME) for a queue, not {shown(place)}'
        )


class Placed(Protocol):
    """The common fields of all records of waiting jobs."""

    @property
    def place(self) -> str:
        """The kind of place: "queued", "running", "scheduled", "retry" or "dead"."""
        ...

    @property
    def at(self) -> int | None:
        """When the job is due, or when it died, epoch seconds; None in a queue."""
        ...

    @property
    def job(self) -> Job:
        """The job."""
        ...


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job in the scheduled set.

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
    """A failed job in the retry set.

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
    """A job in the dead set.

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
    """A job in its queue.

    Attributes:
        position: 0 for the job that runs next.
        job: The job.
    """

    place: ClassVar[Kind] = "queued"

    position: int
    job: Job

    @property
    def at(self) -> None:
        """None: a queued job has no time."""
        return


@dataclass(frozen=True, slots=True)
class Page(Generic[J]):
    """One page of a place.

    Attributes:
        jobs: The jobs of the page, in the place's order.
        total: How many jobs the whole place has.
    """

    jobs: list[J]
    total: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[J_co]):
    """One step of a walk over a whole place.

    Attributes:
        jobs: The jobs of this step, in the order of the walk.
        seen: How many jobs the walk has returned so far, including these.
        total: How many jobs the place had at this step.
    """

    jobs: Sequence[J_co]
    seen: int
    total: int


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue.

    Attributes:
        job_name: The name of its jobs.
        count: How many jobs wait.
        latency: How long the next job has waited, seconds; 0 for an empty queue.
        running: How many of its jobs pools hold now.
        max_concurrency: How many may run at once; 0 for no limit.
        broken: Whether one of its keys has a wrong type, so that no job runs.
    """

    job_name: str
    count: int
    latency: int
    paused: bool = False
    running: int = 0
    max_concurrency: int = 0
    broken: bool = False


def queue_places(queues: Iterable[Queue]) -> Iterator[Place]:
    """Yield the places of queues, except those whose jobs cannot be read.

    A key of a wrong type holds no jobs. Other programs can enqueue jobs without a name, but no
    place has an empty name.
    """
    for queue in queues:
        if queue.job_name and not queue.broken:
            yield Place("queued", queue.job_name)


@dataclass(frozen=True, slots=True)
class WorkerPoolHeartbeat:
    """The last heartbeat of a pool.

    Attributes:
        heartbeat_at: When the pool wrote it, epoch seconds; 0 if it is missing.
        started_at: When the pool started, epoch seconds.
        job_names: The job names that it handles, sorted.
        concurrency: How many handlers it runs at once.
        worker_ids: Its workers, sorted.
        totals: Counters of a workkit pool since its start: "done", "retried", "died", "discarded",
            "returned", "fenced"; and present numbers: "busy", "abandoned". Empty for a Go pool.
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
    """The job that one worker runs.

    Attributes:
        is_busy: Whether it runs a job. If not, the fields of the job are empty.
        started_at: When the job started, epoch seconds.
        args_json: The job's args as JSON.
        checkin: The job's newest check-in.
        checkin_at: When the job checked in, epoch seconds.
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
        at: When it is due or died, epoch seconds; None in a queue or while it runs.
        pool_id: The pool that holds it while it runs; "" otherwise.
    """

    place: str
    job: Job
    at: int | None = None
    pool_id: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """A summary of a namespace, read in a constant number of round trips.

    Attributes:
        taken_at: When it was read, epoch seconds.
        queues: All queues, sorted by name.
        pools: All registered pools, sorted by id.
        scheduled: Jobs in the scheduled set.
        retry: Jobs in the retry set.
        dead: Jobs in the dead set.
        next_scheduled_at: When the earliest scheduled job is due, epoch seconds; None without one.
        next_retry_at: When the earliest retry is due, epoch seconds; None without one.
        executions: Executions that history has recorded since it began.
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
        """How many jobs pools hold now."""
        return sum(queue.running for queue in self.queues)

    def size(self, place: Place) -> int:
        """Return how many jobs wait in a place."""
        if place.kind == "queued":
            return next((q.count for q in self.queues if q.job_name == place.queue), 0)
        size: int = getattr(self, place.kind)
        return size


@dataclass(frozen=True, slots=True)
class CronEntry:
    """A cron entry that pools have declared.

    Attributes:
        job_name: The job's name.
        spec: Its cron spec.
        seen_at: When a pool last declared it, epoch seconds.
        planned_until: Its slots up to here are scheduled, epoch seconds.
        next_slots: Its next slots, epoch seconds, in the reader's time zone if the spec names no
            zone. Empty if the spec is not valid.
        last_slot: Its newest slot with a known state, epoch seconds; None without one. States are
            kept for two days after the slot has run.
        last_state: The state of that slot: "scheduled", "queued", "started", "returned" (its pool
            died, or gave it back), "failed" or "done"; "" without one.
    """

    job_name: str
    spec: str
    seen_at: int
    planned_until: int
    next_slots: tuple[int, ...] = ()
    last_slot: int | None = None
    last_state: str = ""


@dataclass(frozen=True, slots=True)
class Drained:
    """The result of `drain()`.

    Attributes:
        complete: Whether every queue that is not paused was empty and nothing ran.
        paused: Paused queues that still have jobs.
        waiting: Queue -> jobs left, for queues that are not empty.
    """

    complete: bool
    paused: tuple[str, ...]
    waiting: Mapping[str, int]
