"""Writes frames to Parquet, Arrow, CSV and JSON lines, and reads the same frames back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Protocol

from workkit.errors import InvalidOption
from workkit.frames.extra import pa
from workkit.frames.schema import schema, to_frame, to_table

__all__ = ["FORMATS", "format_of", "read", "replacing", "write", "write_tables"]

#: Format -> the suffix of its files.
FORMATS: Final = {"parquet": ".parquet", "arrow": ".arrow", "csv": ".csv", "jsonl": ".jsonl"}
_MS_A_SECOND: Final = 1_000


class _Sink(Protocol):
    def write_table(self, table: Any) -> None: ...


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format of a file by its suffix.

    Raises:
        InvalidOption: The suffix is unknown.
    """
    for name, suffix in FORMATS.items():
        if os.fspath(path).endswith(suffix):
            return name
    raise InvalidOption(
        f"{os.fspath(path)!r} does not end in {', '.join(FORMATS.values())}; name the format"
    )


def write(frame: Any, path: str | os.PathLike[str], name: str, format: str | None = None) -> None:  # noqa: A002 - the word that everybody uses
    """Write a frame to a file, which only its owner can read.

    An existing file is replaced when the new one is complete, so it stays if this fails.

    Args:
        frame: The frame. Only the columns of its schema are written.
        path: The file.
        name: The frame's name, such as "dead".
        format: "parquet", "arrow", "csv" or "jsonl"; by default from the file's suffix.

    Raises:
        InvalidOption: The frame or format is unknown, or the file cannot be written.
    """
    kind, table = format or format_of(path), to_table(frame, name)
    with replacing(Path(path)) as file:
        write_tables([table], file, name, kind)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears when it is complete. Only its owner can read it.

    Args:
        path: The file; an existing one is replaced.

    Raises:
        InvalidOption: It is a device, a pipe or a folder, or the system refuses to write it.
    """
    if path.exists() and not path.is_file():
        raise InvalidOption(f"{path} is not a regular file, so it cannot be replaced")
    partial = path.with_name(f"{path.name}.partial")
    try:
        with open(partial, "wb", opener=_owner_only) as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise InvalidOption(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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
    if format not in FORMATS:
        raise InvalidOption(f"unknown format {format!r}; known are {', '.join(FORMATS)}")
    wanted, rows = schema(name).arrow(), 0
    with _SINKS[format](file, wanted) as sink:
        for table in tables:
            sink.write_table(table)
            rows += table.num_rows
    return rows


@contextmanager
def _parquet(file: IO[bytes], wanted: Any) -> Iterator[_Sink]:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, wanted, compression="zstd") as writer:
        yield writer


@contextmanager
def _arrow(file: IO[bytes], wanted: Any) -> Iterator[_Sink]:
    # An Arrow stream can replace a dictionary, an Arrow file cannot. Readers accept both.
    with pa.ipc.new_stream(file, wanted) as writer:
        yield writer


@contextmanager
def _csv(file: IO[bytes], wanted: Any) -> Iterator[_Sink]:
    from pyarrow import csv

    with csv.CSVWriter(file, _plain_schema(wanted)) as writer:
        yield _Plain(writer.write_table)


@contextmanager
def _jsonl(file: IO[bytes], _wanted: Any) -> Iterator[_Sink]:
    import msgspec

    encode = msgspec.json.encode

    def write_rows(table: Any) -> None:
        for batch in table.to_batches(max_chunksize=10_000):
            file.write(b"".join(encode(row) + b"\n" for row in batch.to_pylist()))

    yield _Plain(write_rows)


class _Plain:
    """Writes tables as text: times in ISO 8601, spans in seconds."""

    def __init__(self, write_table: Any) -> None:
        self._write = write_table

    def write_table(self, table: Any) -> None:
        """Write a table."""
        self._write(_plainly(table))


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
        InvalidOption: The frame or format is unknown, or the file holds another frame.
        OSError: The file cannot be read.
    """
    import pyarrow.parquet as pq

    kind = format or format_of(path)
    wanted = schema(name)
    try:
        if kind == "parquet":
            table = pq.ParquetFile(path).read()
        elif kind == "arrow":
            with pa.OSFile(os.fspath(path), "rb") as file:
                table = pa.ipc.open_stream(file).read_all()
        elif kind in FORMATS:
            return _read_plain(path, name, kind)
        else:
            raise InvalidOption(f"unknown format {kind!r}; known are {', '.join(FORMATS)}")
    except pa.ArrowInvalid as error:
        raise InvalidOption(f"{os.fspath(path)} cannot be read as {kind}: {error}") from None
    if missing := [column for column in wanted.names if column not in table.column_names]:
        raise InvalidOption(
            f"{os.fspath(path)} is not a frame of {name}: column missing: {', '.join(missing)}"
        )
    return to_frame(table.select(wanted.names).unify_dictionaries(), name)


def _read_plain(path: str | os.PathLike[str], name: str, kind: str) -> Any:
    wanted = schema(name)
    types = _plain_schema(wanted.arrow())
    table = _read_csv(path, types) if kind == "csv" else _read_jsonl(path, types)
    if missing := [column for column in wanted.names if column not in table.column_names]:
        raise InvalidOption(
            f"{os.fspath(path)} is not a frame of {name}: column missing: {', '.join(missing)}"
        )
    columns = [_typed(table[field.name], field.type) for field in wanted.arrow()]
    return to_frame(pa.Table.from_arrays(columns, schema=wanted.arrow()), name)


def _read_csv(path: str | os.PathLike[str], types: Any) -> Any:
    from pyarrow import csv

    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )  # fmt: skip


def _read_jsonl(path: str | os.PathLike[str], types: Any) -> Any:
    import msgspec

    decode = msgspec.json.Decoder(dict[str, Any]).decode
    try:
        with Path(path).open("rb") as file:
            rows = [decode(line) for line in file]
        return pa.Table.from_pylist(rows, schema=types)
    except (msgspec.MsgspecError, pa.ArrowTypeError) as error:
        raise InvalidOption(f"{os.fspath(path)} cannot be read as jsonl: {error}") from None


def _typed(values: Any, type_: Any) -> Any:
    """Convert texts and numbers back to the types of their columns."""
    import pyarrow.compute as pc

    if pa.types.is_duration(type_):
        ms = pc.round(pc.multiply(values, _MS_A_SECOND))
        return pc.cast(pc.cast(ms, pa.int64()), type_)
    if pa.types.is_timestamp(type_):
        return pc.cast(values, type_)
    if pa.types.is_dictionary(type_):
        return pc.dictionary_encode(values)
    return values
