"""Turns the args of jobs from JSON into columns."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from workkit.frames.extra import np, pd

__all__ = ["EXACT_FLOAT", "collected", "flatten_args"]

_PREFIX: Final = "args."
#: Integers beyond this do not have exact floats.
EXACT_FLOAT: Final = 2**53
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.encode


def flatten_args(frame: Any, prefix: str = _PREFIX) -> Any:
    """Return a frame with one more column for each key of its args.

    A key inside an object becomes "args.user.id"; a key that has a dot or a quote itself is written
    in quotes, as in 'args."user.id"'. A list stays JSON. The dtype is `Int64`, `Float64`, `boolean`
    or `str` if all values agree and are exact in it, else `str` of JSON.

    Args:
        frame: A frame with a column "args".
        prefix: The prefix of the new column names.
    """
    args, found = frame["args"], collected(frame["args"])
    columns = {
        f"{prefix}{key}": _to_series(found[key], len(args)).set_axis(args.index)
        for key in sorted(found)
    }
    made = pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)
    made.attrs = dict(frame.attrs)
    return made


def collected(args: Any) -> dict[str, dict[int, Any]]:
    """Return for each key of args its values, by the position of the row.

    Args:
        args: A Series of JSON objects. Other values count as empty.
    """
    found: dict[str, dict[int, Any]] = {}
    for row, text in enumerate(args):
        if isinstance(text, str):
            _collect(_read(text), "", row, found)
    return found


def _read(text: str) -> dict[str, Any]:
    try:
        value = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _collect(value: dict[str, Any], path: str, row: int, found: dict[str, dict[int, Any]]) -> None:
    for key, item in value.items():
        name = f"{path}{_quoted(key)}"
        if isinstance(item, dict) and item:
            _collect(item, f"{name}.", row, found)
        elif item is not None:
            found.setdefault(name, {})[row] = item


def _quoted(key: str) -> str:
    return _encode(key).decode() if "." in key or '"' in key else key


def _to_series(values: dict[int, Any], length: int) -> Any:
    """Return the values of one key as a Series.

    Args:
        values: The values by row, see `collected`.
        length: The number of rows.
    """
    kinds = {type(value) for value in values.values()}
    series: list[Any] = [None] * length
    for row, value in values.items():
        series[row] = value
    whole = [value for value in values.values() if type(value) is int]
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in whole):
        return pd.Series(series, dtype="Int64")
    if kinds <= {int, float} and float in kinds and all(abs(n) <= EXACT_FLOAT for n in whole):
        return pd.Series(series, dtype="Float64")
    if kinds == {bool}:
        return pd.Series(series, dtype="boolean")
    texts = [
        value if value is None or isinstance(value, str) else _encode(value).decode()
        for value in series
    ]
    return pd.Series(texts, dtype=pd.StringDtype(na_value=np.nan))
