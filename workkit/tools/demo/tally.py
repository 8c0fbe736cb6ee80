"""What the handlers of one process have found out, and which jobs were accepted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from workkit.core.job import Job

__all__ = ["Figures", "Tally", "Totals"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is in one file.

    Attributes:
        size: Bytes.
        lines: Line ends.
        functions: Functions and methods, async ones as well.
        classes: Classes.
    """

    size: int
    lines: int
    functions: int
    classes: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What is in several files; the fields are those of `Figures`, and how many files there are."""

    files: int = 0
    size: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0

    @classmethod
    def of(cls, figures: Iterable[Figures]) -> Totals:
        """Add files up."""
        every = list(figures)
        return cls(
            len(every),
            sum(one.size for one in every),
            sum(one.lines for one in every),
            sum(one.functions for one in every),
            sum(one.classes for one in every),
        )


@dataclass(slots=True)
class Tally:
    """The books of one run; every method may be called from any thread.

    A job can run twice, after a crash or an error halfway, so whatever jobs enter here is the same
    however often it is entered.

    Attributes:
        reports: Package -> what its newest report says.
        total: What the newest summary says of all files together.
        slowest: The file whose job ran longest, and for how many seconds.
        digest: The digest of the tree; "" before it is known.
        accepted: Job id -> name of every job that was enqueued.
        refused: How many unique jobs were refused because one was waiting.
        samples: Monotonic seconds, and how many executions there had been.
    """

    reports: dict[str, Totals] = field(default_factory=dict)
    total: Totals = field(default_factory=Totals)
    slowest: tuple[str, float] = ("", 0.0)
    digest: str = ""
    accepted: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    samples: list[tuple[float, int]] = field(default_factory=list)
    _figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    _deaths: SimpleQueue[tuple[Job, BaseException]] = field(default_factory=SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, jobs: Iterable[Job | None]) -> None:
        """Take note of jobs that were enqueued; None stands for a unique one that was refused."""
        with self._lock:
            for job in jobs:
                if job is None:
                    self.refused += 1
                else:
                    self.accepted[job.id] = job.name

    def enter(self, package: str, name: str, figures: Figures) -> None:
        """Enter a file that was parsed.

        Args:
            package: Its package.
            name: The file.
            figures: What is in it.
        """
        with self._lock:
            self._figures.setdefault(package, {})[name] = figures

    def timed(self, name: str, took_s: float) -> None:
        """Take note of how long the job of a file ran, in seconds."""
        with self._lock:
            self.slowest = max(self.slowest, (name, took_s), key=lambda pair: pair[1])

    def report(self, package: str) -> None:
        """Sum up what has been parsed of a package."""
        with self._lock:
            self.reports[package] = Totals.of(self._figures.get(package, {}).values())

    def sum_up(self) -> None:
        """Sum up what has been parsed of all packages."""
        with self._lock:
            self.total = Totals.of(f for files in self._figures.values() for f in files.values())

    def hashed(self, digest: str) -> None:
        """Take the digest of the tree."""
        self.digest = digest

    def sample(self, at_s: float, executions: int) -> None:
        """Take a sample of the throughput.

        Args:
            at_s: When, monotonic seconds.
            executions: How many there have been.
        """
        with self._lock:
            self.samples.append((at_s, executions))

    def died(self, job: Job, error: BaseException) -> None:
        """Take note of a job that is dead; the pool calls this."""
        self._deaths.put((job, error))

    def new_deaths(self) -> list[tuple[Job, BaseException]]:
        """Return what has died since the last call."""
        found = []
        while True:
            try:
                found.append(self._deaths.get_nowait())
            except Empty:
                return found
