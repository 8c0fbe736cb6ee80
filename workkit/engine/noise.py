"""Announcements that lead to no job: how often a pool reacts to them, and when it stops."""

from __future__ import annotations

import logging
from typing import Final

from workkit.core.clock import Instant
from workkit.store.calls.server import tracked_keys
from workkit.store.round_trip import Step

__all__ = ["Noise"]

_log = logging.getLogger("workkit")

#: The pool reacts at once to this many announcements in a row that lead to no job: other pools
#: were faster, or jobs were put off.
_FREE: Final = 16
#: The time between two looks after those announcements, seconds.
_PAUSE_S: Final = 0.1
#: A silence this long resets the count, seconds.
_QUIET_S: Final = 1.0
#: After this many, the pool asks now and then whether the server can remember the keys it read.
_ASKED_AFTER: Final = 20
#: If it cannot, the pool polls for this long, seconds.
_DEAF_S: Final = 60.0


class Noise:
    """Counts the announcements in a row that led to no job.

    A server announces changes of the keys that a pool has read, and also keys that it forgets. If
    its tracking table is smaller than the number of keys read, it announces all of them at once,
    again and again.

    Args:
        keys_read: How many keys a look of the pool reads at least.
    """

    def __init__(self, keys_read: int) -> None:
        self._keys_read = keys_read
        self._count = 0
        self._last_s = self._asked_s = self._deaf_until_s = float("-inf")
        self._warned = False

    def announced(self, now: Instant, *, gained: bool) -> None:
        """Count an announcement.

        Args:
            now: When it was heard.
            gained: Whether it led to a job.
        """
        if gained or now.monotonic_s - self._last_s >= _QUIET_S:
            self._count = 0
        else:
            self._count += 1
        self._last_s = now.monotonic_s

    @property
    def is_loud(self) -> bool:
        """Whether the pool no longer reacts to each announcement."""
        return self._count >= _FREE

    def pause_s(self, now: Instant) -> float:
        """Return how long to wait before the next look, seconds."""
        if not self.is_loud:
            return 0.0
        return max(self._last_s + _PAUSE_S - now.monotonic_s, 0.0)

    def is_deaf(self, now: Instant) -> bool:
        """Tell whether announcements are useless for now, so that the pool polls."""
        return now.monotonic_s < self._deaf_until_s

    def is_suspect(self, now: Instant) -> bool:
        """Tell whether to ask the server if it forgets the keys that the pool has read."""
        return self._count >= _ASKED_AFTER and now.monotonic_s - self._asked_s >= _DEAF_S

    def judge(self, now: Instant) -> Step[None]:
        """Ask the server, right after a look, how many keys it remembers.

        A few may be missing, because the server has announced their change since the look.

        Raises:
            ServerError: It did not answer.
        """
        self._asked_s = now.monotonic_s
        tracked = yield from tracked_keys()
        if tracked is None or 2 * tracked >= self._keys_read:
            return
        self._deaf_until_s, self._count = now.monotonic_s + _DEAF_S, 0
        if not self._warned:
            self._warned = True
            _log.warning(
                "the server forgets keys that it must watch (tracking-table-max-keys is too low): "
                "it remembers %d keys and an idle pool reads %d; the pool polls",
                tracked,
                self._keys_read,
            )
