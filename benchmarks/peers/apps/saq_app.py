"""SAQ on Redis, without keeping what has run."""

from __future__ import annotations

from typing import Any

from saq import Queue

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import CONCURRENCY, URL, enqueue_all_async

queue = Queue.from_url(URL, name="bench")
_meter = Meter()


async def job0(_ctx: Any, *, i: int) -> None:
    """Do nothing."""
    _meter.hit()


settings = {"queue": queue, "functions": [job0], "concurrency": CONCURRENCY}

if __name__ == "__main__":
    enqueue_all_async(lambda i: queue.enqueue("job0", i=i, ttl=-1), queue.connect, queue.disconnect)
