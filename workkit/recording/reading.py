"""Reads recordings, also while they are written."""

from __future__ import annotations

import bisect
import contextlib
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit.admin.trends import POINTS, Digest, Trends
from workkit.core.records import Overview
from workkit.errors import InvalidOption
from workkit.recording.deltas import Delta, State, played
from workkit.recording.details import Details, last_details
from workkit.recording.file import (
    DETAILS,
    OVERVIEWS,
    POINT_S,
    RecordingHeader,
    check_header,
    check_kind,
    longest_pause_s,
)
from workkit.recording.marks import Mark
from workkit.recording.moment import Moment
from workkit.recording.states import digest_of, overview_of, sample_of
from workkit.recording.writer import RecordingWriter
from workkit.snapshot.format import unpack

__all__ = ["Point", "Recording", "is_recording"]

#: Decoded segments that are kept.
_CACHED: Final = 6
#: Rates are computed from readings of this much time, seconds.
_TRENDS_S: Final = 240.0
#: The segment, and the fresh reading, that come next to a time.
_LATER: Final = (
    "SELECT id FROM segments WHERE track = 0 AND until_ms > ? ORDER BY from_ms LIMIT 1",
    "SELECT min(at_ms) FROM fresh WHERE track = 0 AND at_ms > ?",
)
_EARLIER: Final = (
    "SELECT id FROM segments WHERE track = 0 AND from_ms < ? ORDER BY from_ms DESC LIMIT 1",
    "SELECT max(at_ms) FROM fresh WHERE track = 0 AND at_ms < ?",
)


@dataclass(frozen=True, slots=True)
class Point:
    """What happened in a span of time.

    Attributes:
        from_s: Its beginning, epoch seconds.
        until_s: Its end.
        recorded_s: How much of it was recorded, seconds; 0 for none.
        done: Jobs that succeeded. A share of them, if the span is shorter than ten seconds.
        failed: Executions that failed.
        died: Jobs that died.
    """

    from_s: float
    until_s: float
    recorded_s: float
    done: float
    failed: float
    died: float


