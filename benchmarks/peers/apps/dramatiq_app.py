"""dramatiq on its Redis broker, without results."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import QUEUE_NAMES, QUEUES, URL, enqueue_all

dramatiq.set_broker(RedisBroker(url=URL))
_meter = Meter()


def _handle(i: int) -> None:
    _meter.hit()


actors = [
    dramatiq.actor(_handle, actor_name=name, queue_name=name)  # its default middleware is on
    for name in QUEUE_NAMES
]

if __name__ == "__main__":
    enqueue_all(lambda i: actors[i % QUEUES].send(i))
