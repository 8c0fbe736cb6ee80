"""Counts on a grid of time: what the pictures over time have in common."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from workkit.errors import InvalidOption
from workkit.frames.extra import np, pd
from workkit.frames.schema import conform

__all__ = [
    "OTHERS_LABEL",
    "Grid",
    "extent",
    "grid",
    "most_at_once",
    "of_history",
    "seconds",
    "step_of",
    "time_passed",
    "top_labels",
]

OTHERS_LABEL: Final = "others"
_NONE: Final = "(none)"
#: About how many spans a picture has, and how many are still legible.
_SPANS: Final = 110
_MOST_SPANS: Final = 3_000
_LONGEST_S: Final = 20 * 365.25 * 86_400
#: What begins and ends in the same millisecond was there.
_MOMENT_S: Final = 1e-3
_STEPS: Final = (
    "100ms", "200ms", "500ms", "1s", "2s", "5s", "10s", "30s", "1min", "2min", "5min", "10min",
    "30min", "1h", "2h", "6h", "12h", "1D", "2D", "7D",
)  # fmt: skip


class Grid(NamedTuple):
    """Spans of equal length.

    Attributes:
        edges_s: Where spans begin, and where the last one ends, epoch seconds.
        step: The length as text.
    """

    edges_s: Any
    step: str

    @property
    def width_s(self) -> float:
        """The length of a span, seconds."""
        return float(self.edges_s[1] - self.edges_s[0])

    @property
    def times(self) -> Any:
        """The edges as times."""
        return pd.to_datetime(np.round(self.edges_s * 1_000).astype("int64"), unit="ms", utc=True)


def of_history(history: Any) -> Any:
    """Return the rows of a frame of history.

    Raises:
        InvalidOption: The frame is no history.
    """
    if not isinstance(history, pd.DataFrame):
        raise InvalidOption(
            f"a picture is made of a frame: frames.history(source), not of {type(history).__name__}"
        )
    return conform(history, "history").reset_index(drop=True)


def extent(rows: Any, history: Any, first_column: str = "finished_at") -> tuple[Any, Any]:
    """Return the time that a picture shows: what was read, or the executions."""
    read = history.attrs.get("read") or (None, None)
    first, end = rows[first_column].min(), rows["finished_at"].max()
    if read[0] is not None:
        first = min(first, pd.Timestamp(read[0], unit="s", tz="UTC"))
    if read[1] is not None:
        end = max(end, pd.Timestamp(read[1], unit="s", tz="UTC"))
    return first, max(end, first + pd.Timedelta("1ms"))


def step_of(first: Any, end: Any, freq: str | None) -> str:
    """Return the length of spans: the wanted one, or one that gives about a hundred.

    Raises:
        InvalidOption: There would be too many to see.
    """
    seconds = (end - first).total_seconds()
    if seconds > _LONGEST_S:
        raise InvalidOption(
            f"from {first} to {end} are more than 20 years: the clock of a record is wrong; give a "
            "frame of less time, such as history[history.finished_at > ...]"
        )
    if freq is None:
        return next((s for s in _STEPS if seconds / _step_s(s) <= _SPANS), _STEPS[-1])
    step_s = _step_s(freq)
    if seconds / step_s > _MOST_SPANS:
        raise InvalidOption(
            f"from {first} to {end} there are {seconds / step_s:,.0f} spans of {freq}, more than "
            f"the {_MOST_SPANS:,} that a picture can show; give a longer freq, or a frame of less "
            "time: the clock of a record may be wrong"
        )
    return freq


def _step_s(freq: str) -> float:
    try:
        seconds = float(pd.Timedelta(pd.tseries.frequencies.to_offset(freq)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        seconds = 0.0
    if seconds < 1e-3:  # noqa: PLR2004 - history has milliseconds
        raise InvalidOption(f"freq must be a span such as 10s, 1min or 1h, not {freq!r}")
    return seconds


def grid(first: Any, end: Any, freq: str | None = None) -> Grid:
    """Return the spans between two times.

    Raises:
        InvalidOption: `freq` is not a span of time, or makes too many.
    """
    step = step_of(first, end, freq)
    step_s = _step_s(step)
    low = np.floor(first.timestamp() / step_s)
    count = max(int(np.ceil(end.timestamp() / step_s - low)), 1)
    return Grid((low + np.arange(count + 1)) * step_s, step)


def top_labels(values: Any, most: int) -> tuple[Any, list[str]]:
    """Name the rarest values of a column "others".

    Args:
        values: A column.
        most: How many labels may stay.

    Returns:
        The column as text, and its labels, the most frequent first.
    """
    texts = values.astype("object").where(values.notna(), _NONE).astype(str)
    counts = texts.value_counts()
    if len(counts) <= most:
        return texts, list(counts.index)
    kept = list(counts.index[: most - 1])
    return texts.where(texts.isin(kept), OTHERS_LABEL), [
        *(label for label in kept if label != OTHERS_LABEL),
        OTHERS_LABEL,
    ]


def seconds(times: Any) -> Any:
    """Return times as epoch seconds."""
    return times.astype("int64").to_numpy() / 1_000


def most_at_once(starts_s: Any, ends_s: Any, edges_s: Any) -> Any:
    """Return for each span the highest number of intervals that were open at once."""
    ends_s = np.maximum(ends_s, starts_s + _MOMENT_S)
    times, at = np.unique(np.concatenate([starts_s, ends_s]), return_inverse=True)
    steps = np.concatenate([np.ones(len(starts_s)), -np.ones(len(ends_s))])
    level = np.concatenate([[0.0], np.cumsum(np.bincount(at, weights=steps))])
    begin = np.searchsorted(times, edges_s[:-1], side="right")
    end = np.searchsorted(times, edges_s[1:], side="left")
    return np.array([level[first : last + 1].max() for first, last in zip(begin, end, strict=True)])


def time_passed(starts_s: Any, ends_s: Any, edges_s: Any) -> Any:
    """Return how many seconds of all intervals together have passed at each edge."""
    total = np.zeros(len(edges_s))
    for times, sign in ((starts_s, 1), (ends_s, -1)):
        ordered = np.sort(times) - edges_s[0]
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        number = np.searchsorted(ordered, edges_s - edges_s[0], side="right")
        total += sign * (number * (edges_s - edges_s[0]) - sums[number])
    return total
