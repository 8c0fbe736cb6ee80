"""Redis comes back after ten minutes, and all clients and pools send requests at once.

Eight pools lose their server while they run jobs. Clients keep the jobs that they could not
enqueue, and enqueue 2,000 of them in the second in which it returns. Pools try again after growing
waits with jitter, so they do not come back at the same time; a limit of 30 keeps the service behind
the jobs safe.

    workkit simulate simulations/thundering_herd.py
"""

from __future__ import annotations

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.plots import bars, buckets, spark

UNTIL = "20m"
AWAY_S, BACK_S = 120.0, 720.0
JOBS, LIMIT = 2_000, 30


def call(job: Job) -> None:
    """Call the service for the time that the scenario sets."""


def scenario(sim: Simulation) -> None:
    """Jobs trickle in, Redis goes away, and the rest comes at once."""
    for _ in range(8):
        sim.pool(concurrency=5).job("call", call, takes=(0.2, 1.0), max_concurrency=LIMIT)
    for n in range(100):
        sim.at(n, sim.enqueuer.enqueue, "call", {"n": n})
    sim.at(AWAY_S, sim.stop_redis, BACK_S - AWAY_S)
    for start in range(0, JOBS, 100):
        batch = [("call", {"n": start + n}) for n in range(100)]
        sim.at(BACK_S + start / JOBS, sim.enqueuer.enqueue_many, batch)


def report(sim: Simulation) -> str:
    """Show when pools are back, and how the backlog shrinks."""
    runs = [event for event in sim.runs("call") if event.at > BACK_S]
    back = []
    for pool in sim.pools:
        own = [event.at for event in runs if event.where == pool.name]
        if own:
            back.append((pool.name, round(min(own) - BACK_S, 2)))
    at_once = most = 0
    for event in sim.trace.of(name="call"):
        at_once += (event.kind == "started") - (event.kind in {"succeeded", "failed"})
        most = max(most, at_once)
    last = max(event.at for event in sim.trace.of(kind="done"))
    minutes = spark(buckets(sim.trace.of(kind="done"), 1_200))
    return (
        f"Redis is away from {AWAY_S:g} s to {BACK_S:g} s. The first job of each pool after that:\n"
        + bars(back, unit=" s")
        + f"\n\nJobs done over 20 minutes:\n|{minutes}|\n\n"
        + f"At most {most} ran at once, {LIMIT} may; the backlog of {JOBS:,} is gone "
        + f"{last - BACK_S:.0f} s after the return."
    )
