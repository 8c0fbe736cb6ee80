"""Turns the args of jobs from JSON into columns."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from workkit.frames.extra import np, pd

__all__ = ["flatten_args", "flattened"]

_PREFIX: Final = "args."
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.encode


def flatten_args(frame: Any, prefix: str = _PREFIX) -> Any:
    """Return a frame with one more column for each key of its args.

    A key inside an object becomes "args.user.id". A list stays JSON. The dtype is `Int64`,
    `Float64`, `boolean` or `str` if all values agree, else `str` of JSON.

    Args:
        frame: A frame with a column "args".
        prefix: The prefix of the new column names.
    """
    columns = {f"{prefix}{key}": values for key, values in flattened(frame["args"]).items()}
    made = pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)
    made.attrs = dict(frame.attrs)
    return made


def flattened(args: Any) -> dict[str, Any]:
    """Return one Series for each key of args, sorted by name.

    Args:
        args: A Series of JSON objects. Other values count as empty.
    """
    found: dict[str, dict[int, Any]] = {}
    for row, text in enumerate(args):
        if isinstance(text, str):
            _collect(_read(text), "", row, found)
    return {key: _series(found[key], len(args)).set_axis(args.index) for key in sorted(found)}


def _read(text: str) -> dict[str, Any]:
    try:
        value = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _collect(value: dict[str, Any], path: str, row: int, found: dict[str, dict[int, Any]]) -> None:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            _collect(item, f"{path}{key}.", row, found)
        elif item is not None:
            found.setdefault(f"{path}{key}", {})[row] = item


def _series(values: dict[int, Any], length: int) -> Any:
    kinds = {type(value) for value in values.values()}
    series: list[Any] = [None] * length
    for row, value in values.items():
        series[row] = value
    whole = kinds == {int} and all(abs(value) < 2**63 for value in values.values())
    if whole:
        return pd.Series(series, dtype="Int64")
    if kinds <= {int, float} and float in kinds:
        return pd.Series(series, dtype="Float64")
    if kinds == {bool}:
        return pd.Series(series, dtype="boolean")
    texts = [
        value if value is None or isinstance(value, str) else _encode(value).decode()
        for value in series
    ]
    return pd.Series(texts, dtype=pd.StringDtype(na_value=np.nan))
