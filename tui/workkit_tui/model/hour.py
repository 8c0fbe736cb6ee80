"""Series of an hour, minute by minute, from a recording."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workkit.admin.trends import Trends
from workkit.core.records import Overview
from workkit.recording import Recording

__all__ = ["MINUTES", "Hour", "Hours"]

#: The points of a series.
MINUTES: Final = 60
_MINUTE_S: Final = 60
#: A minute is complete this many minutes later; the recorder may still write the last one.
_LATE: Final = 2
#: Time between two readings that are looked at, seconds.
_EVERY_S: Final = 20.0
#: Minutes around the shown time that are kept.
_KEPT: Final = 180


@dataclass(frozen=True, slots=True)
class _Minute:
    """What was there at the end of a minute."""

    depths: Mapping[str, int]
    queued: int
    wait_ms: float
    run_ms: float

    @classmethod
    def of(cls, seen: Overview, wait_ms: float, run_ms: float) -> _Minute:
        """Return what an overview shows."""
        depths = {queue.job_name: queue.count for queue in seen.queues if queue.count}
        return cls(depths, seen.queued, wait_ms, run_ms)


@dataclass(frozen=True, slots=True)
class Hour:
    """The series of an hour, the oldest point first; None where nothing was recorded.

    Attributes:
        done: Jobs that succeeded a second.
        failed: Executions that failed a second.
        queued: Jobs that waited.
        wait_ms: Median wait, milliseconds; 0 where nothing ran.
        run_ms: Median run, milliseconds.
    """

    done: Sequence[float | None]
    failed: Sequence[float | None]
    queued: Sequence[float | None]
    wait_ms: Sequence[float | None]
    run_ms: Sequence[float | None]
    _minutes: Sequence[_Minute | None]

    def depths(self, name: str) -> list[float | None]:
        """Return how many jobs of a queue waited."""
        return [each.depths.get(name, 0) if each is not None else None for each in self._minutes]


class Hours:
    """Reads the hour before any time; minutes that were read are kept.

    Args:
        recording: The recording.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._minutes: dict[int, _Minute | None] = {}
        self._lock = threading.Lock()

    def read(self, at_s: float, seen: Overview, trends: Trends) -> Hour:
        """Return the hour up to a time; blocks, so it is called on a thread.

        Args:
            at_s: The time, epoch seconds.
            seen: The last overview up to then, which is the point of the last minute.
            trends: Its rates and series.

        Raises:
            InvalidOption: The recording is damaged.
        """
        last = int(at_s // _MINUTE_S)
        wanted = range(last + 1 - MINUTES, last + 1)
        with self._lock:
            found = {n: self._minutes[n] for n in wanted[:-1] if n in self._minutes}
            for low, high in _runs([number for number in wanted[:-1] if number not in found]):
                found |= self._played(low, high)
            kept = range(last - _KEPT, last + _KEPT)
            self._minutes = {n: each for n, each in self._minutes.items() if n in kept}
            self._minutes |= {n: each for n, each in found.items() if n <= last - _LATE}
        is_new = int(seen.taken_at // _MINUTE_S) == last
        spans = [series[-1] if series else 0.0 for series in (trends.wait_ms, trends.run_ms)]
        found[last] = _Minute.of(seen, *spans) if is_new else None
        points = self._recording.points(wanted[0] * _MINUTE_S, (last + 1) * _MINUTE_S, MINUTES)
        minutes = [found[number] for number in wanted]
        return Hour(
            [each.done / each.recorded_s if each.recorded_s else None for each in points],
            [each.failed / each.recorded_s if each.recorded_s else None for each in points],
            [each.queued if each is not None else None for each in minutes],
            [each.wait_ms if each is not None else None for each in minutes],
            [each.run_ms if each is not None else None for each in minutes],
            minutes,
        )

    def _played(self, low: int, high: int) -> dict[int, _Minute | None]:
        """Return the minutes of a span, both ends included."""
        found: dict[int, _Minute | None] = dict.fromkeys(range(low, high + 1))
        end_s = (high + 1) * _MINUTE_S - 0.001
        readings = self._recording.overviews(low * _MINUTE_S, end_s, every_s=_EVERY_S)
        for seen, digest in readings:
            minute = _Minute.of(seen, digest.wait_ms, digest.run_ms)
            found[int(seen.taken_at // _MINUTE_S)] = minute
        return found


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last number of each stretch without gaps."""
    start = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], numbers[at - 1]
            start = at
