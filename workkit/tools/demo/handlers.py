"""The demo's jobs: every kind that the engine has, each doing something real.

- `parse_file`: thousands of short jobs; a short backoff; files that fail for good
- `parse_large_file`: at most two at once, in all pools together
- `package_report`: a unique job a package; every file asks for it, one waits at a time
- `hash_tree`: a slow async job that checks in
- `summary`: a scheduled job that schedules itself again until everything has been parsed
- `pulse`: a cron job that samples the throughput every two seconds
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from workkit.client import Client
from workkit.core.clock import Clock
from workkit.core.job import Job
from workkit.core.options import HistoryOptions
from workkit.enqueuer import Enqueuer
from workkit.pool import WorkerPool
from workkit.tools.demo.tally import Figures, Tally
from workkit.tools.demo.workload import SourceFile

__all__ = [
    "AT_ONCE",
    "CRON_JOB",
    "JOB_NAMES",
    "PARSING",
    "Context",
    "Desk",
    "build_pool",
    "hash_tree",
    "package_report",
    "parse_file",
    "pulse",
    "short_backoff",
    "summary",
    "timed",
]

#: The jobs that parse one file.
PARSING: Final = ("parse_file", "parse_large_file")
#: The limit of `parse_large_file`.
AT_ONCE: Final = 2
#: The job that is enqueued by the clock, for as long as the pool runs.
CRON_JOB: Final = "pulse"
#: All jobs, in the order in which they are shown.
JOB_NAMES: Final = (*PARSING, "package_report", "hash_tree", "summary", CRON_JOB)

#: Before 3.11.8 and 3.12.2 CPython counts how deep a tree is for all threads together, so that two
#: that parse at once can both fail with a `SystemError` (gh-106905).
_COUNTS_TOGETHER: Final = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)
_parser: Final = threading.Lock() if _COUNTS_TOGETHER else nullcontext()

#: When the cron job is due. The zone makes all hosts agree, here as in production.
_CRON: Final = "CRON_TZ=UTC */2 * * * * *"
_TRIES: Final = 3
_HASHED_AT_ONCE: Final = 50
_HASHING_S: Final = 300
_SUMMARY_AGAIN_S: Final = 1


@dataclass(slots=True)
class Desk:
    """What the handlers of one pool share.

    Attributes:
        files: What is processed.
        enqueuer: For jobs that enqueue jobs.
        client: For jobs that look at queues.
        tally: What has been found out so far.
        clock: For durations.
    """

    files: Sequence[SourceFile]
    enqueuer: Enqueuer
    client: Client
    tally: Tally
    clock: Clock


@dataclass(slots=True)
class Context:
    """What one job has to itself.

    Attributes:
        desk: What it shares with the others.
        file: The file that it works on, for the middleware; "" for none.
    """

    desk: Desk
    file: str = ""


def build_pool(
    namespace: str, redis: object, desk: Desk, *, concurrency: int, max_records: int
) -> WorkerPool:
    """Make the demo's pool.

    Args:
        namespace: Prefix of all Redis keys.
        redis: The server.
        desk: What the handlers share.
        concurrency: How many handlers run at once.
        max_records: How many executions history keeps.
    """
    pool = WorkerPool(
        namespace,
        redis,
        concurrency=concurrency,
        context=lambda: Context(desk),
        history=HistoryOptions(max_records=max_records),
    )
    pool.middleware(timed)
    job = partial(pool.job, max_fails=_TRIES, backoff=short_backoff)
    job("parse_file", parse_file, priority=10)
    job("parse_large_file", parse_file, priority=2, max_concurrency=AT_ONCE)
    job("package_report", package_report, priority=2)
    job("hash_tree", hash_tree, priority=100, timeout=_HASHING_S)
    job("summary", summary, priority=100)
    job(CRON_JOB, pulse, priority=100)
    pool.periodically_enqueue(_CRON, CRON_JOB, catch_up_s=0)
    pool.on("dead", desk.tally.died)
    return pool


def short_backoff(job: Job) -> float:
    """Wait a second after the first failure and two after the next."""
    return job.fails


def timed(context: Context, _job: Job, proceed: Callable[[], None]) -> None:
    """Measure how long the jobs of files take."""
    clock = context.desk.clock
    started_s = clock.read().monotonic_s
    proceed()
    if context.file:
        context.desk.tally.timed(context.file, clock.read().monotonic_s - started_s)


def parse_file(context: Context, job: Job) -> None:
    """Parse a file, count what is in it, and ask for a report of its package."""
    desk, package, context.file = context.desk, job.arg_str("package"), job.arg_str("name")
    source = Path(job.arg_str("path")).read_bytes()
    with _parser:
        # Without the file's name, which would become part of the message: equal errors stay equal.
        tree = ast.parse(source)
    functions, classes = _count(tree)
    figures = Figures(len(source), source.count(b"\n"), functions, classes)
    desk.tally.enter(package, context.file, figures)
    desk.tally.accept([desk.enqueuer.enqueue_unique("package_report", {"package": package})])


def _count(tree: ast.Module) -> tuple[int, int]:
    """Return how many functions and classes there are; only statements can hold any."""
    functions = classes = 0
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            held = getattr(node, field, None)
            if isinstance(held, list):
                todo.extend(held)
        functions += isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        classes += isinstance(node, ast.ClassDef)
    return functions, classes


def package_report(context: Context, job: Job) -> None:
    """Sum up a package.

    Its unique key is free again as soon as this job starts, so a file that is parsed meanwhile asks
    for another report: the last report of a package counts all of its files.
    """
    context.desk.tally.report(job.arg_str("package"))


async def hash_tree(context: Context, job: Job) -> None:
    """Compute one digest of all files, saying how far it is."""
    files = context.desk.files
    digest = hashlib.sha256()
    for start in range(0, len(files), _HASHED_AT_ONCE):
        batch = files[start : start + _HASHED_AT_ONCE]
        await asyncio.to_thread(_hash, digest, batch)
        job.checkin(f"{start + len(batch):,} of {len(files):,} files")
    context.desk.tally.hashed(digest.hexdigest())


def _hash(digest: hashlib._Hash, files: Sequence[SourceFile]) -> None:
    for file in files:
        digest.update(Path(file.path).read_bytes())


def summary(context: Context, _job: Job) -> None:
    """Sum up everything, again and again until all files are through."""
    desk = context.desk
    over = _is_parsing_over(desk.client)
    desk.tally.sum_up()
    if not over:
        desk.tally.accept([desk.enqueuer.enqueue_in("summary", _SUMMARY_AGAIN_S).job])


def _is_parsing_over(client: Client) -> bool:
    """Tell whether no file waits, runs, or is to be tried again.

    A failed job waits in the retry set for a second at least, so one that is not seen in its queue
    between two looks at that set has ended.
    """
    return (
        not client.retry_jobs().total
        and not any(q.count or q.running for q in client.queues() if q.job_name in PARSING)
        and not client.retry_jobs().total
    )


def pulse(context: Context, _job: Job) -> None:
    """Take a sample of how far everything is."""
    desk = context.desk
    written = desk.client.history_extent().written
    desk.tally.sample(desk.clock.read().monotonic_s, written)
