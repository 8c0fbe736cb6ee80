"""huey on Redis, without results."""

from __future__ import annotations

import importlib

from huey import RedisHuey

from benchmarks.meter import Meter
from benchmarks.peers.apps.common import URL, enqueue_all

huey = RedisHuey("bench", url=URL, results=False)
_meter = Meter()


@huey.task()
def handle(i: int) -> None:
    """Do nothing."""
    _meter.hit()


if __name__ == "__main__":
    # Tasks are known by the module that they are in, which has another name as a program.
    enqueue_all(importlib.import_module("benchmarks.peers.apps.huey_app").handle)
