"""A job that kills its worker, among jobs that do not.

One of thirty jobs makes its process end on the spot: a crash in a C library, or too much memory.
Its pool starts again, the job is recovered, and kills the next process. workkit counts recoveries:
after its last one the job runs alone, kills only its own process, and goes to the dead set.

    workkit simulate simulations/poison_job.py
"""

from __future__ import annotations

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.plots import table

UNTIL = "10m"
POISON = 13


def scenario(sim: Simulation) -> None:
    """Two pools that are started again when they have died."""

    def work(job: Job) -> None:
        sim.sleep(5)
        if job.arg_int("n") == POISON:
            holder = next(pool for pool in sim.pools if pool.name == sim.runs(job)[-1].where)
            sim.crash(holder, restart_after=3)
            sim.sleep(1)  # the process is gone; nothing comes after this

    for _ in range(2):
        sim.pool(concurrency=5).job("work", work)
    for n in range(30):
        sim.enqueuer.enqueue("work", {"n": n})


def report(sim: Simulation) -> str:
    """Show the poison job, and the jobs that ran twice because of it."""
    rows = []
    for event in sim.trace.of(kind="enqueued"):
        starts = sim.trace.of(kind="started", job_id=event.job_id)
        if len(starts) == 1:
            continue
        recovered = sim.trace.of(kind="recovered", job_id=event.job_id)
        fate = sim.trace.of(job_id=event.job_id)[-1]
        rows.append((event.detail["args"]["n"], len(starts), len(recovered), fate.kind, fate.at))
    done = len(sim.trace.of(kind="done"))
    names = ["job", "starts", "recoveries", "fate", "at, s"]
    dead = sim.client.dead_jobs().jobs
    why = dead[0].job.last_err.partition("\n")[0] if dead else "-"
    return f"{table(names, rows)}\n\n{done} of 30 jobs are done. The dead one says:\n{why}"
