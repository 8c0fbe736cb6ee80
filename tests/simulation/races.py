"""Worlds in which something happens between two commands of a pool, again and again."""

from __future__ import annotations

from tests.simulation.hardships import expel_often, forget_fence
from tests.simulation.mishaps import before_next
from tests.support.handlers import nothing
from workkit.core.entropy import Entropy
from workkit.simulation import SimulatedPool, Simulation

__all__ = ["close_calls", "twice_unheard"]


def twice_unheard(sim: Simulation) -> None:
    """Pools that are expelled after a reply was lost, and lose the reply of their next exchange."""
    expel_often(sim, _expel_unheard)


def _expel_unheard(sim: Simulation, pool: SimulatedPool) -> None:
    def expel() -> None:
        forget_fence(sim, pool)
        sim.lose_reply(pool, "exchange")

    sim.lose_reply(pool, "exchange")
    before_next(pool, "resync", expel)


def close_calls(sim: Simulation) -> None:
    """Pools that seem to be dead and are not: they freeze, or the server refuses their heartbeats.

    A heartbeat of a frozen pool arrives between the two looks of who would recover its jobs. And a
    pool that was expelled gets answers of a server that has no heartbeat of anybody.
    """
    entropy = Entropy(f"{sim.seed}/close calls")
    for _ in range(3):
        sim.pool(concurrency=3).job("work", nothing, takes=(20, 60))
    for n in range(30):
        sim.at(6 * n, sim.enqueuer.enqueue, "work", {"n": n})
    for n, at_s in enumerate(range(15, 200, 45)):
        pools = [*sim.pools[n % 3 :], *sim.pools[: n % 3]]
        sim.at(at_s, _thaw_in_time, sim, *pools)
        refused_s = entropy.uniform(14, 20)
        sim.at(at_s + 20, sim.refuse_writes, refused_s, "READONLY")
        sim.at(at_s + 19.99, forget_fence, sim, pools[0])


def _thaw_in_time(sim: Simulation, frozen: SimulatedPool, *others: SimulatedPool) -> None:
    heartbeat, at_s = sim.keys.pool(frozen.pool_id), int(sim.now_s) + 1

    def arrive() -> None:
        if sim.server.read(("EXISTS", heartbeat)):
            sim.server.execute([("HSET", heartbeat, "heartbeat_at", at_s)])

    sim.freeze(frozen, 15)
    for pool in others:
        before_next(pool, "reap", arrive)
