"""Reads archives piece by piece: only the files, the parts of files and the columns that matter.

A reader holds a shared lock on the archive. Files that are merged or forgotten meanwhile are moved
aside, and deleted only when no reader is left. So a reader sees each record once, whenever it has
listed the files.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

from workkit.admin.steps.history import HistoryQuery
from workkit.core.options import shown
from workkit.errors import InvalidOption
from workkit.frames.archive_changes import open_file, reading
from workkit.frames.archive_files import ArchiveFile, readable_files
from workkit.frames.extra import pa
from workkit.frames.stored import Located, as_stored, check_version, located

__all__ = ["BATCH", "Wanted", "damaged", "file_tables", "layout_of", "tables_of"]

#: The most records in one piece.
BATCH: Final = 131_072


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of an archive; None means everything.

    Attributes:
        since_ms: Executions that ended then or later, epoch milliseconds.
        until_ms: Executions that ended before.
        names: Jobs of these names.
        outcomes: Executions with these outcomes.

    Raises:
        InvalidOption: An outcome is unknown, or a time is not valid.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    names: tuple[str, ...] | None = None
    outcomes: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        since: float | None,
        until: float | None,
        name: str | Sequence[str] | None = None,
        outcome: str | Sequence[str] | None = None,
    ) -> Wanted:
        """Return the filters of these times, epoch seconds, and of one or several labels."""
        outcomes = _several("outcome", outcome)
        for each in outcomes or (None,):
            HistoryQuery(since, until, None, each, None)  # refuses what is not valid
        return cls(
            None if since is None else ceil(since * 1_000),
            None if until is None else ceil(until * 1_000),
            _several("name", name),
            outcomes,
        )

    def narrowed(
        self, since_ms: int | None, until_ms: int | None, among: Sequence[str] | None
    ) -> Wanted:
        """Return these filters with further ones; None is no further filter."""
        since = [each for each in (self.since_ms, since_ms) if each is not None]
        until = [each for each in (self.until_ms, until_ms) if each is not None]
        outcomes = self.outcomes
        if among is not None:
            outcomes = tuple(each for each in among if outcomes is None or each in outcomes)
        return Wanted(max(since, default=None), min(until, default=None), self.names, outcomes)

    def may_have(self, file: ArchiveFile) -> bool:
        """Tell whether a file can have such records."""
        return file.may_have(self.since_ms, self.until_ms)

    def expression(self) -> Any:
        """Return the filters as an expression of Arrow; None without any."""
        import pyarrow.compute as pc

        parts = []
        for name, compare, at_ms in (
            ("finished_at", operator.ge, self.since_ms),
            ("finished_at", operator.lt, self.until_ms),
        ):
            if at_ms is not None:
                at = pa.scalar(at_ms, pa.timestamp("ms", tz="UTC"))
                parts.append(compare(pc.field(name), at))
        for name, values in (("name", self.names), ("outcome", self.outcomes)):
            if values is not None:
                any_of = (pc.field(name) == value for value in values)
                parts.append(functools.reduce(operator.or_, any_of, pc.scalar(value=False)))
        return functools.reduce(operator.and_, parts) if parts else None


def _several(option: str, values: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if values is None:
        return None
    several = (values,) if isinstance(values, str) else values
    if not isinstance(several, Iterable):
        raise InvalidOption(f"{option} must be a text or several texts, not {shown(values)}")
    several = tuple(several)
    if wrong := [each for each in several if not isinstance(each, str)]:
        raise InvalidOption(f"{option} must be a text or several texts, not {shown(wrong[0])}")
    return several


def tables_of(
    root: Path,
    wanted: Wanted,
    columns: Sequence[str] | None = None,
    files: Sequence[ArchiveFile] | None = None,
) -> Iterator[Any]:
    """Yield an archive's matching records piece by piece, as Arrow tables.

    Files that cannot match are not opened, and parts of files that cannot match are not read.

    Args:
        root: The archive.
        wanted: The filters.
        columns: The columns of the frame "history" that are wanted, in this order; all by default.
        files: The files, if they were listed before, by a reader that still reads.

    Yields:
        Tables with the types of files: spans are whole milliseconds.

    Raises:
        InvalidOption: The directory is not an archive, or a file is damaged.
    """
    with reading(root):
        for file in readable_files(root) if files is None else files:
            if wanted.may_have(file):
                yield from file_tables(root, file, wanted, columns)


def file_tables(
    root: Path, file: ArchiveFile, wanted: Wanted, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """Yield the matching records of one file; see `tables_of`."""
    import pyarrow.dataset as ds

    try:
        fragment = ds.ParquetFileFormat().make_fragment(open_file(root, file.path))
        layout = layout_of(file.path, fragment.physical_schema, columns)
        names = [each.name for each in layout if each.name is not None]
        wanted_rows = wanted.expression()
        # A scanner of the whole file reads on while nobody takes what it has read: up to 1 GiB.
        for part in fragment.split_by_row_group(wanted_rows):
            for batch in part.to_batches(columns=names, filter=wanted_rows, batch_size=BATCH):
                if batch.num_rows:
                    yield as_stored(pa.Table.from_batches([batch]), layout, "history")
    except (OSError, pa.ArrowException) as error:
        raise damaged(file.path, error) from None


def layout_of(path: Path, found: Any, columns: Sequence[str] | None = None) -> list[Located]:
    """Tell where a file of an archive has the columns of history.

    Args:
        path: The file.
        found: The schema of the file.
        columns: The columns that are wanted; all by default.

    Raises:
        InvalidOption: It is not a file of history, or of a newer version.
    """
    try:
        check_version(found.metadata, "history")
    except InvalidOption as error:
        raise InvalidOption(f"{path} cannot be read: {error}") from None
    return located(found.names, "history", columns)


def damaged(path: Path, error: Exception) -> InvalidOption:
    """Return the error of a file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InvalidOption(f"{path} is gone: it was merged or deleted meanwhile; read again")
    return InvalidOption(f"{path} is damaged: {error}; restore it, or move it out of the archive")
