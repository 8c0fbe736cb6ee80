"""Goes by the server's clock where this host's is far from it.

A host whose clock is wrong would move jobs before they are due, put retries off, and plan the cron
slots of another day. What is written is read by all pools, so all go by one clock: the server's,
which is asked twice a minute and counted on from there by the monotonic clock. Within a second this
host's own will do.
"""

from __future__ import annotations

import logging
from typing import Final

from workkit.core.clock import Clock, Instant
from workkit.store.calls import move as due
from workkit.store.round_trip import Step

__all__ = ["ClockCheck", "ServerClock"]

_log = logging.getLogger("workkit")

#: A difference up to this is not one, milliseconds.
_NEAR_MS: Final = 1_000
_EVERY_S: Final = 30.0


class ServerClock:
    """A host's clock, corrected where it is far from the server's.

    Args:
        own: The host's.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._low_ms = self._high_ms = 0  # the server's time less our monotonic clock's, bounds
        self._known = False

    def read(self) -> Instant:
        """Read both clocks; the wall clock is never far from the server's, once that is known."""
        now = self._own.read()
        if not self._known:
            return now
        since_ms = now.epoch_ms - int(now.monotonic_s * 1000)
        if self._low_ms - _NEAR_MS <= since_ms <= self._high_ms + _NEAR_MS:
            return now
        return Instant(int(now.monotonic_s * 1000) + self._low_ms, now.monotonic_s)

    def ask(self) -> Step[float]:
        """Ask the server for the time; a server that does not tell is no reason to correct.

        Returns:
            By how much the host's clock is ahead of the server's, seconds.

        Raises:
            ServerError: It did not answer.
        """
        before = self._own.read()
        server_ms = yield from due.server_ms()
        after = self._own.read()
        self._known = server_ms is not None
        if server_ms is None:
            return 0.0
        # It was read between sending and hearing. Where that took long, the later bound holds: a
        # job is rather late than early.
        self._low_ms = server_ms - int(after.monotonic_s * 1000)
        self._high_ms = server_ms - int(before.monotonic_s * 1000)
        if (
            self._low_ms - _NEAR_MS
            <= after.epoch_ms - int(after.monotonic_s * 1000)
            <= (self._high_ms + _NEAR_MS)
        ):
            return 0.0
        return (after.epoch_ms - server_ms) / 1000


class ClockCheck:
    """Keeps a pool's clock near the server's.

    Args:
        clock: The pool's.
    """

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
                "this host's clock is %.0f s %s the server's; the pool goes by the server's",
                abs(ahead_s),
                "ahead of" if ahead_s > 0 else "behind",
            )
        self._was_far = bool(ahead_s)
        return _EVERY_S
