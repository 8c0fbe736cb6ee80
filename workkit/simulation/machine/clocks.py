"""The clocks of `time` for the code that runs on simulated hosts.

time-machine replaces most of the functions that read the wall clock, in C. The others are here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from workkit.simulation.machine.inside import HERE

__all__ = ["CLOCKS", "real_monotonic", "virtual_monotonic"]


def _known(names: tuple[str, ...], of_linux: set[int]) -> frozenset[int]:
    known = {getattr(time, name) for name in names if hasattr(time, name)}
    return frozenset(known | (of_linux if sys.platform == "linux" else set()))


#: Clocks that never go back; they have the time of the host. Python has no names for the numbers:
#: CLOCK_MONOTONIC_COARSE and CLOCK_BOOTTIME_ALARM.
_MONOTONIC: Final = _known(
    ("CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_BOOTTIME", "CLOCK_UPTIME"), {6, 9}
)
#: Further wall clocks: also CLOCK_REALTIME_COARSE and CLOCK_REALTIME_ALARM.
_WALL: Final = _known(("CLOCK_TAI",), {5, 8})

real_monotonic = time.monotonic
_real_monotonic_ns = time.monotonic_ns
_real_perf_counter = time.perf_counter
_real_perf_counter_ns = time.perf_counter_ns
_real_clock_gettime = getattr(time, "clock_gettime", None)
_real_clock_gettime_ns = getattr(time, "clock_gettime_ns", None)
_real_ctime = time.ctime
_real_asctime = time.asctime


def virtual_monotonic() -> float:
    """Return how long the host has been up; on no host, the real `time.monotonic`."""
    host = HERE.host
    return real_monotonic() if host is None else host.clock.read().monotonic_s


def _monotonic_ns() -> int:
    host = HERE.host
    return _real_monotonic_ns() if host is None else host.clock.monotonic_ns()


def _perf_counter() -> float:
    host = HERE.host
    return _real_perf_counter() if host is None else host.clock.read().monotonic_s


def _perf_counter_ns() -> int:
    host = HERE.host
    return _real_perf_counter_ns() if host is None else host.clock.monotonic_ns()


def _clock_gettime(clock: int) -> float:
    host = HERE.host
    if host is not None and clock in _MONOTONIC:
        return host.clock.read().monotonic_s
    if host is not None and clock in _WALL:
        return host.clock.wall_ns() / 1_000_000_000
    return float(_real_clock_gettime(clock))  # type: ignore[misc] # replaced only if it exists


def _clock_gettime_ns(clock: int) -> int:
    host = HERE.host
    if host is not None and clock in _MONOTONIC:
        return host.clock.monotonic_ns()
    if host is not None and clock in _WALL:
        return host.clock.wall_ns()
    return int(_real_clock_gettime_ns(clock))  # type: ignore[misc]


def _ctime(seconds: float | None = None, /) -> str:
    host = HERE.host
    if host is not None and seconds is None:
        seconds = host.clock.wall_ns() / 1_000_000_000
    return _real_ctime(seconds)


def _asctime(*moment: Any) -> str:
    if HERE.host is not None and not moment:
        moment = (time.localtime(),)
    return _real_asctime(*moment)


def _clocks() -> Iterator[tuple[Any, str, Any, Any]]:
    for name, real, virtual in (
        ("monotonic", real_monotonic, virtual_monotonic),
        ("monotonic_ns", _real_monotonic_ns, _monotonic_ns),
        ("perf_counter", _real_perf_counter, _perf_counter),
        ("perf_counter_ns", _real_perf_counter_ns, _perf_counter_ns),
        ("clock_gettime", _real_clock_gettime, _clock_gettime),
        ("clock_gettime_ns", _real_clock_gettime_ns, _clock_gettime_ns),
        ("ctime", _real_ctime, _ctime),
        ("asctime", _real_asctime, _asctime),
    ):
        if real is not None:
            yield time, name, real, virtual


#: What is replaced while a world runs: its module, its name, and it itself, real and virtual.
CLOCKS: Final = tuple(_clocks())
