"""The console in the past: where in a recording it is, and how fast it plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workkit.admin.attention import concerns
from workkit.admin.obstacles import takers
from workkit.admin.reader import Reader
from workkit.core.clock import Clock
from workkit.core.records import Overview
from workkit.core.text import age
from workkit.recording import Mark, Moment, Recording
from workkit.recording.reading import Point
from workkit.recording.times import find_time, local_time
from workkit_tui.feed import View

__all__ = ["SPEEDS", "Past", "StripView"]

#: How many seconds of the recording pass in a second.
SPEEDS: Final = (1, 2, 5, 10, 30, 60)
#: Time between two views while it plays, seconds.
_FRAME_S: Final = 0.25
_STILL_S: Final = 3_600.0
#: The spans that the strip can show, seconds; 0 for the whole recording.
SPANS_S: Final = (0.0, 3_600.0, 600.0)


@dataclass(frozen=True, slots=True)
class StripView:
    """What the strip draws.

    Attributes:
        from_s: The beginning of the strip, epoch seconds.
        until_s: Its end.
        at_s: The time that is shown.
        lists_s: When jobs, workers and other lists were read; None if they were not.
        points: What happened, column by column.
        marks: What changed.
    """

    from_s: float
    until_s: float
    at_s: float
    lists_s: float | None
    points: Sequence[Point]
    marks: Sequence[Mark]


class Past:
    """A position in a recording. It is moved on the application's thread, and read on another.

    Args:
        recording: The recording.
        at_s: The time to show, epoch seconds.
        clock: Tells how much time has passed while it plays.

    Attributes:
        at_s: The time that is shown, epoch seconds.
        moment: The namespace at that time, as it was read last.
        speed: An index into `SPEEDS`.
        columns: How wide the strip is.
        strip: What the strip draws; None before the first look.
    """

    def __init__(self, recording: Recording, at_s: float, clock: Clock) -> None:
        self._recording = recording
        self._clock = clock
        self.at_s = at_s
        self.moment: Moment | None = None
        self.speed = 0
        self.columns = 80
        self.strip: StripView | None = None
        self._zoom = 0
        self._since: tuple[float, float] | None = None

    # Moving.

    @property
    def is_playing(self) -> bool:
        """Whether the time passes."""
        return self._since is not None

    def play(self, *, wanted: bool) -> None:
        """Let the time pass, or stop it."""
        self._since = (self._clock.read().monotonic_s, self.at_s) if wanted else None

    def faster(self, by: int) -> int:
        """Change the speed by some steps, and return it: seconds in a second."""
        self.advance()
        self.speed = min(max(self.speed + by, 0), len(SPEEDS) - 1)
        if self.is_playing:
            self.play(wanted=True)
        return SPEEDS[self.speed]

    def advance(self) -> bool:
        """Go on while it plays; return False at the end of the recording, where it stops."""
        if self._since is None:
            return True
        began_s, from_s = self._since
        passed_s = self._clock.read().monotonic_s - began_s
        at_s = from_s + passed_s * SPEEDS[self.speed]
        end_s = self.end_s
        self.at_s = min(at_s, end_s)
        if at_s >= end_s:
            self.play(wanted=False)
            return False
        return True

    def step(self, by: int) -> bool:
        """Go to the next reading (1) or the one before (-1); return False if there is none."""
        self.play(wanted=False)
        find = self._recording.after if by > 0 else self._recording.before
        here_s = self.moment.now_s() if self.moment is not None and by < 0 else self.at_s
        found = find(min(here_s, self.at_s))
        if found is None:
            return False
        self.at_s = found
        return True

    def move(self, seconds: float) -> bool:
        """Go on or back by a span of time; return False beyond the end, where it stops."""
        playing = self.is_playing
        span = self._recording.span or (self.at_s, self.at_s)
        wanted = self.at_s + seconds
        self.at_s = min(max(wanted, span[0]), span[1])
        self.play(wanted=playing)
        return wanted <= span[1]

    def go(self, text: str) -> None:
        """Go to a time as it was typed.

        Raises:
            InvalidOption: It is not a time, or not within the recording.
        """
        self.at_s = find_time(text, self._recording.span or (self.at_s, self.at_s), self.at_s)
        self.play(wanted=False)

    @property
    def end_s(self) -> float:
        """The time of the last reading, epoch seconds."""
        span = self._recording.span
        return span[1] if span else self.at_s

    def zoom(self) -> str:
        """Show another span on the strip, and return it in words."""
        self._zoom = (self._zoom + 1) % len(SPANS_S)
        span_s = SPANS_S[self._zoom]
        return age(span_s) if span_s else "the whole recording"

    # Looking.

    def look(self, gather: Callable[[Reader, Overview], Any]) -> View:
        """Read the view of the time; blocks, so it is called on a thread.

        Args:
            gather: Reads the data that the screen needs in addition to the overview.

        Raises:
            InvalidOption: The recording is damaged.
        """
        at_s = self.at_s
        moment = self._recording.moment(at_s)
        seen, trends = moment.overview(), moment.trends
        gathered = gather(moment, seen)
        taken = takers(seen)
        found = concerns(seen, trends, taken)
        self.strip = self._strip(at_s, moment.details_at_s)
        self.moment = moment
        return View(seen, trends, found, taken, list(trends.failures), gathered)

    def _strip(self, at_s: float, lists_s: float | None) -> StripView:
        low, high = self._recording.span or (at_s, at_s)
        span_s = SPANS_S[self._zoom]
        if span_s and span_s < high - low:
            low = min(max(at_s - span_s / 2, low), high - span_s)
            high = low + span_s
        high = max(high, low + 1.0)
        columns = max(self.columns, 1)
        points = self._recording.points(low, high, columns)
        return StripView(low, high, at_s, lists_s, points, self._recording.marks(low, high))

    @property
    def wait_s(self) -> float:
        """Seconds until the next look."""
        return _FRAME_S if self.is_playing else _STILL_S

    # Words.

    @property
    def words(self) -> str:
        """The time that is shown, and how fast it passes."""
        return f"{self.time} ▶ {SPEEDS[self.speed]}x" if self.is_playing else f"{self.time} ■"

    @property
    def time(self) -> str:
        """The time that is shown."""
        return local_time(self.at_s, self.end_s)

    @property
    def trouble(self) -> str:
        """Why the shown data is not that of the shown time; "" if it is."""
        moment = self.moment
        if moment is None or moment.gap is None:
            return ""
        before, after = moment.gap
        low = local_time(before, self.end_s)
        if after is None:
            return f"nothing was recorded after {low}; this is the last reading"
        high = local_time(after, self.end_s)
        return f"nothing was recorded from {low} to {high}; this is the reading before"
