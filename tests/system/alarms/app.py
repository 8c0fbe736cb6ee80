"""The pool of the soak: handlers of every kind."""

from __future__ import annotations

import asyncio
import os
import time

from workkit import Job, WorkerPool
from workkit.core.clock import monotonic_s

pool = WorkerPool(os.environ["SOAK_NAMESPACE"], os.environ["SOAK_REDIS"], concurrency=8)


@pool.job
def nothing(job: Job) -> None:
    """Ends at once."""


@pool.job
def sleeps(job: Job) -> None:
    """Keeps a worker busy without work."""
    time.sleep(job.arg_float("seconds"))  # noqa: TID251 - a handler that waits


@pool.job
def computes(job: Job) -> None:
    """Keeps a worker and the interpreter busy."""
    until_s = monotonic_s() + job.arg_float("seconds")
    while monotonic_s() < until_s:
        sum(range(1_000))


@pool.job
async def waits(job: Job) -> None:
    """Waits on the event loop."""
    await asyncio.sleep(job.arg_float("seconds"))


@pool.job
async def blocks(job: Job) -> None:
    """Computes on the event loop, as nobody should."""
    computes(job)


@pool.job(max_fails=3, backoff=lambda *_: 1)
def fails(job: Job) -> None:
    """Fails, and is retried."""
    raise ValueError("as always")


@pool.job
def paused(job: Job) -> None:
    """Is of a queue that is paused now and then."""


pool.periodically_enqueue("@every 5s", "nothing")
