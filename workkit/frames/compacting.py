"""Merges the files of each day of an archive into one, and forgets what is too old.

The new file of a day is prepared beside the archive, and exchanged with the old ones in one step.
So any program sees each record once at any moment. What a kill leaves, the next run removes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit.core.options import check_flag, check_time
from workkit.errors import InvalidOption
from workkit.frames.archive_changes import Change, changing, owner_only
from workkit.frames.archive_files import (
    ArchiveFile,
    ArchiveHeader,
    folder_of,
    name_of,
    readable_files,
    write_file,
)
from workkit.frames.archive_reading import BATCH, Wanted, damaged, file_tables
from workkit.frames.extra import pa
from workkit.frames.schema import VERSION, schema
from workkit.frames.stored import check_version, from_stored
from workkit.frames.times import Time, epoch_s

__all__ = ["Compacted", "compact", "forget"]

_EVERYTHING: Final = Wanted()


@dataclass(slots=True)
class Compacted:
    """The result of compacting.

    Attributes:
        days: The number of days whose files were merged.
        merged: The number of files that were merged.
        files: The number of files that they became.
    """

    days: int = 0
    merged: int = 0
    files: int = 0


def compact(
    directory: str | os.PathLike[str],
    *,
    ended: bool = False,
    told: Callable[[int, int], None] | None = None,
) -> Compacted:
    """Merge the files of each day of an archive into one file, with all columns as they are now.

    Readers and archivers may be at work. A reader sees each record once, before and after. The run
    can end at any point; the next one continues with the day that was not finished. Where a file is
    missing, the files on both sides of the gap stay apart, so that it can come back.

    Args:
        directory: The archive.
        ended: Only days that have ended: leave out the newest, whose files still grow in number.
        told: Receives how many days were looked at so far, and of how many.

    Raises:
        InvalidOption: The directory is not an archive, another process is compacting it, its file
            system cannot exchange folders, or a file is damaged. The other days are compacted.
    """
    check_flag("ended", ended)
    root = folder_of(directory)
    readable_files(root)  # refuses what is no archive
    done, failed = Compacted(), []
    with changing(root) as change:
        days = [
            (day, list(files))
            for day, files in itertools.groupby(readable_files(root), lambda file: file.day)
        ]
        for number, (day, files) in enumerate(days[:-1] if ended else days):
            try:
                _compact_day(root, change, day, files, done)
            except InvalidOption as error:
                failed.append(error)
            if told is not None:
                told(number + 1, len(days))
    if failed:
        raise failed[0]
    return done


def _compact_day(
    root: Path, change: Change, day: str, files: list[ArchiveFile], done: Compacted
) -> None:
    runs = [run for run in _runs(files) if len(run) > 1 or _is_old(run[0][0])]
    if not runs:
        return
    folder = change.prepared(day)
    for run in runs:
        _merge(root, folder, run)
    merged = [file for run in runs for file, _ in run]
    change.exchange(day, folder, frozenset(file.path.name for file in merged))
    done.days += 1
    done.files += len(runs)
    done.merged += len(merged)


def _runs(files: list[ArchiveFile]) -> Iterator[list[tuple[ArchiveFile, ArchiveHeader]]]:
    """Yield the files of a day in runs between which files are missing."""
    run: list[tuple[ArchiveFile, ArchiveHeader]] = []
    for file in files:
        about = file.about()
        if run and file.missing_after(run[-1][0], about) > 0:
            yield run
            run = []
        run.append((file, about))
    if run:
        yield run


def _is_old(file: ArchiveFile) -> bool:
    """Tell whether a file has the columns of an older version."""
    import pyarrow.parquet as pq

    try:
        return check_version(pq.read_schema(file.path).metadata, "history") < VERSION
    except (OSError, pa.ArrowException) as error:
        raise damaged(file.path, error) from None


def _merge(root: Path, folder: Path, run: list[tuple[ArchiveFile, ArchiveHeader]]) -> None:
    """Write the records of some files to one file."""
    files, headers = [file for file, _ in run], [about for _, about in run]
    about = ArchiveHeader(
        headers[-1].label,
        sum(each.records for each in headers),
        sum(each.unreadable for each in headers),
        tuple(gap for each in headers for gap in each.gaps),
        sum(each.forgotten for each in headers),
        _common(headers),
    )
    late = any(file.late for file in files)
    name = name_of(files[0].first_id, files[-1].last_id, late=late)
    partial = folder / f"{name}.partial"
    with open(partial, "wb", opener=owner_only) as output:
        written = write_file(output, _gathered(root, files), about)
    if written != about.records:
        # Nothing is replaced by less than itself.
        raise InvalidOption(
            f"{files[0].path.parent} has {written:,} records where {about.records:,} were written; "
            "workkit audit names the file"
        )
    partial.rename(folder / name)


def _common(headers: list[ArchiveHeader]) -> tuple[str, ...]:
    """Return what was left out of all files."""
    kept = [set(each.redacted) for each in headers]
    return tuple(each for each in headers[0].redacted if all(each in found for found in kept))


def _gathered(root: Path, files: list[ArchiveFile]) -> Iterator[Any]:
    """Yield the records of some files in tables of a good size: many files have only a few."""
    tables: list[Any] = []
    records = 0
    for file in files:
        for table in file_tables(root, file, _EVERYTHING):
            tables.append(table)
            records += table.num_rows
            if records >= BATCH:
                yield _joined(tables)
                tables, records = [], 0
    if tables:
        yield _joined(tables)


def _joined(tables: list[Any]) -> Any:
    return from_stored(pa.concat_tables(tables).unify_dictionaries(), "history")


def forget(directory: str | os.PathLike[str], before: Time) -> int:
    """Delete the files of an archive whose records were all written before a time.

    A file has records of one day at most, so the last of them goes a day later than the first. Of
    the newest file only the records go: its name shows how far the archive has come.

    Args:
        directory: The archive.
        before: The time: epoch seconds, a time with a zone, ISO 8601 with a zone, or a span before
            now such as "90d".

    Returns:
        The number of records that are gone.

    Raises:
        InvalidOption: The directory is not an archive, another process is merging its files, or the
            time is not valid.
    """
    root, before_s = folder_of(directory), epoch_s(before)
    if before_s is None:
        raise InvalidOption("before must be a time or a span such as 90d, not None")
    check_time("before", before_s)
    readable_files(root)
    forgotten = 0
    with changing(root) as change:
        files = readable_files(root)
        newest = files[-1:]
        for file in files:
            if file.last[0] >= before_s * 1_000:
                break
            about = file.about()
            if [file] != newest:
                change.set_aside(file.path)
            elif about.records:
                _empty(change, file, about)
            forgotten += about.records
    return forgotten


def _empty(change: Change, file: ArchiveFile, about: ArchiveHeader) -> None:
    """Replace a file by one without records that accounts for the same ones."""
    forgotten = about.forgotten + about.records
    empty = msgspec.structs.replace(about, records=0, forgotten=forgotten)
    folder = change.prepared(file.day)
    with open(folder / f"{file.path.name}.partial", "wb", opener=owner_only) as output:
        write_file(output, [schema("history").arrow().empty_table()], empty)
    (folder / f"{file.path.name}.partial").rename(folder / file.path.name)
    change.exchange(file.day, folder, frozenset({file.path.name}))
