"""Checker: pools do not ask again and again for what they cannot have."""

from __future__ import annotations

from typing import Final

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RedisChange

__all__ = ["PoolsAskSeldom"]

#: A pool sends fewer exchanges than this within a second that move no job. Announcements of new
#: jobs make it ask up to ten times a second.
_MOST: Final = 30


class PoolsAskSeldom(Checker):
    """A pool that gets no job sends fewer than 30 exchanges a second.

    It may not ask without a pause for jobs of queues that are paused, full, empty or broken: that
    would cost as much as a pool that works.
    """

    rule = "a pool asks seldom for what it cannot have"

    def __init__(self) -> None:
        self._asked: dict[str, tuple[int, int]] = {}  # pool -> the second, exchanges in it

    def changed(self, change: RedisChange) -> None:
        """Count the exchanges of a pool between two that move jobs."""
        if change.command != "exchange" or not change.pool:
            return
        if change.moves:
            self._asked.pop(change.pool, None)
            return
        now_s = int(self.scene.now_s())
        since_s, count = self._asked.get(change.pool, (now_s, 0))
        count = count + 1 if since_s == now_s else 1
        self._asked[change.pool] = now_s, count
        if count >= _MOST:
            self.violated(f"{change.pool} has asked {count} times within a second and got nothing")
