"""A process with several pools: `python -m tests.system.endurance.pools`.

It ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.support.handlers import nothing
from workkit import HistoryOptions, Job, WorkerPool

#: As the names of the queues, with how many of a hundred jobs are of it.
MIX = {"plain": 60, "waits": 10, "async": 10, "fails": 5, "limited": 10, "unique": 5}


def make_pool(namespace: str, url: str, concurrency: int) -> WorkerPool:
    """Make a pool with a handler of each kind."""
    history = HistoryOptions(max_records=10_000)
    pool = WorkerPool(namespace, url, concurrency=concurrency, history=history)

    async def wait(_job: Job) -> None:
        await asyncio.sleep(0.005)

    def fail(_job: Job) -> None:
        raise ValueError("as it should")

    def check_in(job: Job) -> None:
        job.checkin("half way")

    pool.job("plain", nothing)
    pool.job("waits", check_in)
    pool.job("async", wait)
    pool.job("fails", fail, max_fails=2, backoff=lambda _job: 1)
    pool.job("limited", nothing, max_concurrency=3)
    pool.job("unique", nothing)
    pool.job("tick", nothing)
    return pool


def main() -> None:
    """Run pools until stdin ends."""
    url, namespace, count, concurrency, cron = sys.argv[1:]
    pools = [make_pool(namespace, url, int(concurrency)) for _ in range(int(count))]
    for pool in pools:
        if cron == "cron":
            pool.periodically_enqueue("@every 1s", "tick")
        pool.start()
    os.write(1, b"ready\n")
    sys.stdin.read()
    for pool in pools:
        pool.stop(10)


if __name__ == "__main__":
    main()
