"""Celery on Redis, without results."""

from __future__ import annotations

from celery import Celery

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import QUEUE_NAMES, QUEUES, URL, enqueue_all

app = Celery("bench", broker=URL)
app.conf.task_ignore_result = True
_meter = Meter()


@app.task(name="job0")
def handle(i: int) -> None:
    """Do nothing."""
    _meter.hit()


if __name__ == "__main__":
    enqueue_all(lambda i: handle.apply_async((i,), queue=QUEUE_NAMES[i % QUEUES]))
