"""The numbers of a namespace that monitoring reads again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workkit.core.records import WorkerPoolHeartbeat

__all__ = ["Gauges", "QueueGauge"]


@dataclass(frozen=True, slots=True)
class QueueGauge:
    """The numbers of one queue, for monitoring.

    A number is None if it cannot be read, because its key has a wrong type.

    Attributes:
        job_name: The name of its jobs.
        count: How many jobs wait.
        latency_s: How long the oldest job has waited, seconds; 0 for an empty queue.
        paused: Whether it is paused.
        running: How many of its jobs pools hold, as its lock says.
        max_concurrency: How many may run at once; 0 for no limit.
        lock_drift: How far its lock is above the number of jobs that pools hold; negative if it is
            below.
        wrong_keys: The keys that have a wrong type.
    """

    job_name: str
    count: int | None
    latency_s: float | None
    paused: bool | None
    running: int | None
    max_concurrency: int | None
    lock_drift: int | None
    wrong_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauges:
    """The numbers of a namespace, for monitoring; read in at most three round trips.

    Attributes:
        taken_at: When they were read, epoch seconds.
        queues: All queues, sorted by name.
        pools: All registered pools, sorted by id; also those that are dead and not yet recovered.
        scheduled: Jobs in the scheduled set.
        retry: Jobs in the retry set.
        dead: Jobs in the dead set.
        held: Pool id -> how many jobs the pool holds, as the locks say.
        trimmed: How many executions the bounds of history have removed.
        last_runs: (job name, spec) of each cron entry -> its newest slot that has started, epoch
            seconds; None if none of its last slots has started.
    """

    taken_at: float
    queues: list[QueueGauge]
    pools: list[WorkerPoolHeartbeat]
    scheduled: int
    retry: int
    dead: int
    held: Mapping[str, int]
    trimmed: int
    last_runs: Mapping[tuple[str, str], int | None]
