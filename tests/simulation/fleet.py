"""A fleet with everything in it, to look for what breaks."""

from __future__ import annotations

import asyncio

from workkit import Job
from workkit.simulation import SimulatedPool, Simulation

__all__ = ["everything", "two_hundred_jobs"]


def _add_pool(sim: Simulation) -> SimulatedPool:  # noqa: C901 - a handler a kind of job
    pool = sim.pool(concurrency=3)

    @pool.job("plain", takes=(0.05, 3), max_fails=3, backoff=lambda job: 5)
    def plain(job: Job) -> None:
        if job.arg_int("n") % 5 == 0 and job.fails < 1:
            raise ValueError("not yet")
        if job.arg_int("n") % 11 == 0:
            raise ValueError("never")

    @pool.job("limited", takes=(0.5, 4), max_concurrency=2, priority=3)
    def limited(job: Job) -> None:
        sim.sleep(0.2)
        if job.arg_int("n") % 7 == 0:
            sim.enqueuer.enqueue("plain", {"n": job.arg_int("n") + 1})

    @pool.job("unique", takes=(0.1, 6))
    def unique(job: Job) -> None:
        if job.arg_int("n") % 3 == 0 and not job.fails:
            raise ValueError("once")

    @pool.job("until_done", takes=(0.1, 4), max_fails=2, backoff=lambda job: 3)
    def until_done(job: Job) -> None:
        if job.arg_int("n") % 2 == 0:
            raise ValueError("never")

    @pool.job("async", timeout=4, max_fails=2, backoff=lambda job: 1)
    async def on_loop(job: Job) -> None:
        await asyncio.sleep(job.arg_int("n") % 6)

    @pool.job("skips", max_fails=1, skip_dead=True)
    def skips(job: Job) -> None:
        raise ValueError("whatever")

    @pool.job("tick", takes=(0, 1))
    def tick(job: Job) -> None:
        job.checkin("here")

    pool.periodically_enqueue("@every 20s", "tick")
    return pool


def everything(sim: Simulation, *, jobs: int = 120, within_s: float = 100) -> None:
    """Two pools and all kinds of jobs, spread over some time."""
    for _ in range(2):
        _add_pool(sim)
    enqueuer = sim.enqueuer
    for n in range(jobs):
        at_s = within_s * n / jobs
        kind = n % 8
        if kind in {0, 1}:
            sim.at(at_s, enqueuer.enqueue, "plain", {"n": n})
        elif kind == 2:
            sim.at(at_s, enqueuer.enqueue, "limited", {"n": n})
        elif kind == 3:
            sim.at(at_s, enqueuer.enqueue_unique_by_key, "unique", {"n": n}, {"k": n % 5})
        elif kind == 4:
            sim.at(at_s, enqueuer.enqueue_unique_in, "unique", 4, {"n": n % 6})
        elif kind == 5:
            sim.at(at_s, _until_done, sim, {"n": n % 6})
        elif kind == 6:
            sim.at(at_s, enqueuer.enqueue, "async", {"n": n})
        else:
            sim.at(at_s, enqueuer.enqueue_in, "skips" if n % 3 else "plain", 3, {"n": n})
    sim.at(30, sim.client.pause, "plain")
    sim.at(60, sim.client.unpause, "plain")
    sim.at(within_s - 1, sim.client.unpause, "plain")
    sim.at(90, sim.client.retry_all_dead_jobs)


def _until_done(sim: Simulation, args: dict[str, int]) -> None:
    sim.enqueuer.enqueue_unique("until_done", args, until="done")


def two_hundred_jobs(sim: Simulation) -> None:
    """The same with 200 jobs."""
    everything(sim, jobs=200)
