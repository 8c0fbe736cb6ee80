"""Worlds in which pools compete, wait, and lose what they hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tests.simulation import go_peer
from tests.simulation.mishaps import before_next
from tests.support.handlers import nothing
from workkit import Job
from workkit.core.entropy import Entropy
from workkit.simulation import SimulatedPool, Simulation

__all__ = [
    "crowded",
    "expel_often",
    "expelled",
    "forget_fence",
    "ghosts",
    "host_dies",
    "keyed",
    "late_slots",
    "lonely",
    "long_ago",
    "long_runs",
    "narrow",
    "outages",
    "start_ended",
    "stopped",
    "stuck",
    "suspects",
    "taken",
    "undeclared",
    "untold",
    "watches_end",
]


def crowded(sim: Simulation) -> None:
    """Bursts of very short jobs, with long ones among them, beside a queue with a limit.

    A pool is stopped while it holds short jobs behind long ones.
    """
    entropy = Entropy(f"{sim.seed}/crowded")
    for _ in range(2):
        pool = sim.pool(concurrency=4)
        pool.job("short", nothing, takes=(0.002, 0.008))
        pool.job("limited", nothing, takes=(0.002, 0.008), max_concurrency=3)
        pool.job("long", nothing, takes=(3, 6))
    for at_s in range(2, 100, 14):
        mixed = [("limited" if n % 4 == 3 else "short", {"n": n}) for n in range(160)]
        sim.at(at_s, sim.enqueuer.enqueue_many, mixed)
        blocking = [("short", {"n": n}) for n in range(120)]
        blocking[60:60] = [("long", {"n": n}) for n in range(8)]
        sim.at(at_s + 7, sim.enqueuer.enqueue_many, blocking)
        stops_s = at_s + 7 + entropy.uniform(0.02, 0.3)
        sim.at(stops_s, sim.deploy, sim.pools[at_s // 14 % 2], timeout=8, restart_after=1)


def narrow(sim: Simulation) -> None:
    """Large jobs behind a server that closes connections with large replies."""
    sim.network.closes_at_bytes = 60_000
    for _ in range(2):
        sim.pool(concurrency=8).job("work", nothing, takes=(0.5, 3))
    large = [("work", {"x": "x" * 20_000}) for _ in range(16)]
    for n in range(8):
        sim.at(10 * n, sim.enqueuer.enqueue_many, large)


def taken(sim: Simulation) -> None:
    """A Go pool with a wrong clock takes single jobs from pools that live and run them."""
    for _ in range(2):
        pool = sim.pool(concurrency=6)
        pool.job("work", _fails_at_times, takes=0.5, max_fails=3, backoff=lambda job: 5)
    for n in range(40):
        jobs = [("work", {"n": n}) for _ in range(24)]
        sim.at(4 * n, sim.enqueuer.enqueue_many, jobs)
        for pool in sim.pools:
            sim.at(4 * n + 0.3, _take_one, sim, pool)


def _fails_at_times(job: Job) -> None:
    if job.arg_int("n") % 3 == 0 and not job.fails:
        raise ValueError("once")


def _take_one(sim: Simulation, pool: SimulatedPool) -> None:
    """Take a job that runs, if so many wait that its pool does not claim it again at once."""
    if sim.server.read(("LLEN", sim.keys.jobs("work"))) > 8:
        go_peer.requeue_one(sim, pool.pool_id, "work")


def untold(sim: Simulation) -> None:
    """The same; soon after that, pools lose their registration before they have told of it."""
    taken(sim)
    entropy = Entropy(f"{sim.seed}/untold")
    for n in range(40):
        for pool in sim.pools:
            if entropy.below(4) == 0:
                sim.at(4 * n + 0.3, _forget_fence_soon, sim, pool, 1 + entropy.below(3))


def _forget_fence_soon(sim: Simulation, pool: SimulatedPool, at: int) -> None:
    """Let a pool lose its fence just before its Nth exchange from now."""
    before_next(pool, "exchange", partial(forget_fence, sim, pool), at=at)


def suspects(sim: Simulation) -> None:
    """Jobs that are soon on their last recovery, beside long ones in the same pools."""
    for _ in range(2):
        pool = sim.pool(concurrency=3, max_recoveries=2)
        pool.job("long", nothing, takes=(20, 90))
        pool.job("short", nothing, takes=(1, 6))
    for n in range(60):
        sim.at(2.5 * n, sim.enqueuer.enqueue, "short" if n % 4 else "long", {"n": n})


def outages(sim: Simulation) -> None:
    """Redis is away for a long time, and jobs of all kinds wait for it."""
    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("work", nothing, takes=(0.2, 3))
        pool.job("long", nothing, takes=(20, 50))
        pool.job("tick", nothing)
        pool.periodically_enqueue("@every 20s", "tick")
    for n in range(120):
        sim.at(2 * n, sim.enqueuer.enqueue, "work" if n % 8 else "long", {"n": n})
        sim.at(2 * n + 1, sim.enqueuer.enqueue_in, "work", 5 + n % 40, {"n": n})


def stopped(sim: Simulation) -> None:
    """Pools with short jobs that are stopped and started again all the time."""
    for _ in range(2):
        pool = sim.pool(concurrency=8)
        pool.job("work", nothing, takes=(0.05, 1.5))
        pool.job("limited", nothing, takes=(0.05, 1.5), max_concurrency=6)
    for n in range(80):
        jobs = [("work" if n % 3 else "limited", {"n": at}) for at in range(20)]
        sim.at(2 * n, sim.enqueuer.enqueue_many, jobs)
    entropy = Entropy(f"{sim.seed}/stops")
    for pool in sim.pools:
        at_s = 16.0
        while at_s < 170:
            sim.at(at_s, sim.deploy, pool, timeout=entropy.uniform(0, 0.6), restart_after=1)
            at_s += entropy.uniform(14, 18)


def lonely(sim: Simulation) -> None:
    """One idle pool, far from Redis; a job is scheduled while it moves another one."""
    entropy = Entropy(f"{sim.seed}/lonely")
    sim.pool(concurrency=2).job("work", nothing)
    sim.client.pause("work")  # so that no job wakes the pool
    at_s = 5.0
    while at_s < 250:
        for _ in range(2 + entropy.below(2)):
            delay_s = entropy.uniform(0.5, 2)
            sim.at(at_s, sim.enqueuer.enqueue_in, "work", delay_s, {"at": at_s})
            at_s += delay_s + entropy.uniform(0, 1.2)
        at_s += entropy.uniform(12, 30)
    sim.at(295, sim.client.unpause, "work")


def watches_end(sim: Simulation) -> None:
    """A pool that is idle for long and then busy; jobs are scheduled while it is busy."""
    entropy = Entropy(f"{sim.seed}/watches")
    pool = sim.pool(concurrency=1)
    pool.job("long", nothing, takes=(18, 24))
    pool.job("work", nothing)
    at_s = 6.0
    while at_s < 160:
        sim.at(at_s, sim.enqueuer.enqueue, "long", {"at": at_s})
        sim.at(at_s + 0.2, sim.enqueuer.enqueue_in, "work", entropy.uniform(2, 5), {"at": at_s})
        later_s = at_s + entropy.uniform(6, 9)  # when no other job is due
        sim.at(later_s, sim.enqueuer.enqueue_in, "work", entropy.uniform(1, 3), {"at": later_s})
        at_s += entropy.uniform(30, 40)


def host_dies(sim: Simulation) -> None:
    """A large fleet, most of which dies at once with its host, again and again."""
    entropy = Entropy(f"{sim.seed}/host")
    pools = [sim.pool(concurrency=1) for _ in range(26)]
    for pool in pools:
        pool.job("work", nothing, takes=(10, 60))
    for at_s in (20.0, 110.0):
        sim.at(at_s - 10, sim.enqueuer.enqueue_many, [("work", {"n": n}) for n in range(40)])
        dies_s = at_s + entropy.uniform(0, 10)
        lives = {entropy.below(len(pools)) for _ in range(2)}
        for number, pool in enumerate(pools):
            if number not in lives:
                sim.at(dies_s + entropy.uniform(0, 0.05), sim.crash, pool, restart_after=45)


def late_slots(sim: Simulation) -> None:
    """Slots that wait in their queues for minutes, of entries that catch up more or less."""
    entropy = Entropy(f"{sim.seed}/late")
    for _ in range(2):
        pool = sim.pool(concurrency=2)
        for name, catch_up_s in (("never", 0), ("soon", 90), ("always", 3_600)):
            pool.job(name, nothing, takes=(0, 1))
            pool.periodically_enqueue("@every 20s", name, catch_up_s=catch_up_s)
    for name in ("never", "soon", "always"):
        at_s = entropy.uniform(10, 40)
        sim.at(at_s, sim.client.pause, name)
        sim.at(at_s + entropy.uniform(50, 130), sim.client.unpause, name)


def long_ago(sim: Simulation) -> None:
    """Unique jobs and cron jobs, whose pools may freeze between the claim and the start."""
    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("unique", nothing, takes=(0.5, 4))
        pool.job("tick", nothing, takes=(0, 2))
        pool.periodically_enqueue("@every 6s", "tick")
    for n in range(120):
        sim.at(1.4 * n, sim.enqueuer.enqueue_unique, "unique", {"n": n % 50})


def long_runs(sim: Simulation) -> None:
    """Jobs that check in and go on for long, on many workers; Redis loses writes twice."""
    entropy = Entropy(f"{sim.seed}/long runs")

    def work(job: Job) -> None:
        job.checkin("begun")
        sim.sleep(job.arg_int("first_s"))
        job.checkin("goes on")
        sim.sleep(job.arg_int("then_s"))

    for _ in range(2):
        sim.pool(concurrency=20).job("work", work)
    for n in range(50):
        args = {"first_s": entropy.below(10), "then_s": entropy.below(2) * entropy.below(150)}
        sim.at(3 * n, sim.enqueuer.enqueue, "work", args)
    for begins_s in (20, 130):
        sim.at(entropy.uniform(begins_s, begins_s + 30), sim.lose_writes, entropy.uniform(3, 9))


def ghosts(sim: Simulation) -> None:
    """Pools that freeze while all their workers run long jobs, so that others take these."""
    for _ in range(2):
        pool = sim.pool(concurrency=2)
        pool.job("long", nothing, takes=(30, 70))
    for n in range(60):
        sim.at(3 * n, sim.enqueuer.enqueue, "long", {"n": n})
    entropy = Entropy(f"{sim.seed}/ghosts")
    for n, at_s in enumerate(range(15, 170, 50)):
        sim.at(at_s, sim.freeze, sim.pools[n % 2], entropy.uniform(15, 20))


def stuck(sim: Simulation) -> None:
    """Handlers that never stop, until their pool has no worker left and ends."""

    def blocks(job: Job) -> None:
        sim.sleep(1 + 200 * (job.arg_int("n") % 3 == 0), interruptible=False)

    for _ in range(2):
        pool = sim.pool(concurrency=2)
        pool.job("blocks", blocks, timeout=2, max_fails=2, backoff=lambda job: 8)
    for n in range(50):
        sim.at(3 * n, sim.enqueuer.enqueue, "blocks", {"n": n})
    for at_s in range(5, 300, 5):
        sim.at(at_s, start_ended, sim)


def start_ended(sim: Simulation) -> None:
    """Start pools again that have ended by themselves."""
    for pool in sim.pools:
        if not pool.running and sim.trace.of(kind="pool")[-1].detail["does"] == "end":
            sim.restart(pool)


def expelled(sim: Simulation) -> None:
    """Pools that lose their registration, and with it their fence, while they have jobs."""
    expel_often(sim, forget_fence)


def expel_often(sim: Simulation, expel: Callable[[Simulation, SimulatedPool], None]) -> None:
    """Expel two busy pools in turn, in some way."""
    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("work", _fails_twice, takes=(0.2, 4), max_fails=3, backoff=lambda job: 5)
    for n in range(120):
        sim.at(1.3 * n, sim.enqueuer.enqueue, "work", {"n": n})
    for n, at_s in enumerate(range(15, 170, 20)):
        sim.at(at_s, expel, sim, sim.pools[n % 2])


def _fails_twice(job: Job) -> None:
    if job.arg_int("n") % 4 and job.fails < 2:
        raise ValueError("not yet")


def forget_fence(sim: Simulation, pool: SimulatedPool) -> None:
    """Let a pool lose its fence, so that it is not registered any more."""
    sim.server.execute([("HDEL", sim.keys.pool(pool.pool_id), "fence")])


#: The args and `catch_up_s` of the entries of `undeclared`, by name.
_ENTRIES: Final[dict[str, tuple[int, int]]] = {
    "never": (35, 0), "soon": (50, 60), "always": (20, 3_600),
}  # fmt: skip


def undeclared(sim: Simulation) -> None:
    """Cron entries that no pool declares for a while: a deploy, an outage, a night without pools.

    After a pool without the entries has taken slots back, the entries come back.
    """

    def tick(job: Job) -> None:
        assert job.args == {"n": _ENTRIES[job.name][0], "list": []}

    entropy = Entropy(f"{sim.seed}/undeclared")
    for declares in (True, False):
        pool = sim.pool(concurrency=3)
        for name, (every_s, catch_up_s) in _ENTRIES.items():
            pool.job(name, tick, takes=(0, 90) if name == "never" else (0, 1))
            if declares:
                args = {"n": every_s, "list": []}
                pool.periodically_enqueue(f"@every {every_s}s", name, args, catch_up_s=catch_up_s)
    declaring, _ = sim.pools
    at_s = entropy.uniform(20, 50)
    away_s = entropy.uniform(120, 220)
    sim.at(at_s, sim.deploy, declaring, timeout=1.0, restart_after=away_s)
    at_s += away_s + entropy.uniform(60, 100)
    sim.at(at_s, sim.stop_redis, entropy.uniform(95, 170))
    at_s = max(at_s + 170, 460) + entropy.uniform(30, 60)
    away_s = entropy.uniform(245, 330)
    for pool in sim.pools:
        sim.at(at_s, sim.crash, pool)
        sim.at(at_s + away_s + entropy.uniform(0, 3), sim.restart, pool)


def keyed(sim: Simulation) -> None:
    """Jobs that keep their keys until they are done: they fail, and they die with their pools."""

    def work(job: Job) -> None:
        kind = job.arg_int("k") % 3
        if kind == 0 or (kind == 1 and not job.fails):
            raise ValueError("not yet")

    for _ in range(2):
        pool = sim.pool(concurrency=3, max_recoveries=1)
        pool.job("work", work, takes=(0.2, 9), max_fails=3, backoff=lambda job: 6)
        pool.job("plain", nothing)
    for n in range(90):
        key = {"k": n % 7}
        sim.at(1.7 * n, _enqueue_by, sim, n % 4, key, n)


def _enqueue_by(sim: Simulation, how: int, key: dict[str, int], n: int) -> None:
    enqueuer = sim.enqueuer
    if how == 0:
        enqueuer.enqueue_unique("work", key, until="done")
    elif how == 1:
        enqueuer.enqueue_unique_in("work", n % 6 + 0.4, key, until="done")
    elif how == 2:
        enqueuer.enqueue_unique_by_key("work", {**key, "n": n}, key)
    else:
        enqueuer.enqueue_in("plain", n % 9 + 0.3, {"n": n})
