"""Shared by all measures: one server, worker processes, rounds, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from redis import Redis

from benchmarks.figures import Sample, rate
from benchmarks.jobs import Kind, WorkerSpec, queue_names
from benchmarks.workers import Workers
from workkit import Enqueuer
from workkit.embedded import EmbeddedServer

__all__ = ["FULL", "QUICK", "TINY", "Bench", "Effort", "Side"]

T = TypeVar("T")

#: A side of a comparison: measures once and returns a figure.
Side = Callable[[], float]

_CHUNK: Final = 20_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How thorough to be.

    Attributes:
        rounds: How often each figure is measured.
        share: The share of the usual number of jobs, and of the usual waiting time.
    """

    rounds: int
    share: float


FULL: Final = Effort(rounds=3, share=1.0)
QUICK: Final = Effort(rounds=1, share=0.2)
TINY: Final = Effort(rounds=1, share=0.002)


class Bench:
    """One run of measures on one server.

    All connections of workers and clients go over TCP on the loopback interface.

    Args:
        server: A running server with a TCP port; measures empty it many times.
        effort: How thorough to be.
        on_progress: Gets lines about the progress.

    Attributes:
        records: How many records of history a measure has that lets one choose; None for its own.
    """

    def __init__(
        self,
        server: EmbeddedServer,
        effort: Effort = FULL,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.server = server
        self.effort = effort
        self.url = server.tcp_url
        self.records: int | None = None
        self.client: Redis = Redis.from_url(self.url)
        self.say = on_progress or _to_stderr

    @classmethod
    @contextmanager
    def on_own_server(cls, effort: Effort) -> Iterator[Self]:
        """Start a server with default settings, without persistence, and remove it afterwards."""
        with EmbeddedServer(port="any") as server:
            yield cls(server, effort)

    # How much.

    def jobs(self, count: int) -> int:
        """Scale a number of jobs, or of other operations."""
        return max(int(count * self.effort.share), 40)

    def seconds(self, seconds: float) -> float:
        """Scale a time to wait."""
        return max(seconds * self.effort.share, 0.2)

    def rounds(self, what: str, sides: dict[str, Side]) -> dict[str, Sample]:
        """Measure all sides of a comparison in several rounds, each round in another order.

        Args:
            what: For the progress.
            sides: By name.

        Returns:
            The samples, by name in the given order.
        """
        names = list(sides)
        values: dict[str, list[float]] = {name: [] for name in names}
        for number in range(self.effort.rounds):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                values[name].append(sides[name]())
                at = f"round {number + 1}/{self.effort.rounds}"
                self.say(f"{what}: {name}: {values[name][-1]:,.6g} ({at})")
        return {name: Sample.of(values[name]) for name in names}

    # Work.

    def empty(self) -> None:
        """Remove everything from the server."""
        self.client.flushall()

    def spec(
        self, kind: Kind = "sync", *, queues: int = 10, concurrency: int = 20, loops: int = 0
    ) -> WorkerSpec:
        """Return the description of a worker on this server."""
        return WorkerSpec(self.url, "bench", kind, queues, concurrency, loops)

    def enqueue(self, jobs: int, names: Sequence[str], *, padding: int = 0) -> None:
        """Enqueue plain jobs with one argument, spread evenly over queues.

        Args:
            jobs: How many.
            names: Of the queues.
            padding: Bytes of a second argument.
        """
        extra = {"padding": "x" * padding} if padding else {}
        enqueuer = Enqueuer("bench", self.url)
        chunk = max(_CHUNK // (1 + padding // 1000), 1)
        for start in range(0, jobs, chunk):
            numbers = range(start, min(start + chunk, jobs))
            enqueuer.enqueue_many([(names[i % len(names)], {"i": i, **extra}) for i in numbers])

    def throughput(
        self,
        spec: WorkerSpec,
        jobs: int,
        *,
        processes: int = 1,
        enqueue: Callable[[int], None] | None = None,
    ) -> float:
        """Enqueue jobs first, then start workers, which run all of them.

        Args:
            spec: The work of the workers.
            jobs: How many jobs.
            processes: How many workers.
            enqueue: Enqueues that many jobs; by default plain ones, spread over all queues.

        Returns:
            Jobs a second from the first to the last completion after the warm-up, as counted by the
            handlers.
        """
        self.empty()
        if enqueue is None:
            self.enqueue(jobs, queue_names(spec.queues))
        else:
            enqueue(jobs)
        with Workers(spec, processes) as workers:
            workers.await_count(jobs)
            return rate(workers.values())

    def await_true(
        self, condition: Callable[[], Any], *, pause_s: float = 0.001, timeout_s: float = 60.0
    ) -> None:
        """Poll a condition.

        Raises:
            TimeoutError: The condition stayed false.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_s} s in vain")
            time.sleep(pause_s)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
