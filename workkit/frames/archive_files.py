"""The files of an archive: their names, their metadata, and how they are read.

An archive is a directory of Parquet files: ``day=2026-11-25/FIRST.LAST.parquet``. The day is the
UTC day on which history was written. FIRST and LAST are the ids of the first and last entry of the
stream in the file. A file appears only when it is complete, and begins after the newest file. So
the names show how far the archive has come. Any program that reads Parquet can read an archive.

History may be written long after an execution, when Redis was away. A file that has an execution
which ended more than a day before is named ``FIRST.LAST.late.parquet``. So the names also show
which files can have executions of some days; the others are not opened.
"""

from __future__ import annotations

import datetime
import functools
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from workkit.admin.steps.history import HistoryQuery, id_pair
from workkit.core.text import counted
from workkit.errors import InvalidOption
from workkit.frames.extra import pa
from workkit.frames.schema import schema

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
    "tables_of",
]

#: The metadata key of a file's `About`.
ABOUT: Final = b"workkit_archive"
#: The end of the names of files with an execution that ended more than a day before its entry.
LATE: Final = ".late"
#: The file that an archiver locks.
LOCK: Final = ".lock"
DAY_MS: Final = 86_400_000


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
        late: Whether it has an execution that ended more than a day before its entry.
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

    def may_match(self, query: HistoryQuery) -> bool:
        """Tell whether it can have executions that ended between `since` and `until`."""
        # An execution has ended before its entry was written, and mostly on the same day.
        if query.since is not None and self.last[0] < query.since_ms:
            return False
        return query.until is None or self.late or self.first[0] - DAY_MS < query.until * 1_000

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
    """Return the files of an archive, the oldest first.

    Raises:
        InvalidOption: A file in the directory does not belong to an archive.
    """
    files = []
    for path in directory.glob("day=*/*.parquet"):
        first, _, last = path.stem.removesuffix(LATE).partition(".")
        try:
            late = path.stem.endswith(LATE)
            files.append(ArchiveFile(id_pair(last), id_pair(first), path, late))
        except InvalidOption:
            raise InvalidOption(
                f"{path} does not belong to an archive; move it to another directory"
            ) from None
    return sorted(files)


def _readable(directory: Path) -> list[ArchiveFile]:
    """Return the files of a directory that must be an archive."""
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
    for file in _readable(Path(directory)):
        about = file.about()
        known = [gap.records for gap in about.gaps]
        # What the file and its gaps account for reaches back to the end of the file before.
        if before is not None and None not in known:
            accounted = about.records + about.unreadable + sum(n for n in known if n is not None)
            missing = file.last[1] - accounted - before.last[1]
            if missing > 0:
                gaps.append(Gap(before.last_id, file.first_id, missing, "file"))
        gaps += about.gaps
        before = file
    return gaps


def tables_of(directory: Path, query: HistoryQuery) -> Iterator[Any]:
    """Yield an archive's matching records as Arrow tables, one for each file.

    Args:
        directory: The archive.
        query: The filters. Files that cannot match are not opened, and parts of files that cannot
            match are not read.

    Raises:
        InvalidOption: The directory is not an archive, or a file is damaged.
    """
    import pyarrow.parquet as pq

    wanted, matching = schema("history").arrow(), _expression(query)
    for file in _readable(directory):
        if not file.may_match(query):
            continue
        try:
            table = pq.read_table(
                file.path, columns=wanted.names, filters=matching, partitioning=None
            )
            yield table.select(wanted.names).cast(wanted)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise InvalidOption(
                f"{file.path} is damaged: {error}; restore it, or move it out of the archive"
            ) from None


def _expression(query: HistoryQuery) -> Any:
    """Return the filters as an expression for Parquet files; None without any."""
    import pyarrow.compute as pc

    def at(seconds: float) -> Any:
        return pa.scalar(math.ceil(seconds * 1_000), pa.timestamp("ms", tz="UTC"))

    parts = []
    if query.since is not None:
        parts.append(pc.field("finished_at") >= at(query.since))
    if query.until is not None:
        parts.append(pc.field("finished_at") < at(query.until))
    if query.name is not None:
        parts.append(pc.field("name") == query.name)
    if query.outcome is not None:
        parts.append(pc.field("outcome") == query.outcome)
    return functools.reduce(operator.and_, parts) if parts else None


def day_of(ms: int) -> str:
    """Return the UTC day of a time in epoch milliseconds, as in the names of directories."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=ms // DAY_MS)).isoformat()


def _when(entry_id: str) -> str:
    at = datetime.datetime.fromtimestamp(id_pair(entry_id)[0] // 1_000, datetime.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
