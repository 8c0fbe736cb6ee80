"""workkit, with sync handlers and with async ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import CONCURRENCY, QUEUE_NAMES, QUEUES, URL, enqueue_all
from workkit import Enqueuer, Job, WorkerPool

__all__ = ["async_pool", "pool"]


def _handle(job: Job) -> None:
    job.arg_int("i")
    _meter.hit()


async def _handle_async(job: Job) -> None:
    job.arg_int("i")
    _meter.hit()


def pool() -> WorkerPool:
    """Make the pool with sync handlers."""
    made = WorkerPool("bench", URL, concurrency=CONCURRENCY)

    @made.middleware
    def pass_on(_job: Job, next: Callable[[], None]) -> None:  # noqa: A002 - as documented
        next()

    for name in QUEUE_NAMES:
        made.job(name, _handle)
    return made


def async_pool() -> WorkerPool:
    """Make the pool with async handlers."""
    made = WorkerPool("bench", URL, concurrency=CONCURRENCY)

    @made.middleware
    async def pass_on(
        _job: Job,
        next: Callable[[], Awaitable[None]],  # noqa: A002 - as documented
    ) -> None:
        await next()

    for name in QUEUE_NAMES:
        made.job(name, _handle_async)
    return made


if __name__ == "__main__":
    enqueuer = Enqueuer("bench", URL)
    enqueue_all(lambda i: enqueuer.enqueue(QUEUE_NAMES[i % QUEUES], {"i": i}))
else:
    _meter = Meter()
