"""A fleet with every kind of job, for explorations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.simulation import go_peer
from tests.simulation.hardships import (
    crowded,
    expelled,
    ghosts,
    host_dies,
    keyed,
    late_slots,
    lonely,
    long_ago,
    long_runs,
    narrow,
    outages,
    stopped,
    stuck,
    suspects,
    taken,
    undeclared,
    untold,
    watches_end,
)
from tests.simulation.mixed import FAULTS, TROUBLE_S, checkers, mixed
from tests.simulation.operating import operators
from tests.simulation.races import close_calls, twice_unheard
from tests.simulation.reading import readers
from tests.simulation.upkeep import (
    MetricsAreTrue,
    absent,
    interrupted,
    measured,
    quiet,
    recorded,
    returning,
    upkeep,
)
from tests.simulation.verdicts import verdicts
from tests.simulation.worlds import (
    BEFORE_CHANGE,
    asked,
    competing,
    dated,
    deaf,
    deploys,
    fenced,
    lasting_cron,
    many_pools,
    nested,
    trimmed,
    typed,
)
from tests.support.handlers import nothing
from workkit import Job
from workkit.core import job as wire
from workkit.core.entropy import Entropy
from workkit.core.probes import Incoming, Where
from workkit.simulation import Faults, SimulatedPool, Simulation
from workkit.simulation.checkers import all_checkers
from workkit.simulation.exploration.playing import DEFAULT_FAULTS

__all__ = [
    "SCENARIOS",
    "cron_late",
    "everything",
    "half_reaped",
    "late",
    "on_time",
    "poison",
    "reaping",
    "two_hundred_jobs",
    "updates",
]


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


class _Traced:
    """A probe that gives each job a member, as tracing does."""

    def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> _TracedSend:
        return _TracedSend(jobs)

    def runs(self, job: Incoming) -> None:
        """Watch no handler."""


class _TracedSend:
    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs

    def members(self, at: int) -> dict[str, str]:
        return {"traceparent": f"00-{self._jobs[at].id:0<32}-b7ad6b7169203331-01"}

    def ended(self, error: BaseException | None, *, accepted: bool) -> None:
        """Do nothing."""


def everything(  # noqa: C901 - a line a kind of job
    sim: Simulation, *, jobs: int = 120, within_s: float = 100
) -> None:
    """Two pools and all kinds of jobs, spread over some time."""
    for _ in range(2):
        _add_pool(sim)
    enqueuer = sim.enqueuer
    enqueuer.probes = (_Traced(),)
    for n in range(jobs):
        at_s = within_s * n / jobs
        kind = n % 8
        if kind in {0, 1}:
            sim.at(at_s, enqueuer.enqueue, "plain", {"n": n, "list": []})
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
    for at_s in (15, 35, 55):
        sim.at(at_s, _copy_a_slot, sim)
    for at_s in (45, 75):
        sim.at(at_s, go_peer.expel, sim, sim.pools[0])


def _copy_a_slot(sim: Simulation) -> None:
    """Queue a copy of a cron job after its slot has run, as a Go pool may do."""
    for job in sim.client.scheduled_jobs().jobs:
        if job.job.id.startswith("periodic:"):
            again = ("LPUSH", sim.keys.jobs("tick"), job.job.raw)
            again_at_s = sim.now + job.run_at - sim.now_s + 8
            sim.at(max(again_at_s, sim.now), sim.server.execute, [again])
            return


def _until_done(sim: Simulation, args: dict[str, int]) -> None:
    sim.enqueuer.enqueue_unique("until_done", args, until="done")


def two_hundred_jobs(sim: Simulation) -> None:
    """The same with 200 jobs."""
    everything(sim, jobs=200)


def poison(sim: Simulation) -> None:
    """Two pools that are started again whenever one of the jobs has killed them."""

    def work(job: Job) -> None:
        sim.sleep(2)
        if job.arg_int("n") == 3:
            holder = next(pool for pool in sim.pools if pool.name == sim.runs(job)[-1].where)
            sim.crash(holder, restart_after=3)
            sim.sleep(1)

    for _ in range(2):
        sim.pool(concurrency=3).job("work", work)
    for n in range(8):
        sim.at(n, sim.enqueuer.enqueue, "work", {"n": n})


def updates(sim: Simulation) -> None:
    """Jobs that are updated while they wait; the newest args run."""
    newest: dict[int, int] = {}

    def work(job: Job) -> None:
        key = job.arg_int("k")
        if job.arg_int("n") < newest.get(key, 0):
            raise RuntimeError(f"{job.args} is older than what was accepted: {newest[key]}")

    for _ in range(2):
        sim.pool(concurrency=2).job("work", work, max_fails=1, takes=(0, 2))

    def update(n: int) -> None:
        key = n % 4
        sim.enqueuer.enqueue_unique_in_by_key("work", 5, {"k": key, "n": n}, {"k": key})
        newest[key] = n

    for n in range(60):
        sim.at(n, update, n)


def reaping(sim: Simulation) -> None:
    """Pools that hold jobs of many names, so that recovering them takes a while."""
    names = [f"work{n}" for n in range(6)]
    for _ in range(3):
        pool = sim.pool(concurrency=6)
        for name in names:
            pool.job(name, nothing, takes=(5, 30))
    for n in range(60):
        sim.at(2 * n, sim.enqueuer.enqueue, names[n % 6], {"n": n})


def cron_late(sim: Simulation) -> None:
    """Pools that plan the same cron slots, on connections so slow that a plan may arrive late."""
    for _ in range(3):
        pool = sim.pool(concurrency=3)
        for every_s in (5, 7, 11):
            pool.job(f"tick{every_s}", nothing, takes=(0, 1))
            pool.periodically_enqueue(f"@every {every_s}s", f"tick{every_s}")


def late(sim: Simulation) -> None:
    """Pools that always have jobs, on connections that are sometimes slow."""
    for _ in range(2):
        sim.pool(concurrency=3).job("work", nothing, takes=(0, 1))
    for n in range(400):
        sim.at(0.4 * n, sim.enqueuer.enqueue, "work", {"n": n})


def on_time(sim: Simulation) -> None:
    """Idle pools; now and then somebody schedules a job that is due soon, also in Go's way."""
    entropy = Entropy(f"{sim.seed}/on time")
    for _ in range(2):
        sim.pool(concurrency=2).job("work", nothing)
    sim.client.pause("work")  # so that no job wakes the pools
    sim.at(_ON_TIME_S - 1, sim.client.unpause, "work")
    at_s = 10.0
    while at_s < _ON_TIME_S - 20:
        if entropy.below(3):
            sim.at(at_s, sim.enqueuer.enqueue_in, "work", entropy.uniform(0, 3), {"at": at_s})
        else:
            sim.at(at_s, _schedule_in_go, sim, f"{at_s:024.9f}")
        at_s += entropy.uniform(0, 1) if entropy.below(4) == 0 else entropy.uniform(10, 40)


