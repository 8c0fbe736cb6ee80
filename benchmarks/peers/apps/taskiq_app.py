"""taskiq on Redis: on streams, with acknowledgements, and on a list, without; no results."""

from __future__ import annotations

import os

from taskiq_redis import ListQueueBroker, RedisStreamBroker

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import URL, enqueue_all_async

_kind = ListQueueBroker if os.environ.get("BENCH_TASKIQ") == "list" else RedisStreamBroker
broker = _kind(URL)
_meter = Meter()


async def _handle(i: int) -> None:
    _meter.hit()


task = broker.register_task(_handle, task_name="job0")

if __name__ == "__main__":
    enqueue_all_async(task.kiq, broker.startup, broker.shutdown)
