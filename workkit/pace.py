"""How many jobs to hold in advance, from how fast they run."""

from __future__ import annotations

from typing import Final

from workkit.clock import Instant

__all__ = ["Pace"]

#: Jobs held beyond the free workers are what the pool starts within this time, seconds.
AHEAD_S: Final = 0.005
#: Jobs held beyond the free workers, at most.
MAX_AHEAD: Final = 512
#: How often jobs that wait here are looked through, seconds.
_LOOK_THROUGH_S: Final = 0.05


class Pace:
    """Measures how many jobs finish a second.

    Args:
        prefetch: Whether to hold jobs in advance at all.
    """

    def __init__(self, *, prefetch: bool) -> None:
        self._prefetch = prefetch
        self._rate = 0.0
        self._since_s = 0.0
        self._count = 0
        self._looked_through_at = 0.0

    def finished(self) -> None:
        """Count a finished job."""
        self._count += 1

    def ahead(self, now: Instant) -> int:
        """Return how many jobs to hold beyond free workers.

        The rate falls at once and rises half-way, so that a change from short jobs to long ones is
        noticed before many have been held in advance.
        """
        if not self._prefetch:
            return 0
        elapsed = now.monotonic_s - self._since_s
        if elapsed >= AHEAD_S:
            newest = self._count / elapsed
            self._rate = newest if newest < self._rate else (self._rate + newest) / 2
            self._since_s, self._count = now.monotonic_s, 0
        return min(int(self._rate * AHEAD_S), MAX_AHEAD)

    def patience_over(self, now: Instant) -> bool:
        """Tell, every so often, that it is time to look through what waits here."""
        if now.monotonic_s - self._looked_through_at < _LOOK_THROUGH_S:
            return False
        self._looked_through_at = now.monotonic_s
        return True
