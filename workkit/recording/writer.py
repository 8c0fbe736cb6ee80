"""Writes a recording: one writer, bounded in time and bytes, complete after any crash."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit._version import __version__
from workkit.core.locking import lock, needs_locks
from workkit.core.packing import fitting
from workkit.errors import InvalidOption
from workkit.recording.deltas import Delta, Differ, State
from workkit.recording.file import (
    DETAILS,
    FORMAT,
    OVERVIEWS,
    SCHEMA,
    RecordingHeader,
    check_header,
    check_kind,
    encoded_value,
    squeezed,
)
from workkit.recording.marks import Mark
from workkit.snapshot.format import pack, unpack

__all__ = ["RecordingWriter"]

#: Readings in a segment. A jump plays one segment; each begins with a whole state.
_READINGS: Final = {OVERVIEWS: 120, DETAILS: 60}
#: A segment with more than this is full as well, so that a jump stays short, bytes as unpacked.
_SEGMENT_BYTES: Final = 2_000_000
#: The part of the bytes that details may take.
_DETAILS_SHARE: Final = 0.3
#: Unused bytes for details add up for this part of the kept time.
_SAVED_SHARE: Final = 1 / 24
#: Pages of the journal before they are moved into the file: a copy of it lacks less.
_PAGES: Final = 32
#: The files that this process writes. To open and close one again would drop SQLite's locks on it.
_WRITTEN: Final[set[tuple[int, int]]] = set()


class RecordingWriter:
    """Writes a recording. One thread may use it at a time.

    Each reading is one transaction, so a crash at any moment leaves a complete file. A recording of
    the same source is continued.

    Args:
        path: The file; None for a recording in memory.
        label: The source's name.
        every_s: The time between two readings, seconds.
        keep_s: Older readings are removed, seconds.
        most_bytes: The oldest readings are removed if the file would grow beyond this.

    Attributes:
        about: The description in the file.
        database: The connection.
        lock: Held while the connection is used.
        path: The file; None in memory.

    Raises:
        InvalidOption: Another process writes the file; it is not a recording, or one of another
            source; or it cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        label: str,
        *,
        every_s: float,
        keep_s: float,
        most_bytes: int,
    ) -> None:
        self.path = None if path is None else Path(os.path.realpath(path))
        self.lock = threading.Lock()
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._handle: int | None = None
        header = RecordingHeader(FORMAT, __version__, label, every_s)
        self._identity: tuple[int, int] | None = None
        try:
            if self.path is not None:
                self._claim(self.path, header)
            self.database = self._connect(header)
            self.about = check_header(path or "", self.database)
            self._check_label(label)
            with self._explaining():
                # Readers do not wait for the writer. A crash of the machine may lose some seconds.
                self.database.execute("PRAGMA journal_mode = WAL")
                self.database.execute("PRAGMA synchronous = NORMAL")
                self.database.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}")
            self._slow_down(every_s)
            self._differs = {track: Differ() for track in _READINGS}
            self._fresh = dict.fromkeys(_READINGS, 0)
            self._unpacked = dict.fromkeys(_READINGS, 0)
            with self._writing():
                for track in _READINGS:
                    self._pack(track)
                rows = self.database.execute("SELECT max(until_ms) FROM segments").fetchone()
        except BaseException:
            self.close()
            raise
        self._last_ms: int = rows[0] or 0
        self._detail_bytes = 0.0
        self._paid_ms = 0
        #: Whether readings younger than the kept time were removed, to stay within the bytes.
        self.is_short_of_bytes = False

    # Opening.

    def _claim(self, path: Path, header: RecordingHeader) -> None:
        """Make the file unless it exists, and keep other writers out."""
        if not os.path.lexists(path):
            with _explained(path):
                _make(path, header)
        check_kind(path)
        needs_locks(str(path))
        with _explained(path):
            found = path.stat()
            identity = found.st_dev, found.st_ino
            taken = identity in _WRITTEN
            if not taken:
                self._handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    lock(self._handle)
                except BlockingIOError:
                    taken = True
        if taken:
            raise InvalidOption(f"{path} is being recorded to already; stop that, or name another")
        self._identity = identity
        _WRITTEN.add(identity)

    def _connect(self, header: RecordingHeader) -> sqlite3.Connection:
        if self.path is None:
            database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            database.executescript(SCHEMA)
            database.execute("INSERT INTO about VALUES (?)", (pack(header),))
            return database
        return sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )

    def _check_label(self, label: str) -> None:
        if self.about.label != label:
            raise InvalidOption(
                f"{self.path} records {self.about.label}, not {label}; name another file"
            )

    def _slow_down(self, every_s: float) -> None:
        """Note that readings come less often than before: the times between are no gaps."""
        if every_s > self.about.every_s:
            self.about = msgspec.structs.replace(self.about, every_s=every_s)
            with self._writing():
                self.database.execute("UPDATE about SET data = ?", (pack(self.about),))

    # Writing.

    def write(
        self,
        at_ms: int,
        state: State,
        event: Any,
        points: Sequence[tuple[int, ...]],
        marks: Iterable[Mark],
    ) -> int:
        """Write a reading.

        Args:
            at_ms: When it was read, epoch milliseconds. If the clock went back, the reading gets
                the next time after the last one.
            state: The overview.
            event: The digest of the executions before it.
            points: Spans of `POINT_S` (when each begins, epoch seconds), how many milliseconds of
                each were recorded, and the jobs done, failed and died in it.
            marks: What has changed.

        Returns:
            The time that it was written with.

        Raises:
            InvalidOption: The file cannot be written, or was removed.
        """
        self._check_path()
        with self._writing():
            at_ms = self._last_ms = max(at_ms, self._last_ms + 1)
            self._add(OVERVIEWS, at_ms, state, event)
            self.database.executemany(
                "INSERT INTO points VALUES (?, ?, ?, ?, ?) ON CONFLICT (at_s) DO UPDATE SET "
                "ms = ms + excluded.ms, done = done + excluded.done, "
                "failed = failed + excluded.failed, died = died + excluded.died",
                fitting(points),
            )
            self._mark(marks)
        return at_ms

    def write_details(self, at_ms: int, state: State, event: Any, marks: Iterable[Mark]) -> None:
        """Write details; see `can_pay`.

        Args:
            at_ms: When they were read, epoch milliseconds.
            state: The details.
            event: Executions; None for none.
            marks: What has changed.

        Raises:
            InvalidOption: The file cannot be written, or was removed.
        """
        self._check_path()
        with self._writing():
            self._detail_bytes -= self._add(DETAILS, at_ms, state, event)
            self._mark(marks)

    def mark(self, mark: Mark) -> None:
        """Write a mark.

        Raises:
            InvalidOption: The file cannot be written.
        """
        with self._writing():
            self._mark([mark])

    def can_pay(self, now_ms: int) -> bool:
        """Tell whether there are bytes for details now.

        Details take as many bytes as there are jobs and workers. So that they leave room for the
        overviews of the whole kept time, they may take only so many bytes an hour.

        Args:
            now_ms: The time, epoch milliseconds.
        """
        share = self._most_bytes * _DETAILS_SHARE
        most = share * _SAVED_SHARE
        passed_s = (now_ms - self._paid_ms) / 1_000 if self._paid_ms else self._keep_s
        self._paid_ms = now_ms
        self._detail_bytes += share * max(passed_s, 0) / self._keep_s
        self._detail_bytes = min(self._detail_bytes, most)
        return self._detail_bytes > 0

    def _mark(self, marks: Iterable[Mark]) -> None:
        self.database.executemany(
            "INSERT INTO marks (at_ms, kind, text) VALUES (?, ?, ?)",
            fitting([(round(mark.at_s * 1_000), mark.kind, mark.text) for mark in marks]),
        )

    def _add(self, track: int, at_ms: int, state: State, event: Any) -> int:
        """Add a delta to a track, and return by how many bytes the track has grown."""
        encoded = encoded_value(self._differs[track].delta(at_ms, state, event))
        data = zlib.compress(encoded)
        self.database.execute(
            "INSERT INTO fresh (track, at_ms, data) VALUES (?, ?, ?)", (track, at_ms, data)
        )
        self._fresh[track] += 1
        self._unpacked[track] += len(encoded)
        saved = 0
        if self._fresh[track] >= _READINGS[track] or self._unpacked[track] > _SEGMENT_BYTES:
            saved = self._pack(track)
            self._trim(at_ms)
        return len(data) - saved

    def _pack(self, track: int) -> int:
        """Make one segment of the fresh deltas of a track, and return how many bytes that saves."""
        saved = 0
        rows = self.database.execute(
            "SELECT at_ms, data FROM fresh WHERE track = ? ORDER BY id", (track,)
        ).fetchall()
        if rows:
            segment = squeezed([unpack(data, Delta) for _, data in rows])
            saved = sum(len(data) for _, data in rows) - len(segment)
            self.database.execute(
                "INSERT INTO segments (track, from_ms, until_ms, data) VALUES (?, ?, ?, ?)",
                (track, rows[0][0], rows[-1][0], segment),
            )
            self.database.execute("DELETE FROM fresh WHERE track = ?", (track,))
        self._fresh[track], self._unpacked[track], self._differs[track] = 0, 0, Differ()
        return saved

    # Bounds.

    def _trim(self, now_ms: int) -> None:
        """Remove what is too old, and then the oldest until the file is small enough."""
        self._forget(now_ms - round(self._keep_s * 1_000))
        while self.size_bytes > self._most_bytes:
            row = self.database.execute(
                "SELECT min(until_ms), count(*) FROM segments WHERE track = ?", (OVERVIEWS,)
            ).fetchone()
            if row[1] < 2:  # noqa: PLR2004 - the newest stays
                return
            self.is_short_of_bytes = True
            self._forget(row[0] + 1)

    def _forget(self, before_ms: int) -> None:
        for statement in (
            "DELETE FROM segments WHERE until_ms < ?",
            "DELETE FROM marks WHERE at_ms < ?",
            "DELETE FROM points WHERE 1000 * at_s < ?",
        ):
            self.database.execute(statement, (before_ms,))

    @property
    def size_bytes(self) -> int:
        """The bytes that the recording uses."""

        def ask(name: str) -> int:
            number: int = self.database.execute(f"PRAGMA {name}").fetchone()[0]
            return number

        return (ask("page_count") - ask("freelist_count")) * ask("page_size")

    # Transactions.

    def _check_path(self) -> None:
        """Notice that the file was removed or replaced: what is written would be lost."""
        if self._handle is None or self.path is None:
            return
        try:
            same = os.path.samestat(self.path.stat(), os.fstat(self._handle))
        except OSError:
            same = False
        if not same:
            raise InvalidOption(f"{self.path} was removed while it was recorded; record again")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self.lock, self._explaining():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            if isinstance(error, InvalidOption):
                raise
            raise InvalidOption(f"{self.path} cannot be written: {error}") from None

    def close(self) -> None:
        """Close the file. The newest readings become a segment."""
        database = getattr(self, "database", None)
        if database is not None and hasattr(self, "_last_ms"):
            with contextlib.suppress(InvalidOption), self._writing():
                for track in _READINGS:
                    self._pack(track)
            with self.lock, contextlib.suppress(sqlite3.Error):
                # Then readers leave nothing beside the file. Refused while one has it open.
                database.execute("PRAGMA journal_mode = DELETE")
        if database is not None:
            with self.lock, contextlib.suppress(sqlite3.Error):
                database.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._identity is not None:
            _WRITTEN.discard(self._identity)
            self._identity = None


def _make(path: Path, header: RecordingHeader) -> None:
    """Make an empty recording, which appears complete or not at all. Only its owner can read it."""
    handle, made = tempfile.mkstemp(".partial", f".{path.name[:100]}.", path.parent)
    partial = Path(made)
    try:
        os.close(handle)
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as database:
            database.executescript(f"PRAGMA journal_mode = OFF; {SCHEMA}")
            database.execute("INSERT INTO about VALUES (?)", (pack(header),))
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            pass  # another process was faster; the lock decides
        except OSError:  # a file system without links
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        said = getattr(error, "strerror", None) or error
        raise InvalidOption(f"{path} cannot be written: {said}") from None
