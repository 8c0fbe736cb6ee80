"""Decides how many jobs to hold in advance, from how fast they run."""

from __future__ import annotations

from typing import Final

from workkit.core.clock import Instant

__all__ = ["Pace"]

#: The pool holds as many jobs beyond the free workers as it starts within this time, seconds. It
#: claims them in two halves: the workers run one half while Redis sends the other.
AHEAD_S: Final = 0.01
#: If workers still run out of jobs, the pool holds up to this many times as much: on a busy
#: machine an exchange may take longer than `AHEAD_S`.
MOST_STRETCH: Final = 16.0
#: But it holds no more than the workers could start within this time if they always had a job,
#: seconds. A job that has not started after twice this time goes back.
MOST_AHEAD_S: Final = 0.05
#: How long jobs are counted for one measurement of the rate, seconds.
WINDOW_S: Final = 0.02
#: Jobs held beyond the free workers, at most.
MAX_AHEAD: Final = 1_024
#: How often the dispatcher checks for held jobs that wait too long, seconds.
_LOOK_THROUGH_S: Final = 0.05
_NO_TIME_S: Final = 1e-6


class Pace:
    """Measures how many jobs finish per second, and how long they run.

    The rate alone is not enough: workers that run out of jobs lower it, so the pool would hold
    fewer jobs, and the workers would run out sooner. So in that case the pool holds more, up to
    what the workers could start in the same time if they always had a job.

    Args:
        prefetch: Whether to hold jobs in advance at all.
        concurrency: How many jobs run at once.
    """

    def __init__(self, *, prefetch: bool, concurrency: int) -> None:
        self._prefetch = prefetch
        self._concurrency = concurrency
        self._stretch = 1.0
        self._run_s = 0.0
        self._rate = 0.0
        self._since_s = 0.0
        self._count = 0
        self._looked_through_at = 0.0

    def finished(self, count: int, run_s: float) -> None:
        """Count jobs that have finished.

        Args:
            count: How many.
            run_s: How long one of them ran, seconds.
        """
        self._count += count
        weight = 1 / 8 if run_s < self._run_s else 1 / 2  # adapt faster to longer jobs
        self._run_s += (run_s - self._run_s) * weight

    def supplied(self, *, in_time: bool) -> None:
        """Record a claim's reply, and whether the workers had other jobs until it came."""
        if in_time:
            self._stretch = max(0.98 * self._stretch, 1.0)
        else:
            self._stretch = min(2 * self._stretch, MOST_STRETCH)

    def ahead(self, now: Instant, free: int) -> int:
        """Return how many jobs to claim beyond free workers.

        The rate falls at once but rises only half-way to the new value, so that a change from short
        jobs to long ones is noticed before the pool holds many of them.

        Args:
            now: The time.
            free: Free workers; a negative number counts jobs that wait for a worker.
        """
        if not self._prefetch:
            return 0
        elapsed = now.monotonic_s - self._since_s
        if elapsed >= WINDOW_S:
            newest = self._count / elapsed
            if newest < self._rate / 2:
                self._stretch = 1.0  # jobs have become longer, or rare
            self._rate = newest if newest < self._rate else (self._rate + newest) / 2
            self._since_s, self._count = now.monotonic_s, 0
        never_idle = self._concurrency / max(self._run_s, _NO_TIME_S)
        planned = self._rate * AHEAD_S
        stretched = min(planned * self._stretch, never_idle * MOST_AHEAD_S)
        most = min(int(max(planned, stretched)), MAX_AHEAD)
        half = (most + 1) // 2
        return max(min(half - max(free, 0), most + min(free, 0)), 0)

    def patience_over(self, now: Instant) -> bool:
        """Tell whether it is time to check for held jobs that wait too long."""
        if now.monotonic_s - self._looked_through_at < _LOOK_THROUGH_S:
            return False
        self._looked_through_at = now.monotonic_s
        return True
