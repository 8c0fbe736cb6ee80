"""Postpones duties that would find nothing to do while nothing goes wrong.

In a calm world a heartbeat only repeats the last one, the reaper only finds every pool alive, and
the observer has nothing to write before a handler starts. Such turns are postponed. They run at
once when something changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workkit.core.clock import Instant
from workkit.engine.duties.duty import Duty
from workkit.store.round_trip import Step

__all__ = ["POSTPONED_BRIEFLY_S", "POSTPONED_S", "PostponableDuty"]

#: The longest postponement, seconds. A reaper that has not looked for this long starts its watch
#: again, so it does not reap a pool whose heartbeats were postponed.
POSTPONED_S: Final = 600.0
#: The longest postponement of duties whose writes expire after 90 s, seconds: they say which pool
#: declares which cron entry.
POSTPONED_BRIEFLY_S: Final = 60.0


class PostponableDuty:
    """A duty whose next turn may be postponed.

    Args:
        postpone: Maps the delay that the duty asks for to the delay that it gets, seconds.
    """

    def __init__(self, duty: Duty, postpone: Callable[[float], float]) -> None:
        self.name = duty.name
        self._duty = duty
        self._postpone = postpone

    def step(self, now: Instant) -> Step[float]:
        """Run the duty once."""
        delay_s = yield from self._duty.step(now)
        return self._postpone(delay_s)
