"""RQ, without results."""

from __future__ import annotations

from redis import Redis
from rq import Queue

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import QUEUE_NAMES, QUEUES, URL, enqueue_all

_meter: list[Meter] = []


def handle(i: int) -> None:
    """Do nothing."""
    if not _meter:
        _meter.append(Meter())
    _meter[0].hit()


if __name__ == "__main__":
    connection = Redis.from_url(URL)
    queues = [Queue(name, connection=connection) for name in QUEUE_NAMES]
    task = "benchmarks.peers.apps.rq_app.handle"
    enqueue_all(lambda i: queues[i % QUEUES].enqueue(task, i, result_ttl=0))
