"""Unique jobs: how long a key is held, and what happens to jobs that are enqueued in that time.

A key is held until its job begins, and for a day at most. A job that is enqueued by key gives its
args to the job that waits. A job that has failed has freed its key, so workkit may accept a new job
while the failed one waits for its retry.

    workkit simulate simulations/unique_window.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.plots import table
from workkit.simulation.trace import duration

UNTIL = "2d"
HOUR = 3_600


def two_hours(job: Job) -> float:
    """Wait for two hours."""
    return 2 * HOUR


def scenario(sim: Simulation) -> None:
    """One pool; a client enqueues reports, mostly while their queue is paused."""
    pool = sim.pool(concurrency=2)

    @pool.job("report", takes=60, backoff=two_hours)
    def report_once_in_vain(job: Job) -> None:
        if job.args == {"for": "Monday"} and not job.fails:
            raise OSError("the disk is full")

    plain, by_key = sim.enqueuer.enqueue_unique, sim.enqueuer.enqueue_unique_by_key
    asks: list[tuple[int, str, Callable[..., Any], tuple[Any, ...]]] = [
        *((hour, "{for: Sunday}", plain, ({"for": "Sunday"},)) for hour in (0, 1, 23, 25)),
        *(
            (hour, f"{pages} pages, key {{user: 7}}", by_key, ({"pages": pages}, {"user": 7}))
            for hour, pages in ((30, 1), (31, 2), (32, 3))
        ),
        *((hour, "{for: Monday}", plain, ({"for": "Monday"},)) for hour in (40, 41, 43)),
    ]
    for hour, what, enqueue, args in asks:
        sim.at(hour * HOUR, _ask, sim, what, enqueue, ("report", *args))
    sim.at(0, sim.client.pause, "report")
    sim.at(33 * HOUR, sim.client.unpause, "report")


def _ask(sim: Simulation, what: str, enqueue: Callable[..., Any], args: tuple[Any, ...]) -> None:
    job = enqueue(*args)
    sim.trace.add("asked", says=what, answer="accepted" if job else "refused: one waits")


def report(sim: Simulation) -> str:
    """Show which jobs were accepted and which ran."""
    asked = [
        (duration(each.at_us)[:-4], each.detail["says"], each.detail["answer"])
        for each in sim.trace.of(kind="asked")
    ]
    ran = [(duration(each.at_us)[:-4], str(each.detail["args"])) for each in sim.runs("report")]
    return (
        "The queue is paused for the first 33 hours.\n\n"
        + table(["at", "asked for", "answer"], asked)
        + "\n\n"
        + table(["at", "ran with"], ran)
    )
