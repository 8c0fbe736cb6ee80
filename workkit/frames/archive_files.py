"""The files of an archive: how they are named, what they say of themselves, how they are read.

An archive is a directory with Parquet files, partitioned by the UTC day on which history was
written: ``day=2026-11-25/FIRST.LAST.parquet``, by the ids of the first and the last entry of the
stream that the file holds. A file appears whole or not at all, and begins after the newest one, so
the names alone say how far the archive has come. Anything that reads Parquet can read it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit.admin.steps.history import HistoryQuery, id_pair
from workkit.core.text import counted
from workkit.errors import InvalidOption
from workkit.frames.extra import pa
from workkit.frames.schema import schema

__all__ = [
    "ABOUT",
    "ArchiveFile",
    "ArchiveHeader",
    "Gap",
    "archive_gaps",
    "day_of",
    "files_of",
    "tables_of",
]

#: The key of a file's metadata that holds its `About`.
ABOUT: Final = b"workkit_archive"
_DAY_MS: Final = 86_400_000


class Gap(msgspec.Struct, frozen=True):
    """Records that history had and the archive does not.

    Attributes:
        after: The id of the last entry before them; "" for the beginning of history.
        before: The id of the first entry after them.
        records: How many they are; None where history has begun again, so that nobody can tell.
    """

    after: str
    before: str
    records: int | None

    def __str__(self) -> str:
        """Say it in words."""
        since = f"after {_when(self.after)}" if self.after else "before the archive began"
        if self.records is None:
            return f"history was deleted and has begun again {since}, before {_when(self.before)}"
        were = "was" if self.records == 1 else "were"
        return f"{counted(self.records, 'record')} {since} {were} trimmed before being archived"


class ArchiveHeader(msgspec.Struct, frozen=True):
    """What a file of an archive says of itself.

    Attributes:
        label: What was read.
        records: How many records it holds.
        unreadable: How many it should hold and could not be read.
        gaps: What is missing in front of its records and among them.
    """

    label: str
    records: int
    unreadable: int = 0
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """A file of an archive, by its name; they sort as they were written.

    Attributes:
        last: Milliseconds and total of the last entry.
        first: The same of the first.
        path: Where it is.
    """

    last: tuple[int, int]
    first: tuple[int, int]
    path: Path

    @property
    def last_id(self) -> str:
        """The id of its last entry."""
        return f"{self.last[0]}-{self.last[1]}"

    def about(self) -> ArchiveHeader:
        """Return what the file says of itself.

        Raises:
            InvalidOption: The file does not belong to an archive.
        """
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(self.path).metadata or {}
            return msgspec.json.decode(metadata[ABOUT], type=ArchiveHeader)
        except (OSError, pa.ArrowException, KeyError, msgspec.MsgspecError) as error:
            raise InvalidOption(f"{self.path} does not belong to an archive: {error}") from None


def files_of(directory: Path) -> list[ArchiveFile]:
    """Return the files of an archive, in the order in which they were written."""
    files = []
    for path in directory.glob("day=*/*.parquet"):
        first, _, last = path.stem.partition(".")
        try:
            files.append(ArchiveFile(id_pair(last), id_pair(first), path))
        except InvalidOption:
            raise InvalidOption(
                f"{path} does not belong to an archive; keep other files somewhere else"
            ) from None
    return sorted(files)


def archive_gaps(directory: str | Path) -> list[Gap]:
    """Return what history had and an archive does not, the oldest first.

    Raises:
        InvalidOption: A file there does not belong to an archive.
    """
    return [gap for file in files_of(Path(directory)) for gap in file.about().gaps]


def tables_of(directory: Path, query: HistoryQuery) -> Iterator[Any]:
    """Yield an archive's records as Arrow tables, a file each.

    Args:
        directory: The archive.
        query: What is wanted; files that cannot have any of it are left out.
    """
    import pyarrow.parquet as pq

    wanted = schema("history").arrow()
    for file in files_of(directory):
        # What a file holds finished on the day of its entries or before.
        if query.since is not None and file.last[0] < query.since_ms:
            continue
        yield pq.ParquetFile(file.path).read().select(wanted.names).cast(wanted)


def day_of(ms: int) -> str:
    """Return the UTC day of a time in epoch milliseconds, as directories have it."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=ms // _DAY_MS)).isoformat()


def _when(entry_id: str) -> str:
    at = datetime.datetime.fromtimestamp(id_pair(entry_id)[0] // 1_000, datetime.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
