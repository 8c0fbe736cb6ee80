"""Worlds about one thing each: deaf handlers, competing queues, deploys, long cron jobs."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from typing import Final

from tests.simulation.hardships import start_ended
from tests.support.handlers import nothing
from workkit import HistoryOptions, Job, Tasks
from workkit.core.entropy import Entropy
from workkit.core.parents import parent_member
from workkit.core.probes import Incoming, Where
from workkit.simulation import SimulatedPool, Simulation
from workkit.store.calls import ask

__all__ = [
    "BEFORE_CHANGE",
    "asked",
    "competing",
    "dated",
    "deaf",
    "deploys",
    "fenced",
    "lasting_cron",
    "many_pools",
    "nested",
    "trimmed",
    "typed",
]


def deaf(sim: Simulation) -> None:
    """Handlers with timeouts; some do not stop when they are interrupted, and are given up."""

    def hears(job: Job) -> None:
        sim.sleep(job.arg_int("n") % 5)

    async def awaits(job: Job) -> None:
        await asyncio.sleep(job.arg_int("n") % 5)

    def hears_nothing(job: Job) -> None:
        sim.sleep(1 + 2 * (job.arg_int("n") % 7), interruptible=False)

    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("hears", hears, timeout=2.5, max_fails=2, backoff=lambda job: 4)
        pool.job("awaits", awaits, timeout=2, max_fails=2, backoff=lambda job: 3)
        pool.job("deaf", hears_nothing, timeout=3, max_fails=2, backoff=lambda job: 6)
        pool.job("dropped", hears_nothing, timeout=2, max_fails=1, skip_dead=True)
    for n in range(90):
        name = ("hears", "deaf", "dropped", "awaits")[n % 4]
        sim.at(1.4 * n, sim.enqueuer.enqueue, name, {"n": n})
    for at_s in range(5, 300, 5):
        sim.at(at_s, start_ended, sim)


def competing(sim: Simulation) -> None:
    """Queues of different priorities that all have many jobs; one gets them later."""
    priorities = {"low": 1, "middle": 3, "high": 9}
    for _ in range(2):
        pool = sim.pool(concurrency=2)
        for name, priority in priorities.items():
            pool.job(name, nothing, takes=(0.2, 1.5), priority=priority)
        pool.job("later", nothing, takes=(0.2, 1.5), priority=6)
    sim.at(30, sim.enqueuer.enqueue_many, [("later", {"n": n}) for n in range(160)])
    for name, priority in priorities.items():
        jobs = [(name, {"n": n}) for n in range(40 + 40 * priority)]
        sim.at(1, sim.enqueuer.enqueue_many, jobs)


def asked(sim: Simulation) -> None:
    """Somebody asks again and again where the handlers of running jobs are."""

    async def awaits(job: Job) -> None:
        await asyncio.sleep(job.arg_int("n") % 25)

    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("work", nothing, takes=(1, 30))
        pool.job("awaits", awaits)
    for n in range(60):
        sim.at(2 * n, sim.enqueuer.enqueue, "work" if n % 3 else "awaits", {"n": n})
        sim.at(5 + 2.7 * n, _ask_where, sim, n)


def _ask_where(sim: Simulation, turn: int) -> None:
    """Ask a pool for the stack of a job that its workers are said to run, or of none."""
    for pool in sim.client.worker_pool_heartbeats():
        for each in sim.client.worker_observations(pool.worker_ids):
            if each.is_busy and (turn + each.started_at) % 2:
                trip = ask.ask(sim.keys, pool.worker_pool_id, each.job_id)
                sim.server.execute(list(trip.commands))


class _Names:
    """A probe that names the parent of each job, as tracing does."""

    def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> _NamesSend:
        return _NamesSend()

    def runs(self, job: Incoming) -> None:
        """Watch no handler."""


class _NamesSend:
    def members(self, at: int) -> dict[str, str]:
        return parent_member()

    def ended(self, error: BaseException | None, *, accepted: bool) -> None:
        """Do nothing."""


def nested(sim: Simulation) -> None:
    """Handlers enqueue jobs, at once and for later. One of three pools is not traced."""

    def child(job: Job) -> None:
        if job.arg_int("n") % 3 == 0 and not job.fails:
            raise ValueError("once")

    def parent(job: Job) -> None:
        sim.enqueuer.enqueue("child", {"n": job.arg_int("n")})
        sim.enqueuer.enqueue_unique_in("child", 3, {"n": job.arg_int("n") % 4})
        sim.sleep(0.5)

    sim.enqueuer.probes = (_Names(),)
    for is_traced in (True, True, False):
        pool = sim.pool(concurrency=2)
        pool.job("child", child, takes=(0.1, 2), backoff=lambda job: 4)
        pool.job("parent", parent)
        if is_traced:
            pool.probes = (_Names(),)
    for n in range(60):
        sim.at(1.5 * n, sim.enqueuer.enqueue, "parent", {"n": n})


def deploys(sim: Simulation) -> None:
    """Pools that are stopped and started again, one after the other, while jobs wait and run."""

    def work(job: Job) -> None:
        sim.sleep(job.arg_int("n") % 9)

    for _ in range(3):
        pool = sim.pool(concurrency=3)
        pool.job("work", work)
        pool.job("limited", nothing, takes=(1, 6), max_concurrency=2)
        pool.job("tick", nothing, takes=(0, 3))
        pool.periodically_enqueue("@every 15s", "tick")
    for n in range(120):
        sim.at(1.3 * n, sim.enqueuer.enqueue, "work" if n % 3 else "limited", {"n": n})
    for turn in range(4):
        for at, pool in enumerate(sim.pools):
            sim.at(20 + 40 * turn + 6 * at, _replace, sim, pool, (2.0, 5.0, None, 0.0)[turn])


def _replace(sim: Simulation, pool: SimulatedPool, timeout_s: float | None) -> None:
    """Stop a pool, and start it again once it has stopped."""
    sim.deploy(pool, timeout=timeout_s, restart_after=3)


def lasting_cron(sim: Simulation) -> None:
    """Cron jobs that run for longer than the time between two slots, and some that fail."""

    def lasting(job: Job) -> None:
        job.checkin("begun")
        sim.sleep(9)
        job.checkin("half way")

    def fails_once(job: Job) -> None:
        sim.sleep(1)
        if not job.fails:
            raise ValueError("not yet")

    for _ in range(3):
        pool = sim.pool(concurrency=4)
        pool.job("lasting", lasting, takes=(15, 40))
        pool.job("failing", fails_once, max_fails=3, backoff=lambda job: 7)
        pool.periodically_enqueue("@every 20s", "lasting")
        pool.periodically_enqueue("@every 30s", "failing")


#: When clocks in Berlin change, and a few minutes before.
_CHANGE: Final = datetime.datetime(2027, 3, 28, 1, tzinfo=datetime.UTC)
BEFORE_CHANGE: Final = _CHANGE - datetime.timedelta(minutes=3)
#: Specs that use the fields of a date in every way, in zones with and without a change.
_DATED: Final = {
    "seconds": "CRON_TZ=UTC */10 * * * * *",
    "berlin": "CRON_TZ=Europe/Berlin 5,40 */2 1-3 * * *",
    "skipped": "CRON_TZ=Europe/Berlin 20/30 2-59/3 2 * * *",
    "kolkata": "CRON_TZ=Asia/Kolkata 15 25-40 6 */3 1-6 *",
    "either": "CRON_TZ=America/New_York 30 * 20,21 13 * 6",
}  # fmt: skip


def dated(sim: Simulation) -> None:
    """Pools with cron entries by the calendar are away while clocks change in one of the zones."""
    entropy = Entropy(f"{sim.seed}/dated")
    for _ in range(2):
        pool = sim.pool(concurrency=3)
        for name, spec in _DATED.items():
            pool.job(name, nothing, takes=(0, 1))
            pool.periodically_enqueue(spec, name, catch_up_s=100)
    away_s = entropy.uniform(260, 300)
    at_s = entropy.uniform(60, 120)
    for pool in sim.pools:
        sim.at(at_s, sim.deploy, pool, timeout=2.0, restart_after=away_s)


def typed(sim: Simulation) -> None:
    """Pools of two versions of typed tasks, which publish their signatures."""

    def resize(sizes: list[int], *, name: str = "") -> None:
        sim.sleep(len(sizes))

    def resize_either(sizes: list[int] | str) -> None:
        sim.sleep(len(sizes))

    for number in range(3):
        tasks = Tasks()
        if number == 1:
            tasks.task(resize_either, name="resize")
        else:
            tasks.task(resize)
        pool = sim.pool(concurrency=2, tasks=tasks)
        if number:
            sim.at(40 * number, sim.deploy, pool, timeout=2.0, restart_after=70)
    for n in range(60):
        sim.at(2.5 * n, sim.enqueuer.enqueue, "resize", {"sizes": list(range(n % 4))})
    for at_s in (30, 65, 100):
        sim.at(at_s, _evict_signatures, sim)


def _evict_signatures(sim: Simulation) -> None:
    """Delete what pools have published, as a server without memory does."""
    for pool in sim.pools:
        digest = sim.server.read(("HGET", sim.keys.pool(pool.pool_id), "signatures"))
        if digest is not None:
            sim.server.execute([("DEL", sim.keys.signatures(digest.decode()))])


def many_pools(sim: Simulation) -> None:
    """So many pools that each watches only some of the others."""
    for _ in range(11):
        sim.pool(concurrency=1).job("work", nothing, takes=(10, 30))
    for n in range(60):
        sim.at(2.5 * n, sim.enqueuer.enqueue, "work", {"n": n})


def fenced(sim: Simulation) -> None:
    """Pools that freeze while they run long jobs, so that other pools take these."""

    async def endless(job: Job) -> None:
        await asyncio.sleep(3_600)

    for _ in range(2):
        pool = sim.pool(concurrency=4)
        pool.job("endless", endless, timeout=30, max_fails=1)
        pool.job("limited", nothing, takes=(25, 50), max_concurrency=2)
    for n in range(40):
        sim.at(4 * n, sim.enqueuer.enqueue, "limited" if n % 3 else "endless", {"n": n})


def trimmed(sim: Simulation) -> None:
    """History that is trimmed: by number, by size or by age."""
    bounds = (
        HistoryOptions(max_records=40),
        HistoryOptions(max_mb=0.02),
        HistoryOptions(max_age_s=70),
    )
    options = bounds[Entropy(f"{sim.seed}/bounds").below(len(bounds))]
    for _ in range(2):
        sim.pool(concurrency=4, history=options).job("work", nothing, takes=(0, 1))
    for n in range(260):
        sim.at(1.2 * n, sim.enqueuer.enqueue, "work", {"n": n})
    for n in range(8):  # entries of many records, with small ones after them
        sim.at(40 * n + 7, sim.enqueuer.enqueue_many, [("work", {"n": n})] * 24)
