"""Writes records to a file: CSV, JSON, or JSON lines, which a notebook reads as a frame."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit.core.job import Job
from workkit.core.masks import Masks
from workkit.core.records import WorkerObservation
from workkit.core.text import clean
from workkit_tui.model.words import json_escaped

__all__ = [
    "FORMATS",
    "MOST",
    "as_record",
    "check",
    "check_name",
    "encoded",
    "suggested",
    "write",
]

#: Characters that a simple name does not contain.
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")
#: Suffixes of files that can be written.
FORMATS: Final = (".csv", ".json", ".jsonl")
#: A spreadsheet computes a cell that begins with one of these; it skips leading tabs and line ends.
_COMPUTED: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - those of wide scripts too
#: The most jobs in a file; `workkit export` writes any number, without holding them in memory.
MOST: Final = 20_000


def as_record(value: Any, masks: Masks) -> Any:
    """Return a record as plain data; secrets in args are hidden."""
    if isinstance(value, Job):
        return {
            "name": value.name,
            "id": value.id,
            "enqueued_at": value.enqueued_at,
            "args": masks.hide(value.args),
            "unique": value.unique,
            "unique_key": masks.text(value.unique_key, value.args),
            "fails": value.fails,
            "last_err": masks.text(value.last_err, value.args),
            "failed_at": value.failed_at,
            "undecodable": value.undecodable,
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        place = {"place": getattr(value, "place", "")} if hasattr(value, "job") else {}
        fields = {
            field.name: as_record(getattr(value, field.name), masks)
            for field in dataclasses.fields(value)
        }
        if isinstance(value, WorkerObservation):
            fields["args_json"] = msgspec.json.encode(masks.json(value.args_json)).decode()
        return place | fields
    if isinstance(value, Mapping):
        return {str(key): as_record(inner, masks) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_record(inner, masks) for inner in value]
    if isinstance(value, bytes):
        return masks.text(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, str):
        return masks.text(value)
    return value if isinstance(value, int | float) or value is None else str(value)


def check(path: Path) -> None:
    """Refuse the name of a file that cannot be written.

    Args:
        path: Its suffix names the format.

    Raises:
        ValueError: The suffix is not one of `FORMATS`, or the file exists.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"end the name in {', '.join(FORMATS)}")
    if path.expanduser().exists():
        raise ValueError("that file exists; choose another name")


def check_name(path: Path) -> None:
    """Refuse the name of a download.

    Args:
        path: Its suffix names the format.

    Raises:
        ValueError: The suffix is not one of `FORMATS`, or the name is not simple.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"end the name in {', '.join(FORMATS)}")
    if _ODD.search(str(path)):
        raise ValueError("give a name of letters, digits, dots and dashes, without a path")


def suggested(name: str) -> str:
    """Return a default name for the file of a list."""
    return f"workkit-{_ODD.sub('_', name)}.csv"


def write(path: Path, records: Iterable[Any], masks: Masks) -> int:
    """Write records to a file that does not exist yet, and that only its owner can read.

    Args:
        path: The new file, see `check`.
        records: Records of a reader.
        masks: Hides secrets.

    Returns:
        How many were written.

    Raises:
        ValueError: The file cannot be written; no part of it is left.
        ServerError: The records cannot be read.
    """
    content, number = encoded(path.suffix, records, masks)
    path = path.expanduser()
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ValueError(f"it cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"it cannot be written: {error.strerror}") from None
    return number


def encoded(suffix: str, records: Iterable[Any], masks: Masks) -> tuple[bytes, int]:
    """Return the bytes of a file with the records, and the number of records.

    Args:
        suffix: One of `FORMATS`.
        records: Records of a reader.
        masks: Hides secrets.

    Raises:
        ServerError: The records cannot be read.
    """
    rows = [as_record(record, masks) for record in records]
    return _encode(suffix, rows), len(rows)


def _encode(suffix: str, rows: list[Any]) -> bytes:
    if suffix == ".json":
        return json_escaped(msgspec.json.format(_json(rows), indent=1)).encode() + b"\n"
    if suffix == ".jsonl":
        return b"".join(json_escaped(_json(_flat(row))).encode() + b"\n" for row in rows)
    text = io.StringIO()
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in flat)
    return text.getvalue().encode()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Put the fields of a job on the same level as those of its record."""
    flat = {name: value for name, value in row.items() if name not in {"job", "sample"}}
    return flat | dict(row.get("job") or {})


def _cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet computes and no terminal obeys."""
    if isinstance(value, str):
        text = "\n".join(clean(line) for line in value.split("\n"))
        return f"'{text}" if value[:1] in _COMPUTED else text
    if isinstance(value, Iterable):
        return json_escaped(_json(value))
    return value
