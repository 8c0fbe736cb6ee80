"""Computes throughput and latency from history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.core.job import PERIODIC
from workkit.errors import InvalidOption
from workkit.frames.extra import pd
from workkit.frames.times import Time, moment

__all__ = ["latency_quantiles", "lateness", "retry_delays", "throughput"]

_QUANTILES: Final = (0.5, 0.9, 0.99)
#: The most spans of a table. One record with a wrong clock would make millions.
_MOST_SPANS: Final = 1_000_000
#: The name of the rows without a label.
_NONE: Final = "(none)"


def throughput(
    history: Any,
    freq: str = "1min",
    *,
    by: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> Any:
    """Count the executions that ended in each span of time.

    The table has a row for each span, also for those without executions: an hour in which no pool
    ran is a row of zeros. It begins and ends where the frame was read: `frames.history` notes its
    `since`, and its `until` or the time of reading, in `attrs`.

    Args:
        history: A frame of history.
        freq: The length of a span, such as "10s", "1min" or "1h"; at least a millisecond.
        by: A column such as "outcome" or "name". The result has a column for each of its values;
            executions without a value are in "(none)".
        since: Begin with the span of this time, instead.
        until: End before this time, instead.

    Returns:
        A DataFrame, indexed by the beginning of each span, without gaps. Without `by` it has the
        columns "executions" and "per_s".

    Raises:
        InvalidOption: `freq` is not a span of time, the column is unknown, a time is not valid, or
            there would be more than a million spans.
    """
    step = _step(freq)
    first, end = _extent(history, since, until)
    if since is not None:
        history = history[history["finished_at"] >= first]
    if until is not None:
        history = history[history["finished_at"] < end]
    spans = history["finished_at"].dt.floor(freq)
    index = _index(spans, first, end, freq, step)
    if by is not None:
        _check_column(history, by)
        counts = history.groupby([spans, _keys(history[by])], observed=True, dropna=False)
        table = counts.size().unstack(fill_value=0)
        table.columns = [str(value) for value in table.columns]
        return table.reindex(index, fill_value=0).astype("int64")
    counts = spans.value_counts().reindex(index, fill_value=0).astype("int64")
    return pd.DataFrame({"executions": counts, "per_s": counts / step.total_seconds()})


def _step(freq: str) -> Any:
    """Read the length of a span."""
    try:
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidOption(f"freq must be a span such as 10s, 1min or 1h: {error}") from None
    if step < pd.Timedelta("1ms"):
        raise InvalidOption(f"freq must be at least a millisecond, not {freq!r}; write 10s or 1min")
    return step


def _extent(history: Any, since: Time | None, until: Time | None) -> tuple[Any, Any]:
    """Return when the table begins, and the time at which it ends; None where the rows decide."""
    given = (since, until)
    if history.attrs.get("read") is not None:
        read = history.attrs["read"]
        given = (
            since if since is not None else read[0],
            until if until is not None else read[1],
        )
    first, end = (None if time is None else moment(time) for time in given)
    if first is not None and end is not None and first >= end:
        raise InvalidOption(f"since must be before until: {first} is not before {end}")
    return first, end


def _index(spans: Any, first: Any, end: Any, freq: str, step: Any) -> Any:
    """Return the beginnings of all spans."""
    starts = [first.floor(freq)] if first is not None else []
    ends = [(end - pd.Timedelta("1ms")).floor(freq)] if end is not None else []
    if len(spans):
        starts, ends = [*starts, spans.min()], [*ends, spans.max()]
    if not starts or not ends:
        return pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name="finished_at")
    begin, last = min(starts), max(ends)
    if (last - begin) // step >= _MOST_SPANS:
        raise InvalidOption(
            f"from {begin} to {last} there are {(last - begin) // step + 1:,} spans of {freq}, "
            f"more than {_MOST_SPANS:,}; give a longer freq, or since and until: the clock of a "
            "record may be wrong"
        )
    return pd.date_range(begin, last, freq=freq, name="finished_at", unit="ms")


def _keys(values: Any) -> Any:
    """Return labels to group by, with one for rows without a label."""
    if not _is_label(values):
        return values if values.notna().all() else values.astype("object").fillna(_NONE)
    used = values.cat.remove_unused_categories()
    if used.notna().all():
        return used
    known = used if _NONE in used.cat.categories else used.cat.add_categories([_NONE])
    return known.fillna(_NONE)


def latency_quantiles(
    history: Any, by: str | None = "name", *, quantiles: Sequence[float] = _QUANTILES
) -> Any:
    """Return quantiles of the times that jobs waited, ran, and spent between two tries.

    Args:
        history: A frame of history.
        by: A column. The result has a row for each of its values, and "(none)" for executions
            without one. None for one row.
        quantiles: Numbers from 0 to 1.

    Returns:
        A DataFrame of timedeltas. Its columns have two levels: "wait", "run" and "retry_delay",
        then the quantiles. The column "executions" counts executions.

    Raises:
        InvalidOption: The column is unknown, or a quantile is not from 0 to 1.
    """
    if any(not 0 <= quantile <= 1 for quantile in quantiles):
        raise InvalidOption(f"quantiles must be from 0 to 1, not {list(quantiles)!r}")
    history = history.reset_index(drop=True)  # frames that were joined repeat their index
    started = history["started_at"].notna()
    ran = history[started]
    spans = pd.DataFrame(
        {"wait": ran["wait"], "run": ran["run"], "retry_delay": retry_delays(history)[started]}
    )
    if by is None:
        keys = pd.Series("all", index=ran.index)
    else:
        _check_column(ran, by)
        keys = _keys(ran[by])
    groups = spans.groupby(keys, observed=True)
    columns = {
        (name, f"p{quantile * 100:g}"): groups[name].quantile(quantile)
        for name in spans
        for quantile in quantiles
    }
    made = pd.DataFrame(columns).astype("timedelta64[ms]")
    made.insert(0, ("executions", ""), groups.size().astype("int64"))
    made.columns = pd.MultiIndex.from_tuples(made.columns)
    made.index.name = by
    return made


def retry_delays(history: Any) -> Any:
    """Return the time between a failed execution of a job and its next execution.

    Args:
        history: A frame of history.

    Returns:
        A Series with the frame's index; NaT for first tries.
    """
    rows = history.reset_index(drop=True)  # frames that were joined repeat their index
    ran = rows[rows["started_at"].notna()].sort_values("started_at", kind="stable")
    jobs = ran.groupby("job_id", sort=False)
    ended = jobs["finished_at"].shift()
    delays = (ran["started_at"] - ended).where(jobs["outcome"].shift() == "retry")
    return delays.astype("timedelta64[ms]").reindex(rows.index).set_axis(history.index)


def lateness(history: Any) -> Any:
    """Return how long after its slot a cron job has started.

    The slot is in the id of the job. Other jobs have no time at which they should start: `wait` is
    counted from the moment at which they entered their queues.

    Args:
        history: A frame of history.

    Returns:
        A Series of timedeltas with the frame's index; NaT for other jobs, and for later tries.
    """
    rows = history.reset_index(drop=True)
    ids = rows["job_id"].where(rows["job_id"].str.startswith(PERIODIC, na=False))
    slots = pd.to_numeric(ids.str.extract(r":(\d{1,12})$", expand=False), errors="coerce")
    due = pd.to_datetime(slots, unit="s", utc=True, errors="coerce")
    ran = rows[due.notna() & rows["started_at"].notna()]
    first = ran.sort_values("started_at", kind="stable").drop_duplicates("job_id").index
    late = (rows["started_at"] - due).where(rows.index.isin(first))
    made = late.clip(lower=pd.Timedelta(0)).astype("timedelta64[ms]")
    return made.set_axis(history.index)


def _is_label(series: Any) -> bool:
    return isinstance(series.dtype, pd.CategoricalDtype)


def _check_column(frame: Any, name: str) -> None:
    if name not in frame:
        raise InvalidOption(f"unknown column {name!r}; known are {', '.join(frame.columns)}")
