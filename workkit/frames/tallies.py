"""Counts of labels and values that are added up piece by piece.

A measure counts what its result needs: how often each value occurs for each label. Such counts are
small where there are many executions with few different values, and can be added. So a measure is
the same for a frame, which is one piece, and for an archive that does not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from workkit.core.options import shown
from workkit.errors import InvalidOption
from workkit.frames.extra import np, pd
from workkit.frames.scanning import Scan
from workkit.frames.schema import conform, schema

__all__ = [
    "NONE",
    "Executions",
    "Tally",
    "check_column",
    "check_history",
    "keys",
    "pieces_of",
    "read_of",
    "repeatable",
    "united",
]

#: A frame of history, or a scan of an archive.
Executions: TypeAlias = Scan | Any

#: The name of the rows without a label.
NONE: Final = "(none)"
#: So many counts wait until they are added up.
_WAITING: Final = 500_000


def pieces_of(
    history: Executions, columns: Sequence[str], first: Any = None, end: Any = None
) -> Iterator[Any]:
    """Yield a history in frames that have at least these columns.

    Args:
        history: A frame, which is one piece, or a scan.
        columns: The columns.
        first: Only executions that ended at this `pandas.Timestamp` or later.
        end: Only executions that ended before.

    Raises:
        InvalidOption: A column is unknown, or a file is damaged.
    """
    if isinstance(history, Scan):
        since, until = (None if time is None else time.timestamp() for time in (first, end))
        yield from history.narrowed(since, until).pieces(columns)
        return
    rows = history if first is None else history[history["finished_at"] >= first]
    yield rows if end is None else rows[rows["finished_at"] < end]


@contextmanager
def repeatable(history: Executions) -> Iterator[Executions]:
    """Give a history that has the same executions however often the block reads it.

    Raises:
        InvalidOption: It is a frame, but not one of history.
    """
    if not isinstance(history, Scan):
        yield conform(history, "history")
        return
    with history.fixed() as fixed:
        yield fixed


def read_of(history: Executions) -> tuple[float | None, float | None]:
    """Return from when until when a history was read, epoch seconds; None without a bound."""
    if isinstance(history, Scan):
        return history.read
    return history.attrs.get("read") or (None, None)


class Tally:
    """How often each value occurs for each label."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._rows = 0

    def add(self, labels: Any, values: Any) -> None:
        """Count the rows of two Series of the same length; missing ones are counted, too."""
        ones = pd.Series(1, labels.index, dtype="int64", name="count")
        part = _summed(labels.rename("label"), values.rename("value"), ones)
        self._parts.append(part)
        self._rows += len(part)
        if self._rows > max(_WAITING, 2 * len(self._parts[0])) and len(self._parts) > 1:
            self._parts = [_added(self._parts)]
            self._rows = len(self._parts[0])

    def counts(self) -> Any:
        """Return a frame with the columns "label", "value" and "count"."""
        if not self._parts:
            return pd.DataFrame({"label": [], "value": [], "count": np.array([], np.int64)})
        counts = self._parts[0] if len(self._parts) == 1 else _added(self._parts)
        return _summed(keys(counts["label"]), counts["value"], counts["count"])


def _added(parts: list[Any]) -> Any:
    labels = united([part["label"] for part in parts])
    joined = pd.concat([part[["value", "count"]] for part in parts], ignore_index=True)
    return _summed(labels, joined["value"], joined["count"])


def _summed(labels: Any, values: Any, counts: Any) -> Any:
    """Return the sums of counts for each pair of a label and a value."""
    sums = counts.groupby([labels, values], observed=True, dropna=False).sum().reset_index()
    if isinstance(labels.dtype, pd.CategoricalDtype):  # pandas may give them another order
        sums["label"] = sums["label"].cat.set_categories(labels.cat.categories)
    return sums


def united(labels: list[Any]) -> Any:
    """Return labels that were counted in pieces as one Series, with the categories of a frame."""
    kinds = [each.dtype for each in labels]
    if all(isinstance(kind, pd.CategoricalDtype) for kind in kinds) and len(set(kinds)) > 1:
        found = sorted({value for kind in kinds for value in kind.categories})
        known = pd.Index(found, dtype=kinds[0].categories.dtype)
        labels = [each.cat.set_categories(known) for each in labels]
    return pd.concat(labels, ignore_index=True).rename("label")


def keys(values: Any) -> Any:
    """Return labels to group by, with one for rows without a label."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return values if values.notna().all() else values.astype("object").fillna(NONE)
    used = values.cat.remove_unused_categories()
    if used.notna().all():
        return used
    known = used if NONE in used.cat.categories else used.cat.add_categories([NONE])
    return known.fillna(NONE)


def check_history(history: Any, measure: str, *, scans: bool = True) -> None:
    """Refuse what is no history.

    Args:
        history: What a measure was given.
        measure: Its name.
        scans: Whether it takes a scan, since its result does not have a value for each row.

    Raises:
        InvalidOption: It is neither a frame nor a scan, or a scan where none can be.
    """
    if not isinstance(history, (Scan, pd.DataFrame)):
        either = "a frame of history or a scan" if scans else "a frame of history"
        raise InvalidOption(
            f"{measure} needs {either}, not {shown(history)}; frames.history makes a frame, and "
            "frames.scan a scan of an archive"
        )
    if isinstance(history, Scan) and not scans:
        raise InvalidOption(
            f"{measure} gives a value for each execution, so it needs a frame, not a scan; give "
            "scan.pandas(), of a part that fits in memory"
        )


def check_column(history: Executions, name: str) -> None:
    """Refuse a column that a history does not have.

    Raises:
        InvalidOption: It does not have it.
    """
    known = schema("history").names if isinstance(history, Scan) else history.columns
    if not isinstance(name, str):
        raise InvalidOption(f"by must be the name of one column, such as 'name', not {shown(name)}")
    if name not in known:
        raise InvalidOption(f"unknown column {name!r}; known are {', '.join(map(str, known))}")
