"""The checker of how a pool shares its workers among its queues."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.chance import Tally
from workkit.simulation.checkers.moves import RedisChange

__all__ = ["SharesFollowPriorities"]

#: A pool needs this long to work after a fault or a start, seconds.
_RECOVERS_S: Final = 10.0
#: A queue counts in a draw if it has had this many jobs for this long, seconds.
_MANY: Final = 12
_LONG_S: Final = 2.0


class SharesFollowPriorities(Checker):
    """Among queues that all have many jobs, a pool claims from each in proportion to its priority.

    Claims are counted while a pool has no fault and at least two of its queues have had many jobs
    for a while. Queues with a limit do not count. A share is wrong if it differs from what is
    expected by six standard deviations, in one world or in all that were played.
    """

    rule = "shares follow priorities"

    def __init__(self) -> None:
        self._many_since: dict[str, float] = {}
        self._claims: dict[tuple[str, str], Tally] = {}  # pool, queue -> claims from the queue

    def changed(self, change: RedisChange) -> None:
        """Record which queues have many jobs, and count claims."""
        scene = self.scene
        if change.command == "exchange" and change.moves:
            self._count(change)
        for key, (_, after) in change.lists.items():
            queue = scene.keys.parse_jobs(key)
            if queue is not None:
                if len(after) >= _MANY:
                    self._many_since.setdefault(queue, scene.now_s())
                else:
                    self._many_since.pop(queue, None)

    def _count(self, change: RedisChange) -> None:
        scene, pool = self.scene, change.pool
        claimed = Counter(
            move.after.place.queue
            for move in change.moves
            if move.was_claimed and move.after is not None
        )
        if not claimed or scene.conditions.undisturbed_s(pool) < _RECOVERS_S:
            return
        weights = self._weights(pool, claimed)
        total, count = sum(weights.values()), sum(claimed.values())
        for name, weight in weights.items():
            share = weight / total
            new = Tally(count, claimed[name], count * share, count * share * (1 - share))
            tally = self._claims.get((pool, name), Tally()).plus(new)
            self._claims[pool, name] = tally
            if tally.is_wrong:
                self.violated(
                    f"{pool} claims {tally.seen / tally.draws:.0%} of its jobs from {name!r}, its "
                    f"priority says {tally.expected / tally.draws:.0%}"
                )

    def _weights(self, pool: str, claimed: Mapping[str, int]) -> dict[str, int]:
        """Return the priorities of the queues with jobs; none if they cannot be compared."""
        scene = self.scene
        registered = scene.conditions.spec(pool).registrations
        weights = {
            name: each.options.priority
            for name, each in registered.items()
            if scene.read("EXISTS", scene.keys.jobs(name)) or name in claimed
        }
        if len(weights) < 2:  # noqa: PLR2004 - nothing to share
            return {}
        if any(registered[name].options.max_concurrency for name in weights):
            return {}
        ready = all(
            scene.now_s() - self._many_since.get(name, math.inf) > _LONG_S
            and not scene.is_paused(name)
            for name in weights
        )
        return weights if ready else {}

    def tallies(self) -> dict[str, Tally]:
        """Return the claims from each queue, of all pools."""
        found: dict[str, Tally] = {}
        for (_, name), tally in self._claims.items():
            subject = f"the share of {name!r}"
            found[subject] = found.get(subject, Tally()).plus(tally)
        return found

    def wiped(self) -> None:
        """Forget which queues have jobs."""
        self._many_since.clear()
