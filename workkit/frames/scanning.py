"""A lazy source: an archive of any size for the engine of your choice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workkit.core.options import near_match, shown
from workkit.errors import InvalidOption
from workkit.frames import engines
from workkit.frames.archive_changes import reading
from workkit.frames.archive_files import ArchiveFile, readable_files
from workkit.frames.archive_reading import Wanted, tables_of
from workkit.frames.extra import pa
from workkit.frames.schema import Column, schema, to_frame
from workkit.frames.stored import from_stored
from workkit.frames.times import Time, epoch_s

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from polars import LazyFrame

__all__ = ["Scan", "frame_of_tables", "scan"]


def scan(
    archive: str | os.PathLike[str],
    *,
    since: Time | None = None,
    until: Time | None = None,
    name: str | Sequence[str] | None = None,
    outcome: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Scan:
    """Return the executions of an archive, without reading them.

    Give the scan to a measure such as `throughput`, which then reads it piece by piece, or to an
    engine. Only files, parts of files and columns that can matter are read.

    Args:
        archive: The directory of an archive.
        since: Only executions that finished then or later; see `history`.
        until: Only executions that finished before.
        name: Only jobs of this name, or of these names.
        outcome: Only this outcome, or these outcomes.
        columns: Only these columns, in this order; see `schema("history")`. In engines, spans of
            time are whole milliseconds, `wait_ms` and `run_ms`; both kinds of names can be given.

    Raises:
        InvalidOption: The directory is not an archive, or a filter or a column is unknown.
    """
    if not isinstance(archive, (str, os.PathLike)) or not Path(archive).is_dir():
        raise InvalidOption(
            f"a scan reads the directory of an archive, not {shown(archive)}; "
            "workkit archive makes one, and history reads other sources"
        )
    root = Path(archive)
    readable_files(root)  # refuses what is no archive
    read = (epoch_s(since), epoch_s(until))
    wanted = Wanted.of(*read, name, outcome)
    return Scan(root, wanted, read, None if columns is None else _checked(columns))


def _checked(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of history that are wanted, by their names in files or in frames."""
    known = list(_names())
    if isinstance(columns, str) or not isinstance(columns, Iterable) or not columns:
        raise InvalidOption(f"columns must be several names such as ['name'], not {shown(columns)}")
    for column in columns:
        if column not in known:
            near = near_match(column, known) if isinstance(column, str) else ""
            raise InvalidOption(
                f"unknown column {shown(column)}{near}; known are "
                f"{', '.join(schema('history').stored().names)}"
            )
    return tuple(dict.fromkeys(columns))


def _names() -> dict[str, Column]:
    """Return the columns of history by their names in frames and in files."""
    found = schema("history").columns
    return {each.name: each for each in found} | {each.stored: each for each in found}


