"""Gives the files of an archive to DuckDB and Polars, with filters and columns in their own terms.

Files of several versions have their columns under different names and types. Files that agree are
read together, and the parts are united. So the engine sees the filters beside each file, and reads
only the row groups and columns that can matter.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workkit.errors import MissingExtra
from workkit.frames.archive_reading import Wanted, damaged, layout_of
from workkit.frames.extra import pa
from workkit.frames.schema import Column, Kind
from workkit.frames.stored import Located

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

__all__ = ["duckdb_relation", "polars_frame"]

_US: Final = 1_000
_SQL_TYPES: Final[dict[Kind, str]] = {
    "text": "VARCHAR",
    "label": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "span": "BIGINT",
    "count": "BIGINT",
    "flag": "BOOLEAN",
}


def duckdb_relation(
    files: Sequence[Path],
    wanted: Wanted,
    columns: Sequence[Column],
    connection: DuckDBPyConnection | None,
) -> DuckDBPyRelation:
    """Return the matching executions of files as a relation of DuckDB.

    Args:
        files: The files.
        wanted: The filters.
        columns: The columns, in this order.
        connection: Where queries run; by default DuckDB's own.

    Raises:
        MissingExtra: DuckDB is not installed.
        InvalidOption: A file is damaged.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtra("Scan.duckdb", "duckdb") from None
    where = _conditions(wanted)
    parts = [
        f"{_select(layout)} FROM read_parquet([{_texts(map(str, group))}], "
        f"hive_partitioning = false){where}"
        for layout, group in _groups(files, columns)
    ]
    if not parts:
        parts = [f"{_select([Located(column, None) for column in columns])} WHERE false"]
    query = " UNION ALL ".join(parts)
    found = duckdb.sql(query) if connection is None else connection.sql(query)
    assert found is not None  # noqa: S101 - only statements without rows give none
    return found


def _select(layout: Sequence[Located]) -> str:
    return f"SELECT {', '.join(map(_selected, layout))}"


def _selected(place: Located) -> str:
    kind = _SQL_TYPES[place.column.kind]
    value = "NULL" if place.name is None else f'"{place.name}"'
    if value == f'"{place.column.stored}"':
        return value
    return f'CAST({value} AS {kind}) AS "{place.column.stored}"'


def _conditions(wanted: Wanted) -> str:
    parts = [
        f"finished_at {compare} make_timestamptz({at_ms * _US})"
        for compare, at_ms in ((">=", wanted.since_ms), ("<", wanted.until_ms))
        if at_ms is not None
    ]
    for name, values in (("name", wanted.names), ("outcome", wanted.outcomes)):
        if values is not None:
            parts.append(f"{name} IN ({_texts(values)})" if values else "false")
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _texts(values: Any) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def polars_frame(files: Sequence[Path], wanted: Wanted, columns: Sequence[Column]) -> pl.LazyFrame:
    """Return the matching executions of files as a lazy frame of Polars.

    Args:
        files: The files.
        wanted: The filters.
        columns: The columns, in this order.

    Raises:
        MissingExtra: Polars is not installed.
        InvalidOption: A file is damaged.
    """
    try:
        import polars as pl
    except ImportError:
        raise MissingExtra("Scan.polars", "polars") from None
    time = pl.Datetime("ms", "UTC")
    types: dict[Kind, Any] = {
        "text": pl.String,
        "label": pl.Categorical,
        "time": time,
        "span": pl.Int64,
        "count": pl.Int64,
        "flag": pl.Boolean,
    }

    def selected(place: Located) -> Any:
        value = pl.lit(None) if place.name is None else pl.col(place.name)
        if place.is_duration:
            value = value.dt.total_milliseconds()
        return value.cast(types[place.column.kind]).alias(place.column.stored)

    conditions = [
        compare(pl.col("finished_at"), pl.lit(at_ms).cast(time))
        for compare, at_ms in ((operator.ge, wanted.since_ms), (operator.lt, wanted.until_ms))
        if at_ms is not None
    ]
    for name, values in (("name", wanted.names), ("outcome", wanted.outcomes)):
        if values is not None:
            any_of = (pl.col(name) == value for value in values)
            conditions.append(functools.reduce(operator.or_, any_of, pl.lit(value=False)))
    parts = [
        pl.scan_parquet(group, glob=False, hive_partitioning=False)
        .filter(*conditions)
        .select([selected(place) for place in layout])
        for layout, group in _groups(files, columns)
    ]
    if not parts:
        return pl.LazyFrame(schema={each.stored: types[each.kind] for each in columns})
    return pl.concat(parts)


def _groups(
    files: Sequence[Path], columns: Sequence[Column]
) -> list[tuple[tuple[Located, ...], list[Path]]]:
    """Return the files in groups that have the columns at the same places."""
    import pyarrow.parquet as pq

    groups: dict[tuple[Located, ...], list[Path]] = {}
    for path in files:
        try:
            found = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            raise damaged(path, error) from None
        layout = tuple(layout_of(path, found, [each.name for each in columns]))
        groups.setdefault(layout, []).append(path)
    return list(groups.items())
