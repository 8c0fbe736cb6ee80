"""Time, as an argument: the only module that reads clocks.

Two clocks with two uses: wall time is what is written to Redis and shown to people; monotonic time
is what durations and deadlines are measured with. Wall clocks of two hosts are never compared.
"""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

__all__ = ["Clock", "Instant", "SystemClock", "processor_s"]


class Instant(msgspec.Struct, frozen=True, gc=False):
    """One reading of both clocks.

    Attributes:
        epoch_ms: Wall time, milliseconds since the Unix epoch.
        monotonic_s: Seconds of a clock that never goes back; its zero means nothing.
    """

    epoch_ms: int
    monotonic_s: float

    @property
    def epoch_s(self) -> int:
        """Wall time in whole seconds, as the wire format wants it."""
        return self.epoch_ms // 1000


class Clock(Protocol):
    """Where the engine reads the time; the simulator brings its own."""

    def read(self) -> Instant:
        """Read both clocks."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def read(self) -> Instant:
        """Read both clocks."""
        return Instant(time.time_ns() // 1_000_000, time.monotonic())  # noqa: TID251 - here it is


def processor_s(thread_ident: int) -> float:
    """Return how much processor time a thread has had, seconds; 0 where the system does not say."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread_ident))
