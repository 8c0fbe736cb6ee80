"""Uses the server's clock if this host's clock differs much from it.

A host with a wrong clock would move jobs before they are due, delay retries, and plan the cron
slots of another day. All pools read these times, so all use one clock: the server's. A pool asks
for it twice a minute and advances it by the monotonic clock in between. A difference of up to one
second is ignored.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from workkit.core.clock import Clock, Instant
from workkit.store.calls import server
from workkit.store.round_trip import Step

__all__ = ["ClockCheck", "ServerClock"]

_log = logging.getLogger("workkit")

#: Differences up to this are ignored, milliseconds.
_NEAR_MS: Final = 1_000
_EVERY_S: Final = 30.0


class ServerClock:
    """A host's clock, corrected if it differs much from the server's.

    Args:
        own: The host's clock.
    """

    def __init__(self, own: Clock) -> None:
        self._read = own.read
        # Each job reads this clock, so that a reading may cost little more than the host's clock.
        # Times minus the monotonic time, ms: the server's, and those that are near enough to it.
        self._server_ms = 0.0
        self._low_ms, self._high_ms = -math.inf, math.inf  # the server's time is unknown

    def read(self) -> Instant:
        """Read both clocks; after `ask`, the wall clock is close to the server's."""
        now = self._read()
        monotonic_ms = now.monotonic_s * 1000
        if self._low_ms <= now.epoch_ms - monotonic_ms <= self._high_ms:
            return now
        return Instant(int(monotonic_ms + self._server_ms), now.monotonic_s)

    def ask(self) -> Step[float]:
        """Ask the server for the time; without an answer, the host's clock is not corrected.

        Returns:
            By how many seconds the host's clock is ahead of the server's.

        Raises:
            ServerError: It did not answer.
        """
        before = self._read()
        server_ms = yield from server.server_ms()
        after = self._read()
        if server_ms is None:
            self._low_ms, self._high_ms = -math.inf, math.inf
            return 0.0
        # The server read its clock between our two readings. After a slow reply the later bound
        # applies: a job may be late rather than early.
        self._server_ms = server_ms - after.monotonic_s * 1000
        self._low_ms = self._server_ms - _NEAR_MS
        self._high_ms = server_ms - before.monotonic_s * 1000 + _NEAR_MS
        if self._low_ms <= after.epoch_ms - after.monotonic_s * 1000 <= self._high_ms:
            return 0.0
        return (after.epoch_ms - server_ms) / 1000


class ClockCheck:
    """Keeps a pool's clock close to the server's."""

    name = "clock"

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._was_far = False

    def step(self, now: Instant) -> Step[float]:
        """Compare the clocks."""
        del now
        ahead_s = yield from self._clock.ask()
        if ahead_s and not self._was_far:
            _log.warning(
                "this host's clock is %.0f s %s the server's; the pool uses the server's clock",
                abs(ahead_s),
                "ahead of" if ahead_s > 0 else "behind",
            )
        self._was_far = bool(ahead_s)
        return _EVERY_S
