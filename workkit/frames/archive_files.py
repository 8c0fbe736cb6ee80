"""The files of an archive: their names, their metadata, and how they are read.

An archive is a directory of Parquet files: ``day=2026-11-25/FIRST.LAST.parquet``. The day is the
UTC day on which history was written. FIRST and LAST are the ids of the first and last entry of the
stream in the file. A file appears only when it is complete, and begins after the newest file. So
the names show how far the archive has come. Any program that reads Parquet can read an archive.

History may be written long after an execution, when Redis was away, or by a host whose clock was
ahead. A file that has an execution which ended more than a day before, or more than a second after
its entries is named ``FIRST.LAST.late.parquet``. So the names also show which files can have
executions of some days; the others are not opened.

The files of a day may be merged into one (`workkit.frames.compacting`), whose name tells the same.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import msgspec

from workkit.admin.steps.history import id_pair
from workkit.core.options import shown
from workkit.core.text import counted
from workkit.errors import InvalidOption
from workkit.frames.archive_changes import listed, open_file, reading
from workkit.frames.extra import pa
from workkit.frames.schema import schema
from workkit.frames.stored import to_stored

__all__ = [
    "ABOUT",
    "DAY_MS",
    "LATE",
    "LOCK",
    "ArchiveFile",
    "ArchiveHeader",
    "Gap",
    "archive_gaps",
    "day_of",
    "files_of",
    "folder_of",
    "is_late",
    "name_of",
    "readable_files",
    "write_file",
]

#: The metadata key of a file's `About`.
ABOUT: Final = b"workkit_archive"
#: The end of the names of files with an execution that ended at another time than its entry tells.
LATE: Final = ".late"
#: The file that an archiver locks.
LOCK: Final = ".lock"
DAY_MS: Final = 86_400_000
#: How long after its file's last entry an execution may seem to have ended. Clocks of hosts and of
#: the server differ by less, if they are kept.
_AHEAD_MS: Final = 1_000


class Gap(msgspec.Struct, frozen=True):
    """Records that history had but the archive does not have.

    Attributes:
        after: The id of the last entry before the gap; "" for the beginning of history.
        before: The id of the first entry after the gap.
        records: The number of missing records; None if history was deleted and began again.
        lost: How they were lost: "history" if they were trimmed before they were archived, "file"
            if a file of the archive is missing.
    """

    after: str
    before: str
    records: int | None
    lost: Literal["history", "file"] = "history"

    def __str__(self) -> str:
        """Describe the gap in words."""
        since = f"after {_when(self.after)}" if self.after else "before the archive began"
        if self.records is None:
            return f"history was deleted and has begun again {since}, before {_when(self.before)}"
        number, were = counted(self.records, "record"), "was" if self.records == 1 else "were"
        if self.lost == "file":
            are = "is" if self.records == 1 else "are"
            return f"{number} {since} {are} missing: a file of the archive is gone"
        return f"{number} {since} {were} trimmed before being archived"


class ArchiveHeader(msgspec.Struct, frozen=True):
    """The metadata of a file of an archive.

    Attributes:
        label: The source's name.
        records: The number of records in the file.
        unreadable: Records that could not be read, so that they are missing in the file.
        gaps: The gaps before and among its records.
        forgotten: Records that were removed because of their age.
        redacted: Patterns of the keys of args whose values were left out.
    """

    label: str
    records: int
    unreadable: int = 0
    gaps: tuple[Gap, ...] = ()
    forgotten: int = 0
    redacted: tuple[str, ...] = ()

    @property
    def begins_again(self) -> bool:
        """Whether history was deleted and has begun again before one of its records."""
        return any(gap.records is None for gap in self.gaps)

    @property
    def accounted(self) -> int:
        """How many records of history it accounts for: those that it has, had, or knows as lost."""
        lost = sum(gap.records or 0 for gap in self.gaps)
        return self.records + self.unreadable + self.forgotten + lost


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """A file of an archive. Files sort in the order in which they were written.

    Attributes:
        last: Milliseconds and total of the last entry's id.
        first: The same of the first entry.
        late: Whether it has an execution that ended long before its entry, or after it; see
            `is_late`.
    """

    last: tuple[int, int]
    first: tuple[int, int]
    path: Path
    late: bool = False

    @property
    def last_id(self) -> str:
        """The id of the last entry."""
        return f"{self.last[0]}-{self.last[1]}"

    @property
    def first_id(self) -> str:
        """The id of the first entry."""
        return f"{self.first[0]}-{self.first[1]}"

    @property
    def day(self) -> str:
        """The name of the folder of its day."""
        return self.path.parent.name

    def may_have(self, since_ms: int | None, until_ms: int | None) -> bool:
        """Tell whether it can have executions that ended between two times, epoch milliseconds."""
        # An execution has ended before its entry was written, and mostly on the same day.
        return self.late or not (
            (since_ms is not None and self.last[0] + _AHEAD_MS < since_ms)
            or (until_ms is not None and self.first[0] - DAY_MS >= until_ms)
        )

    def missing_after(self, before: ArchiveFile, about: ArchiveHeader) -> int:
        """Return how many records are missing between another file and this one.

        Args:
            before: The file before it.
            about: Its own metadata. What it accounts for reaches back to the end of that file.
        """
        return 0 if about.begins_again else self.last[1] - about.accounted - before.last[1]

    def about(self) -> ArchiveHeader:
        """Read the file's metadata.

        Raises:
            InvalidOption: The file does not belong to an archive.
        """
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(open_file(self.path.parent.parent, self.path)).metadata or {}
            return msgspec.json.decode(metadata[ABOUT], type=ArchiveHeader)
        except (OSError, pa.ArrowException, KeyError, msgspec.MsgspecError) as error:
            raise InvalidOption(f"{self.path} does not belong to an archive: {error}") from None


def folder_of(directory: object) -> Path:
    """Return the path of an archive.

    Raises:
        InvalidOption: It is not a path.
    """
    if not isinstance(directory, (str, os.PathLike)):
        raise InvalidOption(f"an archive is a directory, so give its path, not {shown(directory)}")
    if "\0" in os.fspath(directory):
        raise InvalidOption(f"{shown(directory)} is not a path")
    return Path(directory)


def files_of(directory: Path) -> list[ArchiveFile]:
    """Return the files of an archive, the oldest first.

    Raises:
        InvalidOption: A file in the directory does not belong to an archive, or a folder cannot be
            read.
    """
    files = []
    for path in _paths_of(directory):
        first, _, last = path.stem.removesuffix(LATE).partition(".")
        try:
            late = path.stem.endswith(LATE)
            files.append(ArchiveFile(id_pair(last), id_pair(first), path, late))
        except InvalidOption:
            raise InvalidOption(
                f"{path} does not belong to an archive; move it to another directory"
            ) from None
    return sorted(files)


def _paths_of(directory: Path) -> Iterator[Path]:
    """Yield the paths of an archive's files, in no order."""
    # All days first: of a day that begins meanwhile nothing is seen, for what came before it may
    # have been missed.
    for day in list(directory.glob("day=*")):
        try:
            yield from (path for path in listed(day) if path.suffix == ".parquet")
        except OSError as error:
            raise InvalidOption(f"{day} cannot be read: {error.strerror or error}") from None


