"""What checkers may know of the pools' processes and of faults, beside the contents of Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workkit.engine.spec import PoolSpec

__all__ = ["Conditions"]


class Conditions(Protocol):
    """The processes of the pools, and the faults that strike them."""

    def running(self) -> Sequence[str]:
        """Return the names of the pools that run and were not asked to stop."""
        ...

    def undisturbed_s(self, pool: str) -> float:
        """Return for how long a pool has run without a fault and Redis has answered, seconds.

        The effects of a fault count: a caller may still wait for a reply that was lost. 0 for a
        pool that does not run.
        """
        ...

    def healthy_s(self, pool: str) -> float:
        """Return for how long a pool has run without a fault of its own, seconds.

        Faults of Redis do not count. 0 for a pool that does not run.
        """
        ...

    def answering_s(self) -> float:
        """Return for how long Redis has answered and kept its data, seconds; 0 if it does not."""
        ...

    def runs_s(self, pool: str) -> float:
        """Return for how long the process of a pool has run, seconds; 0 if none runs."""
        ...

    def spec(self, pool: str) -> PoolSpec:
        """Return the handlers and the options of a pool."""
        ...

    def phases(self) -> tuple[str, ...]:
        """Return the phases of all pools: "up", "stopping" or "down"; sorted."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Return the kinds of the faults that are under way; sorted."""
        ...

    def slowness_s(self) -> float:
        """Return the most that a request takes on a line without faults, seconds for one way."""
        ...