def _schedule_in_go(sim: Simulation, job_id: str) -> None:
    raw = wire.encode("work", job_id, int(sim.now_s), b"null")
    sim.server.execute([("ZADD", sim.keys.scheduled, int(sim.now_s), raw)])


def half_reaped(sim: Simulation) -> None:
    """A pool that freezes, and Go pools that requeue its jobs and die before they remove it."""
    pool = sim.pool(concurrency=4)
    pool.job("work", nothing, takes=(1, 10))
    for n in range(80):
        sim.at(2 * n, sim.enqueuer.enqueue, "work", {"n": n})
    for at_s in range(1, 180):
        sim.at(at_s, _requeue_in_go, sim, pool)


def _requeue_in_go(sim: Simulation, pool: SimulatedPool) -> None:
    heartbeat_at = sim.server.read(("HGET", sim.keys.pool(pool.pool_id), "heartbeat_at"))
    if heartbeat_at is not None and sim.now_s - int(heartbeat_at) > 10:
        go_peer.requeue(sim, pool.pool_id, "work")


_ON_TIME_S = 300.0

#: The worlds by name, with their rates of faults, for the mutants: what `PlaySettings` takes.
SCENARIOS: dict[str, tuple[Any, ...]] = {
    "everything": (everything, DEFAULT_FAULTS),
    "poison": (poison, DEFAULT_FAULTS),
    "updates": (updates, DEFAULT_FAULTS),
    "cron_late": (cron_late, Faults(slow=60, freeze=60, cut=60, crash=60, lose=60)),
    "half_reaped": (half_reaped, Faults(freeze=120)),
    "late": (late, Faults(slow=60)),
    "late_and_lost": (late, Faults(freeze=200, lose=400)),
    "on_time": (
        on_time,
        Faults(freeze=60, crash=60),
        all_checkers(),
        _ON_TIME_S,
    ),
    "mixed": (mixed, FAULTS, checkers(), TROUBLE_S),
    "verdicts": (verdicts, DEFAULT_FAULTS),
    "reaping": (reaping, Faults(freeze=200, slow=300)),
    "clocks": (verdicts, Faults(step=90)),
    "slow_clocks": (verdicts, Faults(slow=240)),
    "lossy": (everything, Faults(crash=20, lose=40, wipe=15, failover=30, aof=30, evict=40)),
    "deaf": (deaf, DEFAULT_FAULTS),
    "competing": (competing, Faults(crash=20, lose=20)),
    "deploys": (deploys, DEFAULT_FAULTS),
    "lasting_cron": (lasting_cron, DEFAULT_FAULTS),
    "dated": (
        dated,
        Faults(crash=20, lose=30, freeze=10, slow=20),
        all_checkers(),
        420.0,
        5_400.0,
        None,
        BEFORE_CHANGE,
    ),
    "trimmed": (trimmed, DEFAULT_FAULTS),
    "asked": (asked, DEFAULT_FAULTS),
    "nested": (nested, DEFAULT_FAULTS),
    "typed": (typed, Faults(crash=40, freeze=60, lose=60, wipe=40, evict=30)),
    "operators": (operators, DEFAULT_FAULTS),
    "many_pools": (many_pools, Faults(crash=15, freeze=10)),
    "host_dies": (host_dies, Faults(latency=(0.0002, 0.002))),
    "fenced": (fenced, Faults(freeze=120)),
    "crowded": (crowded, Faults(crash=20, lose=20, latency=(0.0001, 0.0005))),
    "taken": (taken, Faults(lose=60, latency=(0.0001, 0.001))),
    "untold": (untold, Faults(lose=60, latency=(0.0001, 0.001))),
    "suspects": (suspects, Faults(crash=120, freeze=30)),
    "outages": (outages, Faults(outage=60, away=30, readonly=40, oom=40, failover=20, lose=20)),
    "refused": (reaping, Faults(readonly=200, oom=100, freeze=20)),
    "stopped": (stopped, Faults(lose=20, freeze=10)),
    "lonely": (lonely, Faults(latency=(0.0005, 0.002)), all_checkers(), _ON_TIME_S),
    "late_slots": (late_slots, Faults(crash=30, freeze=20)),
    "narrow": (narrow, Faults(lose=10)),
    "long_ago": (long_ago, Faults(stall=200, slow=60)),
    "long_runs": (long_runs, Faults(lose=5), all_checkers(), 300.0),
    "spoilt": (everything, Faults(mistype=120, crash=20, stop=30, lose=30)),
    "orphans": (everything, Faults(orphan=120, crash=20, lose=20)),
    "ghosts": (ghosts, Faults(lose=30, drop=20)),
    "stuck": (stuck, Faults(lose=30, freeze=10)),
    "expelled": (expelled, Faults(lose=300, drop=60)),
    "close_calls": (close_calls, Faults(lose=10)),
    "twice_unheard": (twice_unheard, Faults(lose=20)),
    "stopped_lossy": (stopped, Faults(drop=300, lose=100)),
    "watches_end": (watches_end, Faults(lose=10, stop=5)),
    "stopped_outages": (deploys, Faults(outage=80, away=40, stop=60)),
    "undeclared": (
        undeclared,
        Faults(crash=10, lose=10, latency=(0.0001, 0.003)),
        all_checkers(),
        960.0,
    ),
    "keyed": (keyed, Faults(crash=100, freeze=20, lose=30)),
    "lossy_deploys": (deploys, Faults(stop=60, failover=60, aof=60)),
    "readers": (readers, Faults(crash=30, stop=20, lose=30, evict=20)),
    "upkeep": (
        upkeep,
        Faults(miscount=180, crash=40, stop=20, lose=40, evict=40),
        all_checkers(),
        90.0,
    ),
    "quiet": (quiet, Faults(deaf=60, cut=40, unheard=40), all_checkers(), 300.0),
    "interrupted": (interrupted, Faults(crash=40, stop=40, lose=30), all_checkers(), 300.0),
    "absent": (absent, Faults(crash=10, lose=20, evict=10), all_checkers(), 640.0),
    "returning": (returning, Faults(crash=10, lose=10)),
    "recorded": (recorded, Faults(crash=10, away=20)),
    "measured": (measured, DEFAULT_FAULTS, [*all_checkers(), MetricsAreTrue()]),
}
