"""The file format of recordings: an SQLite database, so that any time can be read alone.

Two tracks of deltas, see `deltas.py`: overviews, each with a digest of the executions before it,
and details. The newest deltas are single rows in `fresh`; a full segment of them becomes one
compressed row in `segments`. `points` adds up what happened in spans of ten seconds, so that a day
can be drawn without reading its segments.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit.core.packing import packed
from workkit.errors import InvalidOption
from workkit.snapshot.format import APPLICATION_ID as SNAPSHOT_ID
from workkit.snapshot.format import MOST_BYTES, unpack

__all__ = [
    "APPLICATION_ID",
    "DETAILS",
    "FORMAT",
    "OVERVIEWS",
    "POINT_S",
    "SCHEMA",
    "RecordingHeader",
    "check_header",
    "check_kind",
    "encoded_value",
    "longest_pause_s",
    "squeezed",
]

#: SQLite's number for recordings: "wkrc".
APPLICATION_ID: Final = 0x776B7263
FORMAT: Final = 1
#: The tracks.
OVERVIEWS: Final = 0
DETAILS: Final = 1
#: The span of a point, seconds.
POINT_S: Final = 10
_PAUSES: Final = 3
_PAUSE_S: Final = 15.0

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
CREATE TABLE about (data BLOB NOT NULL);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, track INTEGER NOT NULL, from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX segment_times ON segments (track, from_ms);
CREATE TABLE fresh (
    id INTEGER PRIMARY KEY, track INTEGER NOT NULL, at_ms INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE points (
    at_s INTEGER PRIMARY KEY, ms INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL,
    died INTEGER NOT NULL
);
CREATE TABLE marks (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX mark_times ON marks (at_ms);
"""


class RecordingHeader(msgspec.Struct, frozen=True):
    """The description of a recording, in its file.

    Attributes:
        format: The version of the file format.
        workkit: The version of workkit that made the file.
        label: The source's name: a namespace and its server.
        every_s: The time between two readings, seconds.
    """

    format: int
    workkit: str
    label: str
    every_s: float


def longest_pause_s(every_s: float) -> float:
    """Return after how long without a reading a time was not recorded, seconds.

    Args:
        every_s: The time between two readings. A console reads less often while nothing changes.
    """
    return max(_PAUSES * every_s, _PAUSE_S)


def encoded_value(value: Any) -> bytes:
    """Encode a value as it is before it is compressed.

    Raises:
        ValueError: It is larger than a reader accepts.
    """
    encoded = packed(value)
    if len(encoded) > MOST_BYTES:
        raise ValueError(f"a reading takes {len(encoded):,} bytes; at most {MOST_BYTES:,} fit")
    return encoded


def squeezed(value: Any) -> bytes:
    """Encode a segment, which is written once and kept for long, in as few bytes as possible.

    Raises:
        ValueError: It is larger than a reader accepts.
    """
    return zlib.compress(encoded_value(value), 9)


def check_kind(path: Path) -> None:
    """Refuse a file that is not a recording. The file is not changed.

    Raises:
        InvalidOption: There is no such file, it is empty or of another program, or it cannot be
            read.
    """
    try:
        if not path.exists():
            raise InvalidOption(f"there is no file {path}; `workkit record {path}` makes one")
        if not path.is_file():
            raise InvalidOption(f"{path} is not a regular file, so it is not a recording")
        if not path.stat().st_size:
            raise InvalidOption(
                f"{path} is empty, so it is not a recording; remove it, or name another file"
            )
    except OSError as error:
        raise InvalidOption(f"{path} cannot be read: {error.strerror or error}") from None
    found = _application_id(path)
    if found == SNAPSHOT_ID:
        raise InvalidOption(f"{path} is a snapshot, not a recording; open it with --snapshot")
    if found != APPLICATION_ID:
        raise InvalidOption(
            f"{path} is a database of another program; name a file of `workkit record`"
        )


def _application_id(path: Path) -> int:
    """Read SQLite's number for the program of a database, without any trace on disk."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            number: int = database.execute("PRAGMA application_id").fetchone()[0]
            return number
    except sqlite3.OperationalError as error:
        raise InvalidOption(f"{path} cannot be read: {error}") from None
    except sqlite3.Error:
        raise InvalidOption(
            f"{path} is not a recording, or its beginning is damaged; name a file of "
            "`workkit record`"
        ) from None


def check_header(path: str | os.PathLike[str], database: sqlite3.Connection) -> RecordingHeader:
    """Read the description of a recording.

    Raises:
        InvalidOption: The file is damaged, or a later version of workkit wrote it.
    """
    try:
        row = database.execute("SELECT data FROM about").fetchone()
        about: RecordingHeader = unpack(row[0] if row else b"", RecordingHeader)
    except (sqlite3.Error, ValueError) as error:
        raise InvalidOption(
            f"{path} is damaged: {error}; keep it for an analysis, and record to another file"
        ) from None
    if about.format > FORMAT:
        raise InvalidOption(
            f"{path} was written by workkit {about.workkit}, whose format is newer; update workkit"
        )
    return about
