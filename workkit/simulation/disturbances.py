"""Records which pools have faults and until when, for rules about what happens without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workkit.engine.spec import PoolSpec
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.world import World
from workkit.simulation.pool import SimulatedPool

__all__ = ["AFTER_STEP_S", "UNANSWERED_S", "Disturbances"]

#: A caller waits this long for a reply that never comes, seconds.
UNANSWERED_S: Final = 5.0
#: A pool compares its clock with the server's this often, at least, seconds.
AFTER_STEP_S: Final = 40.0
#: Kinds of faults that disturb no pool: it stops by itself, or has only more to do.
_HARMLESS: Final = frozenset({"stop", "orphan"})


class Disturbances:
    """The faults of pools and of Redis, with the times at which their effects end.

    Args:
        world: The virtual clock.
        network: Knows how slow lines without faults are.
        pools: The pools; more may be added.
    """

    def __init__(self, world: World, network: Network, pools: Sequence[SimulatedPool]) -> None:
        self._world = world
        self._network = network
        self._pools = pools
        self._until_us: dict[str, int] = {}
        self._kinds: dict[str, int] = {}
        self._answers_us = 0

    def strike(self, where: str, for_s: float = 0.0, kind: str = "", after_s: float = 0.0) -> None:
        """Record a fault.

        Args:
            where: The name of a pool; "" for Redis, and so for all pools.
            for_s: How long it lasts from now on, seconds.
            kind: Its kind; "" if it is none. Some kinds disturb nobody.
            after_s: How long its effects may last after its end, seconds.
        """
        ends_us = self._world.now_us + round(for_s * 1_000_000)
        until_us = ends_us + round(after_s * 1_000_000)
        if kind:
            self._kinds[kind] = max(self._kinds.get(kind, 0), until_us)
        if kind in _HARMLESS:
            return
        if kind and not where:
            self._answers_us = max(self._answers_us, ends_us)
        self._until_us[where] = max(self._until_us.get(where, 0), until_us)

    def running(self) -> Sequence[str]:
        """Return the names of the pools that run and were not asked to stop."""
        return [pool.name for pool in self._pools if pool.running and not pool.asked_to_stop]

    def undisturbed_s(self, pool: str) -> float:
        """Return for how long a pool has run without a fault and Redis has answered, seconds."""
        redis_s = max(self._world.now_us - self._until_us.get("", 0), 0) / 1_000_000
        return min(self.healthy_s(pool), redis_s)

    def healthy_s(self, pool: str) -> float:
        """Return for how long a pool has run without a fault of its own, seconds."""
        for each in self._pools:
            if each.name == pool:
                if not each.running:
                    return 0.0
                since_us = max(each.started_us, self._until_us.get(pool, 0))
                return max(self._world.now_us - since_us, 0) / 1_000_000
        return 0.0

    def answering_s(self) -> float:
        """Return for how long Redis has answered and kept its data, seconds."""
        return max(self._world.now_us - self._answers_us, 0) / 1_000_000

    def runs_s(self, pool: str) -> float:
        """Return for how long the process of a pool has run, seconds; 0 if none runs."""
        found = next(each for each in self._pools if each.name == pool)
        return (self._world.now_us - found.started_us) / 1_000_000 if found.running else 0.0

    def spec(self, pool: str) -> PoolSpec:
        """Return the handlers and the options of a pool."""
        return next(each for each in self._pools if each.name == pool).spec

    def phases(self) -> tuple[str, ...]:
        """Return the phases of all pools: "up", "stopping" or "down"; sorted."""
        return tuple(
            sorted(
                "down" if not pool.running else "stopping" if pool.asked_to_stop else "up"
                for pool in self._pools
            )
        )

    def faults(self) -> tuple[str, ...]:
        """Return the kinds of the faults that are under way; sorted."""
        now_us = self._world.now_us
        return tuple(sorted(kind for kind, until_us in self._kinds.items() if until_us > now_us))

    def slowness_s(self) -> float:
        """Return the most that a request takes on a line without faults, seconds for one way."""
        return self._network.latency[1] if self._network.latency else 0.0
