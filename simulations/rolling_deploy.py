"""A rolling deploy: old and new pools at the same time, and jobs that only the new ones know.

Three pools of version 1 are replaced one by one by version 2, which brings the job "webp". The new
release enqueues "webp" from its first minute, also while old pools still move due jobs about and
while one of them stops in the middle of its work. No job is lost, and none dies as unknown.

    workkit simulate simulations/rolling_deploy.py
"""

from __future__ import annotations

from workkit import Job
from workkit.simulation import SimulatedPool, Simulation
from workkit.simulation.plots import buckets, spark, table

UNTIL = "10m"
FIRST_S = 60  # when the first new pool comes


def work(job: Job) -> None:
    """Work for the time that the scenario sets."""


def version(sim: Simulation, number: int, replica: int) -> SimulatedPool:
    """Make a pool of a version."""
    pool = sim.pool(concurrency=4, name=f"v{number}-{replica}")
    pool.job("thumbnail", work, takes=(1, 12))
    if number > 1:
        pool.job("webp", work, takes=(1, 5))
    return pool


def scenario(sim: Simulation) -> None:
    """Every minute one old pool stops and a new one replaces it."""
    old = [version(sim, 1, replica) for replica in range(3)]
    for replica, leaving in enumerate(old):
        at_s = FIRST_S * (replica + 1)
        sim.at(at_s, _replace, sim, leaving, replica)
    for n in range(300):
        sim.at(n, sim.enqueuer.enqueue, "thumbnail", {"n": n})
        if n >= FIRST_S:
            sim.at(n, sim.enqueuer.enqueue_in, "webp", 5, {"n": n})


def _replace(sim: Simulation, leaving: SimulatedPool, replica: int) -> None:
    leaving.stop(timeout=2)
    version(sim, 2, replica).start()


def report(sim: Simulation) -> str:
    """Show which pool ran which jobs, and that no job is left."""
    rows = []
    plots = []
    for pool in sim.pools:
        runs = [event for event in sim.trace.of(kind="started") if event.where == pool.name]
        returned = [event for event in sim.trace.of(kind="returned") if event.where == pool.name]
        names = [event.name for event in runs]
        rows.append((pool.name, names.count("thumbnail"), names.count("webp"), len(returned)))
        plots.append(f"{pool.name:<6}|{spark(buckets(runs, 600))}|")
    done = len(sim.trace.of(kind="done"))
    return (
        table(["pool", "thumbnail", "webp", "given back"], rows)
        + "\n\nHandlers that started, over ten minutes:\n"
        + "\n".join(plots)
        + f"\n\n{done} of 540 jobs are done, {sim.client.dead_jobs().total} are dead."
    )
