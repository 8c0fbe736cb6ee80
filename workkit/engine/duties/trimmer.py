"""Deletes history that is too old."""

from __future__ import annotations

import math
from typing import Final

from workkit.core.clock import Instant
from workkit.store.calls import pages
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Trimmer"]

_EVERY_S: Final = 60.0


class Trimmer:
    """Bounds history by age; the writers of history enforce the other bounds.

    Args:
        max_age_s: The greatest age of a record, seconds.
    """

    name = "trimmer"

    def __init__(self, keys: Keys, max_age_s: float) -> None:
        self._keys = keys
        self._max_age_ms = math.ceil(max_age_s * 1_000)

    def step(self, now: Instant) -> Step[float]:
        """Delete the records that are too old."""
        yield from pages.trim_history(self._keys, max(now.epoch_ms - self._max_age_ms, 0))
        return _EVERY_S
