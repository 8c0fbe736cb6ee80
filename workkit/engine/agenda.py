"""When an idle pool reads the sets of due jobs again."""

from __future__ import annotations

from typing import Final

from workkit.core.clock import Instant

__all__ = ["Agenda"]

_NEVER: Final = float("-inf")


class Agenda:
    """Lets a pool read the scheduled and the retry set at most once in each second of the clock.

    Jobs come due at whole seconds. So a job that is added after a reading is due at the next whole
    second or later, and nothing is late if the pool reads again at that second. Only a job whose
    time has already passed when it is added may wait until then.
    """

    def __init__(self) -> None:
        self._again_s = _NEVER

    def read(self, now: Instant) -> None:
        """Record that the sets are read now."""
        self._again_s = now.monotonic_s + (1_000 - now.epoch_ms % 1_000) / 1_000

    def pause_s(self, now: Instant) -> float:
        """Return how long to wait before the next reading, seconds; 0 after a quiet second."""
        return max(self._again_s - now.monotonic_s, 0.0)