def readable_files(directory: Path) -> list[ArchiveFile]:
    """Return the files of a directory that must be an archive, the oldest first.

    Raises:
        InvalidOption: It is not an archive, or a file in it does not belong to one.
    """
    files = files_of(directory)
    if not files and not (directory / LOCK).exists():
        raise InvalidOption(
            f"{directory} is not an archive: it has no folders such as day=2026-11-25; "
            "workkit archive makes one"
        )
    return files


def archive_gaps(directory: str | Path) -> list[Gap]:
    """Return the gaps of an archive, the oldest first: what history lost, and missing files.

    Raises:
        InvalidOption: The directory is not an archive, or a file in it does not belong to one.
    """
    gaps: list[Gap] = []
    before: ArchiveFile | None = None
    root = folder_of(directory)
    with reading(root):
        for file in readable_files(root):
            about = file.about()
            missing = 0 if before is None else file.missing_after(before, about)
            if before is not None and missing > 0:
                gaps.append(Gap(before.last_id, file.first_id, missing, "file"))
            gaps += about.gaps
            before = file
    return gaps


def is_late(first_ms: int, last_ms: int, earliest_ms: int, latest_ms: int) -> bool:
    """Tell whether the times of a file's entries do not show when its executions have ended.

    Args:
        first_ms: When its first entry was written, epoch milliseconds.
        last_ms: The same of its last entry.
        earliest_ms: When the first of its executions ended.
        latest_ms: The same of the last one.
    """
    return earliest_ms < first_ms - DAY_MS or latest_ms > last_ms + _AHEAD_MS


def name_of(first: str, last: str, *, late: bool) -> str:
    """Return the name of the file of the entries with these ids, from the first to the last."""
    return f"{first}.{last}{LATE if late else ''}.parquet"


def write_file(file: IO[bytes], tables: Iterable[Any], about: ArchiveHeader) -> int:
    """Write tables of history to a file of an archive, and make sure that they are on the disk.

    Args:
        file: The open file.
        tables: The tables. Only one of them must be in memory.
        about: The metadata of the file.

    Returns:
        The number of records written.
    """
    import pyarrow.parquet as pq

    stored, records = schema("history").stored(), 0
    metadata = {**stored.metadata, ABOUT: msgspec.json.encode(about)}
    with pq.ParquetWriter(file, stored.with_metadata(metadata), compression="zstd") as writer:
        for table in tables:
            writer.write_table(to_stored(table, "history"))
            records += table.num_rows
    file.flush()
    os.fsync(file.fileno())
    return records


def day_of(ms: int) -> str:
    """Return the name of the folder of a time in epoch milliseconds, which has its UTC day."""
    return f"day={datetime.date(1970, 1, 1) + datetime.timedelta(days=ms // DAY_MS)}"


def _when(entry_id: str) -> str:
    at = datetime.datetime.fromtimestamp(id_pair(entry_id)[0] // 1_000, datetime.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
