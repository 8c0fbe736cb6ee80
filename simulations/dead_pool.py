"""A pool dies: how soon its jobs run elsewhere.

Three pools run jobs of a minute. The scenario kills one pool while it runs five jobs. The others
notice that its heartbeat has stopped, and put its jobs at the front of the queue.

    workkit simulate simulations/dead_pool.py
"""

from __future__ import annotations

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.plots import table

UNTIL = "10m"
KILLED_S = 30.0


def work(job: Job) -> None:
    """Work for the time that the scenario sets."""


def scenario(sim: Simulation) -> None:
    """Three pools with five workers each, forty jobs, and a kill after half a minute."""
    for _ in range(3):
        sim.pool(concurrency=5).job("work", work, takes=60)
    for n in range(40):
        sim.at(n * 0.1, sim.enqueuer.enqueue, "work", {"n": n})
    sim.at(KILLED_S, sim.crash, sim.pools[0])


def report(sim: Simulation) -> str:
    """Follow the jobs of the dead pool."""
    rows = []
    for event in sim.trace.of(kind="recovered"):
        first, *_, last = sim.trace.of(kind="started", job_id=event.job_id)
        (done,) = sim.trace.of(kind="done", job_id=event.job_id)
        rows.append(
            (
                event.job_id[-6:],
                first.where,
                event.at - KILLED_S,
                last.where,
                last.at - KILLED_S,
                done.at - KILLED_S,
            )
        )
    names = ["job", "lost by", "recovered, s", "run by", "started, s", "done, s"]
    jobs = {event.job_id for event in sim.trace.of(kind="done")}
    return (
        table(names, rows)
        + "\n\nSeconds are counted from the death of the pool. A job starts again when a worker of "
        + f"another pool is free.\n{len(jobs)} of 40 jobs are done."
    )
