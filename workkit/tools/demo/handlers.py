"""The demo's jobs: every kind that workkit has, each with real work.

- `parse_file`: thousands of short jobs with a short backoff; some files fail for good
- `parse_large_file`: the same, at most two at once in all pools together
- `package_report`: one unique job per package; every file asks for it, one waits at a time
- `hash_tree`: a slow async job that checks in
- `summary`: a scheduled job that schedules itself again until all files are parsed
- `pulse`: a cron job that counts the waiting jobs every two seconds
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from workkit.client import Client
from workkit.core.job import Job
from workkit.core.options import HistoryOptions
from workkit.core.records import Overview
from workkit.enqueuer import Enqueuer
from workkit.pool import WorkerPool
from workkit.store.connections.target import RedisLike
from workkit.tools.demo.workload import SourceFile

__all__ = ["CRON_JOB", "JOB_NAMES", "PARSING", "DemoState", "build_pool", "files_left"]

#: The jobs that parse one file; the second one is for large files.
PARSING: Final = ("parse_file", "parse_large_file")
#: The job that the clock enqueues, as long as the pool runs.
CRON_JOB: Final = "pulse"
#: All jobs, in the order in which they are shown.
JOB_NAMES: Final = (*PARSING, "package_report", "hash_tree", "summary", CRON_JOB)


@dataclass(slots=True)
class DemoState:
    """The data that the handlers of one run share; any thread may call any method.

    A job can run twice, after a crash for example, so a job that writes here again changes nothing.

    Attributes:
        files: The files to process.
        enqueuer: For jobs that enqueue jobs.
        client: For jobs that look at queues.
        enqueued: Job id -> name of every job that was enqueued.
        refused: How many unique jobs were refused because an equal one was waiting.
        reports: Package -> "files", "bytes" and "lines" in its newest report; "" is the summary.
        digest: SHA-256 of all files; "" until it is known.
        waiting: How many jobs waited in queues, every two seconds.
    """

    files: Sequence[SourceFile]
    enqueuer: Enqueuer
    client: Client
    enqueued: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    reports: dict[str, Counter[str]] = field(default_factory=dict)
    digest: str = ""
    waiting: list[int] = field(default_factory=list)
    _parsed: dict[str, tuple[str, Counter[str]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, jobs: Sequence[Job | None]) -> None:
        """Record jobs that were enqueued; None stands for a unique one that was refused."""
        with self._lock:
            self.enqueued |= {job.id: job.name for job in jobs if job}
            self.refused += jobs.count(None)

    def add_file(self, package: str, path: str, source: bytes) -> None:
        """Record a file that was parsed; two folders can hold files of the same name."""
        counts = Counter(files=1, bytes=len(source), lines=source.count(b"\n"))
        with self._lock:
            self._parsed[path] = package, counts

    def sum_up(self, package: str = "") -> None:
        """Sum up the files that have been parsed so far: those of a package, or all of them."""
        with self._lock:
            files = (each for of, each in self._parsed.values() if package in {"", of})
            self.reports[package] = sum(files, Counter())


def build_pool(
    namespace: str, redis: RedisLike, state: DemoState, *, concurrency: int
) -> WorkerPool:
    """Make a pool that runs the demo's jobs, and keeps all of their executions in history."""
    # A file is executed at most three times and asks for one report; the other jobs are few.
    history = HistoryOptions(max_records=100_000 + 4 * len(state.files))
    pool = WorkerPool(
        namespace, redis, concurrency=concurrency, context=lambda: state, history=history
    )
    # Failed jobs wait one second, then two.
    job = partial(pool.job, max_fails=3, backoff=lambda job: job.fails)
    job("parse_file", _parse_file, priority=10)
    job("parse_large_file", _parse_file, priority=2, max_concurrency=2)
    job("package_report", _package_report, priority=2)
    job("hash_tree", _hash_tree, priority=100, timeout=300)
    job("summary", _summary, priority=100)
    job(CRON_JOB, _pulse, priority=100)
    # With the zone all hosts agree, as in production.
    pool.periodically_enqueue("CRON_TZ=UTC */2 * * * * *", CRON_JOB, catch_up_s=0)
    return pool


def _parse_file(state: DemoState, job: Job) -> None:
    package, path = job.arg_str("package"), job.arg_str("path")
    source = Path(path).read_bytes()
    try:
        # Not `ast.parse`: before 3.11.8 and 3.12.2, CPython counts the depth of a tree for all
        # threads together, so it fails while another thread parses, and to format a traceback is
        # to parse (gh-106905).
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        # Without the line number, so that equal errors have equal messages.
        raise SyntaxError(error.msg) from None
    state.add_file(package, path, source)
    state.record([state.enqueuer.enqueue_unique("package_report", {"package": package})])


def _package_report(state: DemoState, job: Job) -> None:
    # The unique key is free as soon as this job starts, so a file that is parsed later asks for
    # another report: the last report of a package counts all of its files.
    state.sum_up(job.arg_str("package"))


async def _hash_tree(state: DemoState, job: Job) -> None:
    digest = hashlib.sha256()
    for number, file in enumerate(state.files):
        if number % 50 == 0:
            job.checkin(f"{number:,} of {len(state.files):,} files")
        digest.update(await asyncio.to_thread(Path(file.path).read_bytes))
    state.digest = digest.hexdigest()


def _summary(state: DemoState, _job: Job) -> None:
    # Two looks: a job can move while we look, but a failed one waits in the retry set for a second.
    over = not any(files_left(state.client.overview()) for _ in range(2))
    state.sum_up()
    if not over:
        state.record([state.enqueuer.enqueue_in("summary", 1).job])


def _pulse(state: DemoState, _job: Job) -> None:
    state.waiting.append(state.client.overview().queued)


def files_left(seen: Overview) -> int:
    """Return how many files are neither parsed nor dead."""
    queues = [queue for queue in seen.queues if queue.job_name in PARSING]
    return sum(queue.count + queue.running for queue in queues) + seen.retry
