"""The retry ladder: when a job that fails every time is tried again.

The default backoff is the original's: after the n-th failure a job waits n**4 + 15 s, plus up to
29 * (n + 1) s of jitter. Two hundred jobs fail eight times each; the table shows how long they
waited between two tries, and the bounds.

    workkit simulate simulations/retry_ladder.py
"""

from __future__ import annotations

from statistics import median

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.plots import table

UNTIL = "4h"
JOBS, TRIES = 200, 8


def fail(job: Job) -> None:
    """Fail, like a service that never comes back."""
    raise ConnectionError("no answer")


def scenario(sim: Simulation) -> None:
    """One pool, and jobs that fail until they are dead."""
    sim.pool(concurrency=20).job("call", fail, max_fails=TRIES, takes=0.1)
    for n in range(JOBS):
        sim.at(n, sim.enqueuer.enqueue, "call", {"n": n})


def report(sim: Simulation) -> str:
    """Compare the waits between two tries with their bounds."""
    waits: dict[int, list[float]] = {}
    failed_at: dict[str, float] = {}
    tries: dict[str, int] = {}
    for event in sim.trace.of(name="call"):
        if event.kind == "failed":
            failed_at[event.job_id] = event.at
        elif event.kind == "started":
            n = tries[event.job_id] = tries.get(event.job_id, 0) + 1
            if n > 1:
                waits.setdefault(n - 1, []).append(event.at - failed_at[event.job_id])
    rows = [
        (n, f"{n**4 + 15:,} to {n**4 + 15 + 29 * (n + 1):,}", min(seen), median(seen), max(seen))
        for n, seen in sorted(waits.items())
    ]
    dead = sim.client.dead_jobs().total
    return (
        table(["failure", "bounds, s", "least", "median", "most"], rows)
        + f"\n\n{dead} of {JOBS} jobs are dead after {TRIES} tries."
    )
