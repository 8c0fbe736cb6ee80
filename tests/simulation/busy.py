"""A busy world: `python -m tests.simulation.busy SEED` prints its trace."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from workkit import Job, ServerError
from workkit.simulation import Fault, Faults, Simulation

STORM: Final = Faults(
    crash=6, lose=20, drop=20, freeze=6, step=4, slow=6, cut=6, away=6, oom=6, readonly=4, wipe=1,
    within=400,
)  # fmt: skip


def busy(
    seed: int,
    *,
    server: object = None,
    namespace: str = "simulation",
    faults: Faults | Sequence[Fault] | None = STORM,
) -> str:
    """Return the trace of ten minutes of a world with everything in it."""
    logging.getLogger("workkit").setLevel(logging.CRITICAL)
    with Simulation(seed, server=server, namespace=namespace, faults=faults) as sim:
        for _ in range(2):
            _add_pool(sim)

        def accepted_or_not(enqueue: Callable[..., Any], *args: Any) -> None:
            try:
                enqueue(*args)
            except ServerError as error:
                sim.trace.add("refused", error=type(error).__name__)

        for n in range(30):
            sim.at(n * 3, accepted_or_not, sim.enqueuer.enqueue, "sync", {"n": n})
            by_key = (sim.enqueuer.enqueue_unique_in_by_key, "async", 5, {"n": n}, {"key": n % 9})
            sim.at(n * 2, accepted_or_not, *by_key)
        sim.run_for(minutes=10)
        return sim.trace.json_lines()


def _add_pool(sim: Simulation) -> None:
    pool = sim.pool(concurrency=3)

    @pool.job("sync", takes=(0.1, 5), backoff=lambda job: 7, max_concurrency=4)
    def sync(job: Job) -> None:
        sim.sleep(0.2)
        if job.arg_int("n") % 5 == 0 and job.fails < 1:
            raise ValueError("not yet")
        if job.arg_int("n") % 7 == 0:
            sim.enqueuer.enqueue("async", {"n": job.arg_int("n")})

    @pool.job("async", timeout=4)
    async def on_loop(job: Job) -> None:
        await asyncio.sleep(job.arg_int("n") / 3)

    pool.periodically_enqueue("@every 60s", "sync", {"n": 1})


if __name__ == "__main__":
    sys.stdout.write(busy(int(sys.argv[1])))
