"""Writing what is listed to a file: CSV, JSON, or JSON lines, which a notebook reads as a frame."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from workkit.core.job import Job
from workkit_tui.model.masks import Masks

__all__ = ["FORMATS", "MOST", "as_record", "check", "write"]

#: Suffixes of files that can be written.
FORMATS: Final = (".csv", ".json", ".jsonl")
#: Jobs that a file gets at most; `workkit export` writes any number, without holding them.
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
            "unique_key": value.unique_key,
            "fails": value.fails,
            "last_err": value.last_err,
            "failed_at": value.failed_at,
            "undecodable": value.undecodable,
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        place = {"place": getattr(value, "place", "")} if hasattr(value, "job") else {}
        fields = {
            field.name: as_record(getattr(value, field.name), masks)
            for field in dataclasses.fields(value)
        }
        return place | fields
    if isinstance(value, Mapping):
        return {str(key): as_record(inner, masks) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_record(inner, masks) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def check(path: Path) -> None:
    """Refuse the name of a file that cannot be written.

    Args:
        path: Its suffix says in which form.

    Raises:
        ValueError: The suffix is none of `FORMATS`, or the file exists.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"end the name in {', '.join(FORMATS)}")
    if path.expanduser().exists():
        raise ValueError("that file exists; choose another name")


def write(path: Path, records: Iterable[Any], masks: Masks) -> int:
    """Write records to a file that does not exist yet.

    Args:
        path: Where, see `check`.
        records: Records of a reader.
        masks: What to hide.

    Returns:
        How many were written.

    Raises:
        ValueError: The file cannot be written.
        ServerError: The records cannot be read.
    """
    rows = [as_record(record, masks) for record in records]
    try:
        with path.expanduser().open("xb") as file:
            file.write(_encode(path.suffix, rows))
    except OSError as error:
        raise ValueError(f"it cannot be written: {error.strerror}") from None
    return len(rows)


def _encode(suffix: str, rows: list[Any]) -> bytes:
    if suffix == ".json":
        return msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n"
    if suffix == ".jsonl":
        return b"".join(msgspec.json.encode(_flat(row)) + b"\n" for row in rows)
    text = io.StringIO()
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in flat)
    return text.getvalue().encode()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Lift the fields of a job beside those of its record."""
    flat = {name: value for name, value in row.items() if name not in {"job", "sample"}}
    return flat | dict(row.get("job") or {})


def _cell(value: Any) -> Any:
    """Return a value as a cell; what a spreadsheet would compute is taken as text."""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in {"=", "+", "-", "@"} else value
    if isinstance(value, Iterable):
        return msgspec.json.encode(value).decode()
    return value
