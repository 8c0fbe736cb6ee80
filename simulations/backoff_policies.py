"""Three backoff policies under an outage of an hour.

A service that 300 jobs call is down from minute 10 to minute 70. A third of the jobs wait as the
default says, a third exponentially with full jitter, a third a constant minute. Which policy
sends the fewest calls, and which finishes soonest after the service is back?

    workkit simulate simulations/backoff_policies.py
"""

from __future__ import annotations

from statistics import median

from workkit import Job
from workkit.core.entropy import Entropy
from workkit.simulation import Simulation
from workkit.simulation.plots import buckets, spark, table

UNTIL = "3h"
JOBS = 100
DOWN_S, UP_S = 600.0, 4_200.0
POLICIES = ("default", "exponential", "constant")


def a_minute(job: Job) -> float:
    """Wait for a minute."""
    return 60


def scenario(sim: Simulation) -> None:
    """One pool that knows all three; jobs come for 20 minutes."""
    dice = Entropy(f"{sim.seed}/backoff")

    def call(job: Job) -> None:
        if DOWN_S <= sim.now < UP_S:
            raise ConnectionError("the service is down")

    def exponential(job: Job) -> float:
        return dice.uniform(1, min(10 * 2**job.fails, 1_800))

    backoffs = {"default": None, "exponential": exponential, "constant": a_minute}
    pool = sim.pool(concurrency=30)
    for name in POLICIES:
        pool.job(name, call, max_fails=100, backoff=backoffs[name], takes=(0.05, 0.5))
        for n in range(JOBS):
            sim.at(n * 12, sim.enqueuer.enqueue, name, {"n": n})


def report(sim: Simulation) -> str:
    """Show failed tries, the peak when the service is back, and when jobs were done."""
    rows = []
    plots = []
    for name in POLICIES:
        runs = sim.runs(name)
        in_vain = sim.trace.of(kind="failed", name=name)
        late = sorted(
            event.at - UP_S for event in sim.trace.of(kind="done", name=name) if event.at > UP_S
        )
        peak = max(buckets((run for run in runs if run.at >= UP_S), 10_800, 1_080))
        last = late[-1] / 60 if late else 0.0
        rows.append((name, len(runs), len(in_vain), peak, median(late) / 60, last))
        plots.append(f"{name:<12}|{spark(buckets(runs, 10_800))}|")
    names = ["policy", "tries", "in vain", "most in 10 s", "median, min", "last, min"]
    return (
        table(names, rows)
        + "\n\nTries over three hours; the service is down from 10 min to 70 min:\n"
        + "\n".join(plots)
        + "\n\nmedian and last: how long after the return of the service jobs were done."
    )
