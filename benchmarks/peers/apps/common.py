"""Shared by all apps; standard library only."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

__all__ = ["CONCURRENCY", "QUEUES", "QUEUE_NAMES", "URL", "enqueue_all", "enqueue_all_async"]

#: Where the server is.
URL: Final = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379")
#: How many jobs run at once, in a library that runs several.
CONCURRENCY: Final = int(os.environ.get("BENCH_CONCURRENCY", "20"))
#: How many queues, in a library whose workers take more than one.
QUEUES: Final = 10
#: Their names.
QUEUE_NAMES: Final = [f"job{i}" for i in range(QUEUES)]


def enqueue_all(enqueue: Callable[[int], object]) -> None:
    """Enqueue as many jobs as the command line says, one by one, and print how many a second."""
    jobs = int(sys.argv[1])
    before = time.perf_counter()
    for i in range(jobs):
        enqueue(i)
    _print_rate(jobs, time.perf_counter() - before)


def enqueue_all_async(
    enqueue: Callable[[int], Coroutine[Any, Any, object]],
    start: Callable[[], Coroutine[Any, Any, object]] | None = None,
    stop: Callable[[], Coroutine[Any, Any, object]] | None = None,
) -> None:
    """Do the same on an event loop, each after the other."""

    async def run() -> None:
        jobs = int(sys.argv[1])
        if start is not None:
            await start()
        before = time.perf_counter()
        for i in range(jobs):
            await enqueue(i)
        _print_rate(jobs, time.perf_counter() - before)
        if stop is not None:
            await stop()

    asyncio.run(run())


def _print_rate(jobs: int, seconds: float) -> None:
    print(json.dumps({"enqueued_per_s": jobs / seconds}))
