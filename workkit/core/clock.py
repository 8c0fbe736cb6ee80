"""The only module that reads clocks; other code takes the time as an argument.

workkit writes wall time to Redis and shows it to people. It measures durations and deadlines with
monotonic time. It never compares the wall clocks of two hosts.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

import msgspec

__all__ = ["Clock", "Instant", "SystemClock", "epoch_ns", "monotonic_s", "processor_s"]

#: Seconds on a clock that never goes back, for timeouts of sockets.
monotonic_s: Final = time.monotonic
#: Wall time in nanoseconds, for libraries that write it into what they send.
epoch_ns: Final = time.time_ns  # noqa: TID251 - here it is


class Instant(msgspec.Struct, frozen=True, gc=False):
    """One reading of both clocks.

    Attributes:
        epoch_ms: Wall time, milliseconds since the Unix epoch.
        monotonic_s: Seconds on a clock that never goes back. Only differences have a meaning.
    """

    epoch_ms: int
    monotonic_s: float

    @property
    def epoch_s(self) -> int:
        """Wall time in whole seconds, as the wire format requires."""
        return self.epoch_ms // 1000


class Clock(Protocol):
    """The engine's source of time. The simulator has its own implementation."""

    def read(self) -> Instant:
        """Read both clocks."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def read(self) -> Instant:
        """Read both clocks."""
        return Instant(time.time_ns() // 1_000_000, time.monotonic())  # noqa: TID251 - here it is


def processor_s(thread_ident: int) -> float:
    """Return the processor time of a thread, seconds; 0 if the system does not report it."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread_ident))
