"""arq, without results and without a log line a job; it asks for jobs every 10 ms."""

from __future__ import annotations

from typing import Any

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import CONCURRENCY, URL, enqueue_all_async

_meter = Meter()


async def job0(_ctx: Any, i: int) -> None:
    """Do nothing."""
    _meter.hit()


quiet_logs = {"version": 1}


class WorkerSettings:
    """The settings of the worker."""

    functions = (job0,)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = CONCURRENCY
    keep_result = 0
    poll_delay = 0.01


_pools: list[ArqRedis] = []


async def _start() -> None:
    _pools.append(await create_pool(RedisSettings.from_dsn(URL)))


if __name__ == "__main__":
    enqueue_all_async(lambda i: _pools[0].enqueue_job("job0", i), _start)
