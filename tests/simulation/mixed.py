"""Worlds in which pools of both libraries work, come and go."""

from __future__ import annotations

from typing import Final

from tests.simulation.go_peer import GoPool
from tests.simulation.go_rules import (
    GoHasRun,
    LimitsHoldInGo,
    NewerJobsKeepTheirKeys,
    OldArgsAreOver,
)
from tests.support.handlers import nothing
from workkit.core.entropy import Entropy
from workkit.simulation import Checker, Faults, SimulatedPool, Simulation
from workkit.simulation.checkers import (
    LocksAreTrue,
    NothingIsLeft,
    SlotsRun,
    TakenSlotsReturn,
    UniqueKeysHold,
    all_checkers,
)

__all__ = ["FAULTS", "TROUBLE_S", "checkers", "mixed"]

#: Clocks stay right: Go pools compare them.
FAULTS: Final = Faults(crash=30, lose=60, drop=40, freeze=15, cut=20, slow=10)
#: Long enough for an absence that is longer than what was planned before.
TROUBLE_S: Final = 480.0
_EVERY_S: Final = 20
#: Left out, since only Go pools would break these rules: Go pools begin unique jobs without a mark,
#: leave entries and zero fields, settle recovered jobs without a record, and run slots of ours;
#: `GoHasRun` takes the place of that rule.
_NOT_FOR_GO: Final = (
    UniqueKeysHold, LocksAreTrue, NothingIsLeft, SlotsRun, TakenSlotsReturn,
)  # fmt: skip


def checkers() -> list[Checker]:
    """Make the rules that hold in worlds with Go pools."""
    kept = [each for each in all_checkers() if not isinstance(each, _NOT_FOR_GO)]
    return [*kept, GoHasRun(), LimitsHoldInGo(), OldArgsAreOver(), NewerJobsKeepTheirKeys()]


def mixed(sim: Simulation) -> None:
    """Two pools of each library; ours that has the cron entry and the limit is away for a while.

    Go pools end before the world comes to rest, one of them killed.
    """
    entropy = Entropy(f"{sim.seed}/mixed")
    with_entry = _ours(sim, "with-entry")
    with_entry.job("limited", nothing, takes=(0.5, 3), max_concurrency=2)
    with_entry.periodically_enqueue(f"@every {_EVERY_S}s", "tick")
    _ours(sim, "without")
    jobs = {"plain": 1.0, "limited": 2.0, "tick": 0.5, "keyed": 4.0}
    both = [
        GoPool(sim, f"go{n}", jobs, {"limited": 2}, {_EVERY_S: "tick"} if n == 0 else {})
        for n in range(2)
    ]
    killed = entropy.uniform(0, 1) < 0.5
    ends_s = entropy.uniform(430, 460), entropy.uniform(60, 400)
    both[0].live(1, ends_s[0], killed=killed)
    both[1].live(entropy.uniform(0, 60), ends_s[1], killed=not killed)
    # Jobs by key wait now and then, so that they are updated, and newer ones wait beside those that
    # a killed pool was running.
    _succeed(sim, both[0 if killed else 1], ends_s[0 if killed else 1])
    for from_s, to_s in ((100, 115), (250, 265), *((end_s - 4, end_s + 25) for end_s in ends_s)):
        sim.at(from_s, sim.client.pause, "keyed")
        sim.at(to_s, sim.client.unpause, "keyed")
    leaves_s = entropy.uniform(30, 90)
    sim.at(leaves_s, with_entry.stop)
    away_s = entropy.uniform(270, 330) if entropy.uniform(0, 1) < 0.7 else 470 - leaves_s
    sim.at(leaves_s + away_s, sim.restart, with_entry)
    for n in range(200):
        at_s = 2.0 * n
        if n % 20 == 0:
            sim.at(at_s, sim.enqueuer.enqueue_many, [("limited", {"n": n})] * 6)
        elif n % 4 == 1:
            sim.at(at_s, sim.enqueuer.enqueue_in, "plain", 3, {"n": n})
        else:
            key = {"k": n % 5}
            sim.at(at_s, sim.enqueuer.enqueue_unique_by_key, "keyed", {"n": n}, key)


def _succeed(sim: Simulation, pool: GoPool, killed_s: float) -> None:
    """Let a Go pool that is about to be killed begin unique jobs, and send newer ones after it."""
    sim.at(killed_s - 1, pool.take, "keyed", 6)
    enqueuer = sim.enqueuer
    for n in range(2):
        args, key = {"u": n}, {"k": 10 + n}
        sim.at(killed_s - 3, enqueuer.enqueue_unique, "keyed", args)
        sim.at(killed_s - 3, enqueuer.enqueue_unique_by_key, "keyed", {"n": 1_000}, key)
        sim.at(killed_s + 1, enqueuer.enqueue_unique, "keyed", args)
        sim.at(killed_s + 1, enqueuer.enqueue_unique_in_by_key, "keyed", 4, {"n": 1_001}, key)


def _ours(sim: Simulation, name: str) -> SimulatedPool:
    pool = sim.pool(concurrency=2, name=name)
    pool.job("plain", nothing, takes=(0.1, 2))
    pool.job("tick", nothing, takes=(0, 1))
    pool.job("keyed", nothing, takes=(0.1, 5))
    return pool
