"""The files of an archive: their names, their metadata, and how they are read.

An archive is a directory of Parquet files: ``day=2026-11-25/FIRST.LAST.parquet``. The day is the
UTC day on which history was written. FIRST and LAST are the ids of the first and last entry of the
stream in the file. A file appears only when it is complete, and begins after the newest file. So
the names show how far the archive has come. Any program that reads Parquet can read an archive.
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

#: The metadata key of a file's `About`.
ABOUT: Final = b"workkit_archive"
_DAY_MS: Final = 86_400_000


class Gap(msgspec.Struct, frozen=True):
    """Records that history had but the archive does not have.

    Attributes:
        after: The id of the last entry before the gap; "" for the beginning of history.
        before: The id of the first entry after the gap.
        records: The number of missing records; None if history was deleted and began again.
    """

    after: str
    before: str
    records: int | None

    def __str__(self) -> str:
        """Describe the gap in words."""
        since = f"after {_when(self.after)}" if self.after else "before the archive began"
        if self.records is None:
            return f"history was deleted and has begun again {since}, before {_when(self.before)}"
        were = "was" if self.records == 1 else "were"
        return f"{counted(self.records, 'record')} {since} {were} trimmed before being archived"


class ArchiveHeader(msgspec.Struct, frozen=True):
    """The metadata of a file of an archive.

    Attributes:
        label: The source's name.
        records: The number of records in the file.
        unreadable: Records that could not be read, so that they are missing in the file.
        gaps: The gaps before and among its records.
    """

    label: str
    records: int
    unreadable: int = 0
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """A file of an archive. Files sort in the order in which they were written.

    Attributes:
        last: Milliseconds and total of the last entry's id.
        first: The same of the first entry.
    """

    last: tuple[int, int]
    first: tuple[int, int]
    path: Path

    @property
    def last_id(self) -> str:
        """The id of the last entry."""
        return f"{self.last[0]}-{self.last[1]}"

    def about(self) -> ArchiveHeader:
        """Read the file's metadata.

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
    """Return the files of an archive, the oldest first."""
    files = []
    for path in directory.glob("day=*/*.parquet"):
        first, _, last = path.stem.partition(".")
        try:
            files.append(ArchiveFile(id_pair(last), id_pair(first), path))
        except InvalidOption:
            raise InvalidOption(
                f"{path} does not belong to an archive; move it to another directory"
            ) from None
    return sorted(files)


def archive_gaps(directory: str | Path) -> list[Gap]:
    """Return the gaps of an archive, the oldest first.

    Raises:
        InvalidOption: A file in the directory does not belong to an archive.
    """
    return [gap for file in files_of(Path(directory)) for gap in file.about().gaps]


def tables_of(directory: Path, query: HistoryQuery) -> Iterator[Any]:
    """Yield an archive's records as Arrow tables, one for each file.

    Args:
        directory: The archive.
        query: The filters. Files that cannot match are skipped.
    """
    import pyarrow.parquet as pq

    wanted = schema("history").arrow()
    for file in files_of(directory):
        # Executions in a file finished on the day of its entries or before.
        if query.since is not None and file.last[0] < query.since_ms:
            continue
        yield pq.ParquetFile(file.path).read().select(wanted.names).cast(wanted)


def day_of(ms: int) -> str:
    """Return the UTC day of a time in epoch milliseconds, as in the names of directories."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=ms // _DAY_MS)).isoformat()


def _when(entry_id: str) -> str:
    at = datetime.datetime.fromtimestamp(id_pair(entry_id)[0] // 1_000, datetime.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
