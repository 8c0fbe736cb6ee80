"""Columns as Parquet files have them, so that every engine reads them.

Parquet has no type for spans of time: Arrow writes its durations as whole numbers, and only Arrow
knows what they are. So files have `wait_ms` and `run_ms` instead of `wait` and `run`. Files of
version 1 have durations; they are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workkit.errors import InvalidOption
from workkit.frames.extra import pa
from workkit.frames.schema import METADATA, VERSION, Column, schema

__all__ = ["Located", "as_stored", "check_version", "from_stored", "located", "to_stored"]


class Located(NamedTuple):
    """Where a file has a column.

    Attributes:
        column: The column.
        name: Its name in the file; None if the file is older than the column.
    """

    column: Column
    name: str | None

    @property
    def is_duration(self) -> bool:
        """Whether the file has a span of time as a duration, as in version 1."""
        return self.column.kind == "span" and self.name == self.column.name


def check_version(metadata: Mapping[bytes, bytes] | None, name: str) -> int:
    """Return the version of a file's columns.

    Args:
        metadata: The metadata of the file's schema.
        name: The frame that it must have.

    Raises:
        InvalidOption: The file has another frame or no frame, or a newer workkit has written it.
    """
    about = (metadata or {}).get(METADATA, b"").decode("utf-8", "replace")
    frame, _, version = about.partition("/")
    if frame != name or not version.isdecimal():
        raise InvalidOption(f"it is not a frame of {name}")
    if int(version) > VERSION:
        raise InvalidOption(
            f"its columns are of version {version}, and this workkit reads up to {VERSION}; "
            "install a newer workkit"
        )
    return int(version)


def located(found: Sequence[str], name: str, columns: Sequence[str] | None = None) -> list[Located]:
    """Tell where a file has the columns of a frame.

    Args:
        found: The names of the file's columns.
        name: The frame's name.
        columns: The columns that are wanted, in this order; all by default.
    """
    known = {each.name: each for each in schema(name).columns}
    wanted = known.values() if columns is None else [known[each] for each in columns]
    either = {column: (column.stored, column.name) for column in wanted}
    return [
        Located(column, next((name for name in names if name in found), None))
        for column, names in either.items()
    ]


def to_stored(table: Any, name: str) -> Any:
    """Convert an Arrow table of a frame for a Parquet file. Further columns stay as they are.

    Raises:
        InvalidOption: A further column has a name that the file needs.
    """
    spans = {each.name: each.stored for each in schema(name).columns if each.kind == "span"}
    arrays = [
        _cast(table[each], pa.int64()) if each in spans else table[each]
        for each in table.column_names
    ]
    names = [spans.get(each, each) for each in table.column_names]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise InvalidOption(f"a file of {name} has its own {', '.join(twice)}; rename yours")
    metadata = schema(name).stored().metadata
    return pa.Table.from_arrays(arrays, names=names).replace_schema_metadata(metadata)


def as_stored(table: Any, layout: Sequence[Located], name: str) -> Any:
    """Convert a table of a Parquet file, of any version, to the newest version.

    Args:
        table: The table.
        layout: Where it has the columns; one that it does not have is made of missing values.
        name: The frame's name.
    """
    wanted = schema(name).stored()
    fields = [wanted.field(each.column.stored) for each in layout]
    arrays = [
        pa.nulls(table.num_rows, field.type)
        if each.name is None
        else _cast(table[each.name], field.type)
        for each, field in zip(layout, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=wanted.metadata))


def from_stored(table: Any, name: str) -> Any:
    """Convert the table of a Parquet file, of any version, to the types of a frame.

    Args:
        table: The table. It may lack columns; columns beyond the frame's come last, as they are.
        name: The frame's name.
    """
    wanted = schema(name).arrow()
    places = [each for each in located(table.column_names, name) if each.name is not None]
    arrays = [_cast(table[each.name], wanted.field(each.column.name).type) for each in places]
    known = {each.name for each in places}
    further = [each for each in table.column_names if each not in known]
    return pa.Table.from_arrays(
        [*arrays, *(table[each] for each in further)],
        names=[*(each.column.name for each in places), *further],
        metadata=wanted.metadata,
    )


def _cast(values: Any, type_: Any) -> Any:
    import pyarrow.compute as pc

    return values if values.type == type_ else pc.cast(values, type_)
