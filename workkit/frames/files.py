"""Writes frames to Parquet, Arrow, CSV and JSON lines, and reads the same frames back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

from workkit.core.options import shown
from workkit.core.whole_file import whole_file
from workkit.errors import InvalidOption
from workkit.frames.extra import pa, pd
from workkit.frames.schema import frame_of, schema, to_frame
from workkit.frames.stored import from_stored, to_stored

__all__ = ["FORMATS", "format_of", "read", "to_table", "write", "write_tables"]

#: Format -> the suffix of its files.
FORMATS: Final = {"parquet": ".parquet", "arrow": ".arrow", "csv": ".csv", "jsonl": ".jsonl"}
#: How a cell of CSV begins that a spreadsheet would compute. Names, errors and args of jobs are
#: texts that anybody can choose.
_COMPUTED: Final = "=+@\\-\\t\\r\\n"
_MS_A_SECOND: Final = 1_000


class _Sink(Protocol):
    def write_table(self, table: Any) -> None: ...


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format of a file by its suffix.

    Raises:
        InvalidOption: The suffix is unknown.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidOption(f"a path must be a text or a Path, not {shown(path)}")
    for name, suffix in FORMATS.items():
        if os.fspath(path).endswith(suffix):
            return name
    raise InvalidOption(
        f"{os.fspath(path)!r} does not end in {', '.join(FORMATS.values())}; name the format"
    )


def write(frame: Any, path: str | os.PathLike[str], name: str, format: str | None = None) -> None:  # noqa: A002 - the word that everybody uses
    """Write a frame to a file. Only its owner can read a new one.

    The file appears when it is complete. If it cannot be written, an old file stays as it was.

    Args:
        frame: The frame. Columns beyond its schema, such as those of `flatten_args`, are written
            too.
        path: The file.
        name: The frame's name, such as "dead".
        format: "parquet", "arrow", "csv" or "jsonl"; by default from the file's suffix.

    Raises:
        InvalidOption: The frame or format is unknown, a column is missing or of a wrong type, or
            the file cannot be written.
    """
    kind = format or format_of(path)
    _check_format(kind)
    table = to_table(frame, name)
    try:
        with whole_file(path) as file, _SINKS[kind](file, table.schema) as sink:
            sink.write_table(table)
    except pa.ArrowException as error:
        raise InvalidOption(f"a frame of {name} cannot be written as {kind}: {error}") from None


def write_tables(tables: Iterable[Any], file: IO[bytes], name: str, format: str) -> int:  # noqa: A002
    """Write Arrow tables one after the other, so that only one must be in memory.

    Args:
        tables: Tables with the schema of the frame.
        file: The open file.
        name: The frame's name.
        format: "parquet", "arrow", "csv" or "jsonl".

    Returns:
        The number of rows written.

    Raises:
        InvalidOption: The frame or format is unknown.
    """
    _check_format(format)
    wanted, rows = schema(name).arrow(), 0
    with _SINKS[format](file, wanted) as sink:
        for table in tables:
            sink.write_table(table)
            rows += table.num_rows
    return rows


def _check_format(name: str) -> None:
    if not isinstance(name, str) or name not in FORMATS:
        raise InvalidOption(f"unknown format {name!r}; known are {', '.join(FORMATS)}")


@contextmanager
def _parquet(file: IO[bytes], wanted: Any) -> Iterator[_Sink]:
    import pyarrow.parquet as pq

    name = frame_of(wanted)
    stored = to_stored(wanted.empty_table(), name).schema
    with pq.ParquetWriter(file, stored, compression="zstd") as writer:
        yield _Converted(lambda table: writer.write_table(to_stored(table, name)))


@contextmanager
def _arrow(file: IO[bytes], wanted: Any) -> Iterator[_Sink]:
    # An Arrow stream can replace a dictionary, an Arrow file cannot. Readers accept both.
    with pa.ipc.new_stream(file, wanted) as writer:
        yield writer


@contextmanager
def _csv(file: IO[bytes], wanted: Any) -> Iterator[_Sink]:
    from pyarrow import csv

    with csv.CSVWriter(file, _plain_schema(wanted)) as writer:
        yield _Converted(lambda table: writer.write_table(_guarded(_plainly(table))))


@contextmanager
def _jsonl(file: IO[bytes], _wanted: Any) -> Iterator[_Sink]:
    import msgspec

    encode = msgspec.json.encode

    def write_rows(table: Any) -> None:
        for batch in _plainly(table).to_batches(max_chunksize=10_000):
            file.write(b"".join(encode(row) + b"\n" for row in batch.to_pylist()))

    yield _Converted(write_rows)


def _guarded(table: Any) -> Any:
    """Put an apostrophe before texts that a spreadsheet would compute.

    Those that look as if they had one get another, so that each text comes back as it was.
    """
    return _texts(table, f"\\A('*[{_COMPUTED}])", "'\\1")


def _unguarded(table: Any) -> Any:
    return _texts(table, f"\\A'('*[{_COMPUTED}])", "\\1")


def _texts(table: Any, pattern: str, instead: str) -> Any:
    import pyarrow.compute as pc

    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            texts = pc.replace_substring_regex(table[field.name], pattern, instead)
            table = table.set_column(at, field, texts)
    return table


class _Converted:
    """Writes tables in the form that a format needs."""

    def __init__(self, write_table: Callable[[Any], None]) -> None:
        self.write_table = write_table


_SINKS: Final = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "jsonl": _jsonl}


def _plain_schema(wanted: Any) -> Any:
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in wanted])


def _plain_type(type_: Any) -> Any:
    if pa.types.is_duration(type_):
        return pa.float64()
    if pa.types.is_timestamp(type_) or pa.types.is_dictionary(type_):
        return pa.string()
    return type_


def _plainly(table: Any) -> Any:
    """Return a table as text has it: times in ISO 8601, spans in seconds."""
    import pyarrow.compute as pc

    columns = []
    for field in table.schema:
        values = table[field.name]
        if pa.types.is_duration(field.type):
            values = pc.divide(pc.cast(pc.cast(values, pa.int64()), pa.float64()), _MS_A_SECOND)
        elif pa.types.is_timestamp(field.type):
            values = pc.strftime(pc.cast(values, pa.timestamp("ms")), format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_dictionary(field.type):
            values = pc.cast(values, pa.string())
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=_plain_schema(table.schema))


def read(path: str | os.PathLike[str], name: str, format: str | None = None) -> Any:  # noqa: A002
    """Read a frame that `write` or `workkit export` has written. It equals the written frame.

    Args:
        path: The file.
        name: The frame's name, such as "dead".
        format: Its format; by default from the file's suffix.

    Raises:
        InvalidOption: The frame or format is unknown, or the file holds another frame or is
            damaged.
        OSError: The file cannot be opened.
    """
    kind = format or format_of(path)
    _check_format(kind)
    wanted = schema(name)
    try:
        table = _READERS[kind](path, wanted.arrow())
        if missing := [column for column in wanted.names if column not in table.column_names]:
            raise InvalidOption(
                f"{os.fspath(path)} is not a frame of {name}: column missing: {', '.join(missing)}"
            )
        further = [column for column in table.column_names if column not in wanted.names]
        typed = [_typed(table[field.name], field.type) for field in wanted.arrow()]
    except pa.ArrowException as error:
        raise InvalidOption(f"{os.fspath(path)} cannot be read as {kind}: {error}") from None
    columns = [*typed, *(table[column] for column in further)]
    made = pa.Table.from_arrays(columns, names=[*wanted.names, *further])
    return to_frame(made.unify_dictionaries(), name)


def _read_parquet(path: str | os.PathLike[str], wanted: Any) -> Any:
    import pyarrow.parquet as pq

    return from_stored(pq.ParquetFile(path).read(), frame_of(wanted))


def _read_arrow(path: str | os.PathLike[str], _wanted: Any) -> Any:
    with pa.OSFile(os.fspath(path), "rb") as file:
        return pa.ipc.open_stream(file).read_all()


def _read_csv(path: str | os.PathLike[str], wanted: Any) -> Any:
    from pyarrow import csv

    table = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=_plain_schema(wanted), strings_can_be_null=True,
            quoted_strings_can_be_null=False, null_values=[""],
        ),
    )  # fmt: skip
    return _unguarded(table)


def _read_jsonl(path: str | os.PathLike[str], wanted: Any) -> Any:
    import msgspec

    decode = msgspec.json.Decoder(dict[str, Any]).decode
    try:
        with Path(path).open("rb") as file:
            rows = [decode(line) for line in file]
    except msgspec.MsgspecError as error:
        raise InvalidOption(f"{os.fspath(path)} cannot be read as jsonl: {error}") from None
    further = dict.fromkeys(key for row in rows for key in row if key not in wanted.names)
    table = pa.Table.from_pylist(rows, schema=_plain_schema(wanted))
    for key in further:
        table = table.append_column(key, pa.array([row.get(key) for row in rows]))
    return table


_READERS: Final = {
    "parquet": _read_parquet,
    "arrow": _read_arrow,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
}


def _typed(values: Any, type_: Any) -> Any:
    """Convert texts and numbers back to the types of their columns."""
    import pyarrow.compute as pc

    if values.type == type_:
        return values
    if pa.types.is_duration(type_):
        ms = pc.round(pc.multiply(values, _MS_A_SECOND))
        return pc.cast(pc.cast(ms, pa.int64()), type_)
    if pa.types.is_timestamp(type_):
        return pc.cast(values, type_)
    if pa.types.is_dictionary(type_):
        return pc.dictionary_encode(values)
    return values


def to_table(frame: Any, name: str) -> Any:
    """Convert a frame to an Arrow table for a file: the columns of its schema, then the others.

    Raises:
        InvalidOption: A column is missing or has another type, or has values that no file holds.
    """
    wanted = schema(name)
    if not isinstance(frame, pd.DataFrame):
        raise InvalidOption(f"a frame must be a DataFrame, not {shown(frame)}")
    if missing := [column for column in wanted.names if column not in frame.columns]:
        raise InvalidOption(f"this is not a frame of {name}: it has no {', '.join(missing)}")
    further = [column for column in frame.columns if column not in wanted.names]
    try:
        table = pa.Table.from_pandas(
            frame[wanted.names], schema=wanted.arrow(), preserve_index=False
        )
        for column in further:
            table = table.append_column(str(column), pa.array(frame[column], from_pandas=True))
    except (pa.ArrowException, TypeError) as error:
        raise InvalidOption(f"a frame of {name} cannot be written: {error}") from None
    return table
