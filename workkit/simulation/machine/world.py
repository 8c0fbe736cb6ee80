"""Virtual time: a queue of events, ordered by time and then by when they were added."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias

from workkit.core.clock import Instant
from workkit.core.entropy import Entropy

__all__ = ["HostClock", "Timer", "World", "microseconds"]

#: An event: its time (microseconds), its number, its action (None: cancelled), its arguments.
Timer: TypeAlias = list[Any]

_NEVER: Final = 2**62
#: For how long machines have been up when a world begins, seconds.
_UP_FOR_S: Final = 1_000
#: Longer than any simulation, seconds.
_LONG_S: Final = 1e12


def microseconds(seconds: float) -> int:
    """Convert seconds to whole microseconds; infinity becomes a time that no simulation reaches."""
    return round(seconds * 1_000_000) if seconds < _LONG_S else _NEVER


class World:
    """The queue of events and the time of the last one.

    Args:
        start_s: When the world begins, epoch seconds.

    Attributes:
        now_us: Microseconds since the world began.
        start_ms: When it began, epoch milliseconds.
        steps: How many events have happened.
        chance: Random bytes for the code of handlers.
        allowed: The kinds of real things that handlers may do; see `refusing.KINDS`.
        refused: The first real thing that a handler was refused and nobody has raised yet.
    """

    def __init__(self, start_s: float) -> None:
        self.start_ms = round(start_s * 1000)
        self.now_us = 0
        self.steps = 0
        self.chance = Entropy("handlers")
        self.allowed: AbstractSet[str] = frozenset()
        self.refused: Exception | None = None
        self._queue: list[Timer] = []
        self._next_number = 0
        self._current: Timer = []

    def after(self, delay_us: int, action: Callable[..., object], *args: Any) -> Timer:
        """Call an action after a delay; actions that are due at the same time keep their order."""
        self._next_number += 1
        at_us = self.now_us + delay_us if delay_us > 0 else self.now_us
        timer: Timer = [at_us, self._next_number, action, args]
        heapq.heappush(self._queue, timer)
        return timer

    def at(self, at_us: int, action: Callable[..., object], *args: Any) -> Timer:
        """Call an action at a time, microseconds since the world began."""
        return self.after(at_us - self.now_us, action, *args)

    def put_off(self, until_us: int) -> None:
        """Run the current event again later instead of now; it can still be cancelled."""
        timer = self._current
        self._next_number += 1
        timer[0], timer[1] = until_us, self._next_number
        heapq.heappush(self._queue, timer)

    @staticmethod
    def cancel(timer: Timer) -> None:
        """Cancel an event."""
        timer[2] = None

    def step(self, until_us: int) -> bool:
        """Run the next event if it is due by a time.

        Returns:
            Whether there was one.
        """
        queue = self._queue
        while queue:
            timer = queue[0]
            if timer[2] is not None and timer[0] > until_us:
                return False
            heapq.heappop(queue)
            action = timer[2]
            if action is None:
                continue
            self.now_us = max(self.now_us, timer[0])
            self.steps += 1
            self._current = timer
            action(*timer[3])
            return True
        return False


class HostClock:
    """The clocks of one simulated host.

    Args:
        world: The virtual clock.

    Attributes:
        skew_us: How far the wall clock is ahead of the true time; the monotonic clock has no skew.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.skew_us = 0
        self._read_at = (-1, 0)
        self._instant = Instant(0, 0.0)

    def wall_ns(self) -> int:
        """Return the wall time, epoch nanoseconds."""
        return self._world.start_ms * 1_000_000 + (self._world.now_us + self.skew_us) * 1_000

    def monotonic_ns(self) -> int:
        """Return the monotonic time, nanoseconds."""
        return _UP_FOR_S * 1_000_000_000 + self._world.now_us * 1_000

    def read(self) -> Instant:
        """Read both clocks."""
        now_us = self._world.now_us
        at = (now_us, self.skew_us)
        if at != self._read_at:
            epoch_ms = self._world.start_ms + (now_us + self.skew_us) // 1000
            self._instant = Instant(epoch_ms, _UP_FOR_S + now_us / 1_000_000)
            self._read_at = at
        return self._instant
