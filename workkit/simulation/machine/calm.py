"""Jumping over turns that would find nothing, while nothing is about to go wrong.

In a calm world a heartbeat only repeats the last one, a reaper only sees that everybody is alive,
and an observer has nothing to write before a handler starts. Their next turns are put off, and
brought forward again as soon as that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workkit.core.clock import Instant
from workkit.engine.duties.duty import Duty
from workkit.store.round_trip import Step

__all__ = ["DOZE_S", "NAP_S", "Dozing"]

#: How long turns are put off at most, seconds. A reaper that has not looked for so long starts to
#: watch afresh, so that it takes nobody for dead whose heartbeats were put off.
DOZE_S: Final = 600.0
#: The same for duties whose word is good for a minute and a half: who declares which cron entry.
NAP_S: Final = 60.0


class Dozing:
    """A duty whose next turn may be put off.

    Args:
        duty: The duty.
        doze: Takes the delay that the duty wants, in seconds, and returns one.
    """

    def __init__(self, duty: Duty, doze: Callable[[float], float]) -> None:
        self.name = duty.name
        self._duty = duty
        self._doze = doze

    def step(self, now: Instant) -> Step[float]:
        """Do what is due."""
        delay_s = yield from self._duty.step(now)
        return self._doze(delay_s)
