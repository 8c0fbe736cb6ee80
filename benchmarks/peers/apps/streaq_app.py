"""streaQ, without results and without a log line a job."""

from __future__ import annotations

from streaq import Worker

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import CONCURRENCY, URL, enqueue_all_async

worker = Worker(redis_url=URL, queue_name="bench", concurrency=CONCURRENCY)
_meter = Meter()


@worker.task(name="job0", ttl=0, silent=True)
async def handle(i: int) -> None:
    """Do nothing."""
    _meter.hit()


async def _enqueue(i: int) -> None:
    await handle.enqueue(i)


if __name__ == "__main__":
    enqueue_all_async(_enqueue, worker.__aenter__)
