"""The pool of the worker processes: `workkit worker tests.system.chaos.tasks:pool`."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tests.system.chaos.journal import TICK, Pen
from tests.system.chaos.place import Place
from workkit import Job, WorkerPool

pen = Pen(Path(os.environ["CHAOS_JOURNAL"]))
pause = threading.Event()
work_s = float(os.environ["CHAOS_WORK_MS"]) / 1000
place = Place.from_environment()
pool = WorkerPool(place.namespace, place.redis(), concurrency=int(os.environ["CHAOS_CONCURRENCY"]))


def _work(job: Job) -> None:
    number = job.arg_int("n")
    pen.started(number)
    pause.wait(work_s)
    pen.ended(number)


pool.job("note", _work)
pool.job("limited", _work, max_concurrency=5)
pool.job("unique", _work)
pool.job("scheduled", _work)
pool.periodically_enqueue("@every 2s", "tick")


@pool.job
def tick(job: Job) -> None:
    """Show that cron goes on."""
    pen.started(TICK)
    pen.ended(TICK)
