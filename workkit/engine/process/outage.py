"""Backs off while Redis does not answer: longer waits each time, one log line."""

from __future__ import annotations

import logging
from typing import Final

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy

__all__ = ["Outage"]

_log = logging.getLogger("workkit")

_FIRST_S: Final = 0.05
#: A pool works again within 2 s of the server's return: one wait, one connection, one claim.
_LAST_S: Final = 1.0


class Outage:
    """The state of one loop's connection to Redis.

    Args:
        who: The loop's name in the log.
        clock: Measures the outage.
        entropy: For the jitter, so that pools do not reconnect at the same time.
    """

    def __init__(self, who: str, clock: Clock, entropy: Entropy) -> None:
        self._who = who
        self._clock = clock
        self._entropy = entropy
        self._failures = 0
        self._since_s = 0.0

    @property
    def lasting(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def failed(self, error: Exception) -> float:
        """Record a failure; log the first in a row.

        Returns:
            Seconds to wait: 100 ms, doubled after each failure up to 1 s. Jitter takes up to half.
        """
        if not self._failures:
            self._since_s = self._clock.read().monotonic_s
            _log.warning("%s: %s; trying again until it works", self._who, error)
        self._failures += 1
        ceiling = min(_LAST_S, _FIRST_S * 2 ** min(self._failures, 10))
        return self._entropy.uniform(ceiling / 2, ceiling)

    def over(self) -> None:
        """Record a success; log the first after failures."""
        if self._failures:
            lasted_s = self._clock.read().monotonic_s - self._since_s
            _log.warning(
                "%s: Redis answers again after %.1f s (%d attempts)",
                self._who, lasted_s, self._failures,
            )  # fmt: skip
            self._failures = 0