class Scan:
    """The executions of an archive that match, which have not been read; see `scan`.

    Each use lists the files anew, so it sees what has been archived since. `arrow`, `pandas` and
    measures see each record once, also while the archive is compacted. The files of a DuckDB
    relation and of a Polars frame are listed when they are made: if they were merged before the
    query runs, the engine says that they are missing; make it again.

    Attributes:
        read: From when until when executions are wanted, epoch seconds; None without a bound.
    """

    def __init__(
        self,
        root: Path,
        wanted: Wanted,
        read: tuple[float | None, float | None],
        columns: tuple[str, ...] | None,
        files: list[ArchiveFile] | None = None,
    ) -> None:
        self.read = read
        self._files = files
        self._root = root
        self._wanted = wanted
        self._columns = columns

    def __repr__(self) -> str:
        return f"<Scan of {self._root}, {len(self.files):,} files>"

    @property
    def files(self) -> list[Path]:
        """The files that can have matching executions, the oldest first; no others are opened."""
        files = readable_files(self._root) if self._files is None else self._files
        return [file.path for file in files if self._wanted.may_have(file)]

    def duckdb(self, connection: DuckDBPyConnection | None = None) -> DuckDBPyRelation:
        """Return a relation of DuckDB, which queries can name: ``FROM executions``.

        Args:
            connection: Where the queries run; by default DuckDB's own.

        Raises:
            MissingExtra: DuckDB is not installed.
            InvalidOption: A file is damaged.
        """
        return engines.duckdb_relation(self.files, self._wanted, self._columns_of(), connection)

    def polars(self) -> LazyFrame:
        """Return a lazy frame of Polars.

        Raises:
            MissingExtra: Polars is not installed.
            InvalidOption: A file is damaged.
        """
        return engines.polars_frame(self.files, self._wanted, self._columns_of())

    def arrow(self) -> Any:
        """Return a `pyarrow.RecordBatchReader`, which reads the archive while it is iterated.

        Raises:
            InvalidOption: A file is damaged.
        """
        wanted, columns = schema("history").stored(), self._columns_of()
        fields = pa.schema([wanted.field(each.stored) for each in columns], wanted.metadata)
        names = [each.name for each in columns]
        batches = (batch for table in self.tables(names) for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(fields, batches)

    def pandas(self) -> Any:
        """Return a DataFrame, as `history` does. It must fit in memory.

        With `columns` it has only these: ``run`` as a timedelta, ``run_ms`` as a whole number.

        Raises:
            InvalidOption: A file is damaged.
        """
        names = self._columns or schema("history").names
        columns = [each.name for each in self._columns_of()]
        frame = frame_of_tables(list(self.tables(columns)), names)
        frame.attrs["read"] = self.read
        return frame

    def only(self, columns: Sequence[str]) -> Scan:
        """Return the same executions with other columns; see `scan`.

        Raises:
            InvalidOption: A column is unknown.
        """
        return Scan(self._root, self._wanted, self.read, _checked(columns), self._files)

    def narrowed(
        self,
        since: float | None = None,
        until: float | None = None,
        outcome: str | Sequence[str] | None = None,
    ) -> Scan:
        """Return only some of the executions.

        Args:
            since: Those that finished then or later, epoch seconds.
            until: Those that finished before, epoch seconds.
            outcome: Those with this outcome, or one of these.
        """
        since_ms, until_ms = (
            None if time is None else ceil(time * 1_000) for time in (since, until)
        )
        among = (outcome,) if isinstance(outcome, str) else outcome
        wanted = self._wanted.narrowed(since_ms, until_ms, among)
        return Scan(self._root, wanted, self.read, self._columns, self._files)

    @contextmanager
    def fixed(self) -> Iterator[Scan]:
        """Give a scan that has the same executions however often it is read in the block."""
        with reading(self._root):
            files = readable_files(self._root) if self._files is None else self._files
            yield Scan(self._root, self._wanted, self.read, self._columns, files)

    def tables(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield Arrow tables with some columns of history, each a small part; see `arrow`.

        Args:
            columns: Columns of the frame "history", whichever the scan was made with.

        Raises:
            InvalidOption: A column is unknown, or a file is damaged.
        """
        _checked(columns)
        return tables_of(self._root, self._wanted, columns, self._files)

    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the same as frames, one after the other; an empty one if nothing matches."""
        empty = True
        for table in self.tables(columns):
            empty = False
            yield frame_of_tables([table], columns)
        if empty:
            yield frame_of_tables([], columns)

    def _columns_of(self) -> list[Column]:
        """Return the columns that are wanted, each once."""
        known = _names()
        return list(dict.fromkeys(known[each] for each in self._columns or schema("history").names))


def frame_of_tables(tables: Sequence[Any], names: Sequence[str]) -> Any:
    """Return a frame of tables of an archive.

    Args:
        tables: Tables as `Scan.tables` gives them.
        names: The columns, by their names in frames or in files.
    """
    known, plain = _names(), set(schema("history").names)
    columns = list(dict.fromkeys(known[each].name for each in names))
    if tables:
        table = pa.concat_tables(tables).unify_dictionaries()
    else:
        stored = schema("history").stored()
        table = pa.schema([stored.field(known[each].stored) for each in columns]).empty_table()
    made = from_stored(table, "history")
    for name in names:
        if name not in plain:
            made = made.append_column(name, table[name])
    return to_frame(made, "history", columns)[list(names)]
