"""Prints records as a table or as one JSON document.

Records are printed while they are read. So a set of a million jobs needs no more memory than a set
of a thousand.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import click

from workkit.core.text import clean, clip, pad, width

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from workkit.core.job import Job

__all__ = [
    "TableColumn",
    "compact",
    "json_bytes",
    "note",
    "print_record",
    "print_records",
    "print_table",
    "raw_output",
]

_BATCH: Final = 500
_GAP: Final = "  "
#: The last column has at least this width, also on a narrow terminal.
_LEAST: Final = 12
#: Other columns have at least this width if a cell needs it, also on a narrow terminal.
_LEAST_BEFORE: Final = 40
#: In a pipe or a file, one long name pads the cells of the other rows to at most this width.
_MOST_PADDED: Final = 100


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table.

    Attributes:
        title: The header.
        right: Whether to align the cells to the right, as for numbers.
        colors: Cell → colour, for important cells.
    """

    title: str
    right: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)


def print_table(columns: Sequence[TableColumn], rows: Iterable[Sequence[str]]) -> int:
    """Print a table. On a terminal, the last column is cut to fit, and very long names are cut.

    Args:
        columns: The columns.
        rows: The cells, as Redis returned them.

    Returns:
        The number of rows. Without rows, nothing is printed.
    """
    widths = [width(column.title) for column in columns]
    most, cut = _bounds()
    total = 0
    source = iter(rows)
    while batch := [[clean(cell) for cell in row] for row in islice(source, _BATCH)]:
        # Later batches may need wider columns than the first.
        widths = [max(known, *(width(row[at]) for row in batch)) for at, known in enumerate(widths)]
        widths[:-1] = [min(wide, most) for wide in widths[:-1]]
        if cut:
            batch = [[*(clip(cell, most) for cell in row[:-1]), row[-1]] for row in batch]
        room = _room(widths)
        lines = [_line(columns, widths, row, room) for row in batch]
        if not total:
            titles = _line(columns, widths, [column.title for column in columns], room)
            lines.insert(0, click.style(titles, bold=True))
        total += len(batch)
        click.echo("\n".join(lines))
    return total


def _bounds() -> tuple[int, bool]:
    """Return how wide the columns before the last may be, and whether longer cells are cut."""
    if not sys.stdout.isatty():
        return _MOST_PADDED, False
    return max(_terminal_width() // 2, _LEAST_BEFORE), True


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _room(widths: Sequence[int]) -> int:
    """Return how wide the last column may be."""
    if not sys.stdout.isatty():
        return widths[-1]
    left = _terminal_width() - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
    return min(max(left, _LEAST), widths[-1])


def _line(
    columns: Sequence[TableColumn], widths: Sequence[int], row: Sequence[str], room: int
) -> str:
    cells = []
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        last = at == len(columns) - 1
        text = clip(cell, room) if last else pad(cell, widths[at], right=column.right)
        if last and column.right:
            text = pad(text, room, right=True)
        color = column.colors.get(cell)
        cells.append(click.style(text, fg=color) if color else text)
    return _GAP.join(cells).rstrip()


def print_records(records: Iterable[object]) -> int:
    """Print records as a JSON array, one record in each line.

    Args:
        records: Frozen records of the client.

    Returns:
        The number of records.
    """
    total = 0
    source = iter(records)
    while batch := list(islice(source, _BATCH)):
        head = b",\n" if total else b"[\n"
        click.echo(head + b",\n".join(_encode(record) for record in batch), nl=False)
        total += len(batch)
    click.echo(b"\n]" if total else b"[]")
    return total


def print_record(record: object) -> None:
    """Print one record as a JSON object, or null for None."""
    click.echo(_encode(record))


def _encode(record: object) -> bytes:
    import dataclasses

    from workkit.core.job import Job

    if not dataclasses.is_dataclass(record):
        return json_bytes(record)
    # A job is printed with its args as Redis has them.
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    plain = {n: _job_fields(v) if isinstance(v, Job) else v for n, v in fields.items()}
    return json_bytes(plain)


def json_bytes(value: object) -> bytes:
    """Return a value as JSON in which text from Redis cannot move the cursor of a terminal.

    JSON itself escapes only the older control characters.
    """
    import json

    import msgspec

    encoded = msgspec.json.encode(value)
    text = encoded.decode()
    if text.isprintable():
        return encoded
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text).encode()


def _job_fields(job: Job) -> dict[str, Any]:
    """Return the fields of a job. Bytes that are not a job are returned in base64."""
    import base64

    import msgspec

    from workkit.core.job import args_json

    whole = job.undecodable is None and job.raw
    return {
        "name": job.name,
        "id": job.id,
        "enqueued_at": job.enqueued_at,
        # As Redis has them: decoding would round numbers that no float can hold.
        "args": msgspec.Raw(args_json(job.raw)) if whole else job.args,
        "unique": job.unique,
        "unique_key": job.unique_key,
        "unique_until": job.unique_until,
        "fails": job.fails,
        "last_err": job.last_err,
        "failed_at": job.failed_at,
        "undecodable": job.undecodable,
        "raw_base64": base64.b64encode(job.raw).decode() if job.undecodable else None,
    }


def compact(args: Mapping[str, Any] | None) -> str:
    """Return args as short JSON, or "" if there are no args."""
    if args is None:
        return ""
    import json

    return json.dumps(args, ensure_ascii=False, separators=(",", ":"))


def note(message: str) -> None:
    """Write a note to stderr, so that stdout has only the result."""
    click.echo(clean(message), err=True)


def raw_output() -> BinaryIO:
    """Return stdout for the bytes of a text file; a terminal gets control characters as escapes."""
    return cast("BinaryIO", _Escaping()) if sys.stdout.isatty() else sys.stdout.buffer


class _Escaping(io.RawIOBase):
    """Writes UTF-8 to a terminal, line ends as they are, and escapes whatever could move it."""

    def __init__(self) -> None:
        super().__init__()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def writable(self) -> bool:
        """Say that it takes bytes."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes, which may end in the middle of a character."""
        raw = bytes(data)
        click.echo("\n".join(map(clean, self._decode(raw).split("\n"))), nl=False)
        return len(raw)