@dataclass(slots=True)
class _Segment:
    """A decoded segment."""

    deltas: list[Delta]
    times: list[int]


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a recording."""
    try:
        check_kind(Path(path))
    except InvalidOption:
        return False
    return True


class Recording:
    """A file of `workkit record`. Threads may share it. It may still be written.

    Args:
        source: The path of the file; or a writer, whose connection it shares.

    Attributes:
        about: Its source, and how often it was read.

    Raises:
        InvalidOption: The file is not a recording, it is damaged, or a later version of workkit
            wrote it.
    """

    def __init__(self, source: str | os.PathLike[str] | RecordingWriter) -> None:
        self._cache: OrderedDict[int, _Segment] = OrderedDict()
        if isinstance(source, RecordingWriter):
            self._path: Path | None = source.path
            self._lock, self._database = source.lock, source.database
            self._owns = False
            self.about: RecordingHeader = source.about
            return
        self._path = Path(source)
        self._lock = threading.Lock()
        self._owns = True
        check_kind(self._path)
        self._database = self._open(self._path)
        try:
            self.about = check_header(self._path, self._database)
        except InvalidOption:
            self._database.close()
            raise

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            database.execute("PRAGMA schema_version").fetchone()
        except sqlite3.Error:
            # Beside a file that cannot be written to, SQLite cannot keep its lists of locks.
            database.close()
            database = sqlite3.connect(f"{uri}&immutable=1", uri=True, check_same_thread=False)
        return database

    def close(self) -> None:
        """Close the file."""
        if self._owns:
            with self._lock, contextlib.suppress(sqlite3.Error):
                self._database.close()

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._explaining(), self._lock:
            return self._database.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError, ValueError, LookupError, TypeError) as error:
            if isinstance(error, InvalidOption):
                raise
            raise InvalidOption(f"{self.name} is damaged: {error}") from None

    @property
    def name(self) -> str:
        """The name of the file."""
        return self._path.name if self._path is not None else "the memory of this console"

    @property
    def label(self) -> str:
        """The source's name, and the file."""
        label = self.about.label
        return f"{label}, recorded in {self.name}" if self._path is not None else label

    # Times.

    @property
    def span(self) -> tuple[float, float] | None:
        """The times of the first and of the last reading, epoch seconds; None without any."""
        rows = self._all(
            "SELECT min(low), max(high) FROM (SELECT min(from_ms) AS low, max(until_ms) AS high "
            "FROM segments WHERE track = 0 UNION ALL SELECT min(at_ms), max(at_ms) FROM fresh "
            "WHERE track = 0)"
        )
        low, high = rows[0]
        return None if low is None else (low / 1_000, high / 1_000)

    def before(self, at_s: float) -> float | None:
        """Return the time of the last reading before a time; None without one."""
        return self._step(at_s, later=False)

    def after(self, at_s: float) -> float | None:
        """Return the time of the first reading after a time; None without one."""
        return self._step(at_s, later=True)

    def _step(self, at_s: float, *, later: bool) -> float | None:
        at_ms = round(at_s * 1_000)
        segments, fresh = _LATER if later else _EARLIER
        found = [self._all(fresh, at_ms)[0][0]]
        rows = self._all(segments, at_ms)
        if rows:
            times = self._segment(rows[0][0]).times
            place = bisect.bisect_right(times, at_ms) if later else bisect.bisect_left(times, at_ms)
            found.append(times[place] if later else times[place - 1])
        known = [each for each in found if each is not None]
        return (min(known) if later else max(known)) / 1_000 if known else None

    # Readings.

    def _segment(self, segment_id: int) -> _Segment:
        with self._lock:
            cached = self._cache.get(segment_id)
            if cached is not None:
                self._cache.move_to_end(segment_id)
                return cached
        rows = self._all("SELECT data FROM segments WHERE id = ?", segment_id)
        with self._explaining():
            deltas = unpack(rows[0][0], list[Delta])
        segment = _Segment(deltas, [delta.at_ms for delta in deltas])
        with self._lock:
            self._cache[segment_id] = segment
            while len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return segment

    def _parts(self, track: int, from_ms: int, until_ms: int) -> Iterator[list[Delta]]:
        """Yield the segments of a track that overlap with a time, and then the fresh deltas."""
        segments, fresh = self._index(track, from_ms, until_ms)
        for segment_id in segments:
            try:
                yield self._segment(segment_id).deltas
            except InvalidOption:
                if self._all("SELECT 1 FROM segments WHERE id = ?", segment_id):
                    raise  # otherwise the writer has removed it meanwhile
        if fresh:
            with self._explaining():
                deltas = [unpack(data, Delta) for data in fresh]
            yield deltas

    def _index(self, track: int, from_ms: int, until_ms: int) -> tuple[list[int], list[bytes]]:
        """Return segments and fresh deltas as they are at one time: the writer moves them."""
        with self._explaining(), self._lock:
            if self._owns:
                self._database.execute("BEGIN")
            try:
                segments = self._database.execute(
                    "SELECT id FROM segments WHERE track = ? AND until_ms >= ? AND from_ms <= ? "
                    "ORDER BY from_ms",
                    (track, from_ms, until_ms),
                ).fetchall()
                fresh = self._database.execute(
                    "SELECT data FROM fresh WHERE track = ? AND at_ms <= ? ORDER BY id",
                    (track, until_ms),
                ).fetchall()
            finally:
                if self._owns:
                    self._database.execute("COMMIT")
        return [row[0] for row in segments], [row[0] for row in fresh]

    def _last_ms(self, track: int, until_ms: int) -> int | None:
        """Return the start of the part with the last reading of a track up to a time."""
        rows = self._all(
            "SELECT max(at_ms) FROM (SELECT max(from_ms) AS at_ms FROM segments WHERE track = ?1 "
            "AND from_ms <= ?2 UNION ALL SELECT min(at_ms) FROM fresh WHERE track = ?1 "
            "AND at_ms <= ?2)",
            track, until_ms,
        )  # fmt: skip
        found: int | None = rows[0][0]
        return found

    def overviews(
        self, since_s: float, until_s: float, *, every_s: float = 0.0
    ) -> Iterator[tuple[Overview, Digest]]:
        """Yield the readings of a time, the oldest first.

        Args:
            since_s: From this time on, epoch seconds.
            until_s: Up to this time.
            every_s: Leave out readings that come sooner than this after the one before.

        Raises:
            InvalidOption: The file is damaged.
        """
        from_ms, until_ms = round(since_s * 1_000), round(until_s * 1_000)
        next_ms = from_ms
        for part in self._parts(OVERVIEWS, from_ms, until_ms):
            with self._explaining():
                for delta, state in played(part):
                    if next_ms <= delta.at_ms <= until_ms:
                        next_ms = delta.at_ms + round(every_s * 1_000)
                        yield overview_of(delta.at_ms, state), digest_of(delta.event)

    def details(self, at_s: float) -> Details | None:
        """Return the last details up to a time; None without any.

        Raises:
            InvalidOption: The file is damaged.
        """
        until_ms = round(at_s * 1_000)
        from_ms = self._last_ms(DETAILS, until_ms)
        if from_ms is None:
            return None
        found = None
        for part in self._parts(DETAILS, from_ms, until_ms):
            with self._explaining():
                known = [each for each in part if each.at_ms <= until_ms]
                if known:
                    found = last_details(known)
        return found

    def moment(self, at_s: float) -> Moment:
        """Return the namespace as it was at a time: a `Reader`.

        Args:
            at_s: The time, epoch seconds. Before the first reading, it is that of the first.

        Raises:
            InvalidOption: Nothing was recorded, or the file is damaged.
        """
        span = self.span
        if span is None:
            raise InvalidOption(f"{self.name} has no readings yet")
        at_s = max(at_s, span[0])
        until_ms = round(at_s * 1_000)
        trends_ms = until_ms - round(_TRENDS_S * 1_000)
        since_ms = min(trends_ms, self._last_ms(OVERVIEWS, until_ms) or 0)
        trends, seen, next_ms = Trends(), None, trends_ms
        for part in self._parts(OVERVIEWS, since_ms, until_ms):
            known = [each for each in part if each.at_ms <= until_ms]
            with self._explaining():
                state: State = {}
                for delta, state in played(known):
                    if delta.at_ms >= next_ms:
                        next_ms = delta.at_ms + round(_TRENDS_S / POINTS * 500)
                        sample = sample_of(delta.at_ms, state)
                        trends.add_sample(sample, digest_of(delta.event))
                if known:
                    seen = overview_of(known[-1].at_ms, state)
        if seen is None:
            raise InvalidOption(f"{self.name} has no readings at that time any more")
        details = self.details(at_s)
        if details is not None:
            trends.spans.replace(details.spreads)
        return Moment(self.label, at_s, seen, trends, details, self._gap(seen, at_s))

    def _gap(self, seen: Overview, at_s: float) -> tuple[float, float | None] | None:
        """Return the time around `at_s` that was not recorded; None if it was."""
        longest_s = longest_pause_s(self.about.every_s)
        if at_s - seen.taken_at <= longest_s / 2:
            return None
        after_s = self.after(seen.taken_at)
        if after_s is not None and after_s - seen.taken_at <= longest_s:
            return None
        return seen.taken_at, after_s

    # The strip.

    def points(self, from_s: float, until_s: float, columns: int) -> list[Point]:
        """Return what happened, in spans of equal length.

        Args:
            from_s: The beginning, epoch seconds.
            until_s: The end.
            columns: How many spans.
        """
        width_s = max(until_s - from_s, 1e-3) / columns
        # Sums that fall into one column together are added up by SQLite: a day has thousands.
        rows = self._all(
            "SELECT min(at_s), total(ms), total(done), total(failed), total(died), count(*) "
            "FROM points WHERE at_s > ?1 AND at_s < ?2 GROUP BY CAST((at_s - ?3) / ?4 AS INTEGER), "
            "CASE WHEN ?4 < ?5 THEN at_s END",
            from_s - POINT_S, until_s, from_s, width_s, POINT_S,
        )  # fmt: skip
        sums = [[0.0] * 4 for _ in range(columns)]
        for at_s, *numbers, points in rows:
            first = min(max(int((at_s - from_s) / width_s), 0), columns - 1)
            end_s = at_s + POINT_S - 1e-3 - from_s if points == 1 else at_s - from_s
            last = min(max(int(end_s / width_s), first), columns - 1)
            for column in range(first, last + 1):
                total = sums[column]
                for at, number in enumerate(numbers):
                    total[at] += number / (last - first + 1)
        for total in sums:
            total[0] /= 1_000
        return [
            Point(from_s + width_s * at, from_s + width_s * (at + 1), *total)
            for at, total in enumerate(sums)
        ]

    def marks(self, from_s: float, until_s: float) -> list[Mark]:
        """Return the marks of a time, the oldest first.

        Args:
            from_s: The beginning, epoch seconds.
            until_s: The end.
        """
        rows = self._all(
            "SELECT at_ms, kind, text FROM marks WHERE at_ms >= ? AND at_ms <= ? "
            "ORDER BY at_ms, id",
            round(from_s * 1_000), round(until_s * 1_000),
        )  # fmt: skip
        return [Mark(at_ms / 1_000, kind, text) for at_ms, kind, text in rows]
