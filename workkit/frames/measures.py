"""Computes throughput and latency from history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.core.job import PERIODIC
from workkit.errors import InvalidOption
from workkit.frames.checks import check_quantiles
from workkit.frames.delays import retried
from workkit.frames.extra import np, pd
from workkit.frames.scanning import Scan
from workkit.frames.tallies import (
    Executions,
    Tally,
    check_column,
    check_history,
    pieces_of,
    read_of,
)
from workkit.frames.times import Time, moment

__all__ = ["latency_quantiles", "lateness", "retry_delays", "throughput"]

_QUANTILES: Final = (0.5, 0.9, 0.99)
#: The most spans of a table. One record with a wrong clock would make millions.
_MOST_SPANS: Final = 1_000_000
#: The label of all rows, where no column is given.
_ALL: Final = "all"
#: What the delays of retries are computed from, beside the job.
_OF_DELAYS: Final = ("outcome", "started_at", "finished_at")


def throughput(
    history: Executions,
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
        history: A frame of history, or a `Scan`.
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
    check_history(history, "throughput")
    step = _step(freq)
    first, end = _extent(history, since, until)
    if by is not None:
        check_column(history, by)
    tally = Tally()
    between = (first if since is not None else None, end if until is not None else None)
    for rows in pieces_of(history, _columns(["finished_at"], by), *between):
        tally.add(_labels(rows, by), rows["finished_at"].dt.floor(freq))
    counts = tally.counts()
    index = _index(counts["value"], first, end, freq, step)
    table = counts.set_index(["value", "label"])["count"].unstack(fill_value=0)
    table.columns = [str(value) for value in table.columns]
    table = table.reindex(index, fill_value=0).astype("int64")
    if by is not None:
        return table
    executions = table[_ALL] if _ALL in table else pd.Series(0, index)
    return pd.DataFrame({"executions": executions, "per_s": executions / step.total_seconds()})


def _columns(columns: Sequence[str], by: str | None) -> list[str]:
    """Return the columns that are read."""
    return list(dict.fromkeys([*columns, *([] if by is None else [by])]))


def _labels(piece: Any, by: str | None) -> Any:
    """Return the labels of rows; all are equal without a column."""
    return pd.Series(_ALL, piece.index, dtype="str") if by is None else piece[by]


def _step(freq: str) -> Any:
    """Read the length of a span."""
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
        step = pd.Timedelta(offset) if offset is not None else pd.NaT
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidOption(f"freq must be a span such as 10s, 1min or 1h: {error}") from None
    if pd.isna(step):
        raise InvalidOption(f"freq must be a span such as 10s, 1min or 1h, not {freq!r}")
    if step < pd.Timedelta("1ms"):
        raise InvalidOption(f"freq must be at least a millisecond, not {freq!r}; write 10s or 1min")
    return step


def _extent(history: Any, since: Time | None, until: Time | None) -> tuple[Any, Any]:
    """Return when the table begins, and the time at which it ends; None where the rows decide."""
    read = read_of(history)
    given = (read[0] if since is None else since, read[1] if until is None else until)
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


def latency_quantiles(
    history: Executions, by: str | None = "name", *, quantiles: Sequence[float] = _QUANTILES
) -> Any:
    """Return quantiles of the times that jobs waited, ran, and spent between two tries.

    Args:
        history: A frame of history, or a `Scan`.
        by: A column. The result has a row for each of its values, and "(none)" for executions
            without one. None for one row.
        quantiles: Numbers from 0 to 1.

    Returns:
        A DataFrame of timedeltas. Its columns have two levels: "wait", "run" and "retry_delay",
        then the quantiles. The column "executions" counts executions.

    Raises:
        InvalidOption: The column is unknown, or a quantile is not from 0 to 1.
    """
    check_history(history, "latency_quantiles")
    check_quantiles(quantiles)
    if by is not None:
        check_column(history, by)
    spans = {name: Tally() for name in ("wait", "run", "retry_delay")}
    if isinstance(history, Scan):
        with history.fixed() as fixed:
            for piece in fixed.pieces(_columns(["started_at", "wait", "run"], by)):
                _add_spans(spans, piece, by)
            columns = _columns(_OF_DELAYS, None if by == "job_id" else by)
            for piece in retried(fixed, columns, named=by == "job_id"):
                _add_delays(spans["retry_delay"], piece, by)
    else:
        rows = history.reset_index(drop=True)  # frames that were joined repeat their index
        _add_spans(spans, rows, by)
        _add_delays(spans["retry_delay"], rows, by)
    return _quantile_table(spans, by, quantiles)


def _add_spans(spans: dict[str, Tally], piece: Any, by: str | None) -> None:
    ran = piece[piece["started_at"].notna()]
    for name in ("wait", "run"):
        spans[name].add(_labels(ran, by), ran[name])


def _add_delays(tally: Tally, piece: Any, by: str | None) -> None:
    delays = retry_delays(piece)
    known = delays.notna()
    tally.add(_labels(piece[known], by), delays[known])


def _quantile_table(spans: dict[str, Tally], by: str | None, quantiles: Sequence[float]) -> Any:
    counts = {name: tally.counts() for name, tally in spans.items()}
    executions = counts["run"].groupby("label", observed=True)["count"].sum()
    columns = {("executions", ""): executions.astype("int64")}
    for name, found in counts.items():
        groups = dict(iter(found.dropna(subset="value").groupby("label", observed=True)))
        for quantile in quantiles:
            values = [
                _quantile(groups[label], quantile) if label in groups else pd.NaT
                for label in executions.index
            ]
            column = pd.Series(values, executions.index, dtype="timedelta64[ms]")
            columns[name, f"p{quantile * 100:g}"] = column
    made = pd.DataFrame(columns)
    made.columns = pd.MultiIndex.from_tuples(made.columns)
    made.index.name = by
    return made


def _quantile(counts: Any, quantile: float) -> Any:
    """Return a quantile of values that occur several times, as pandas interpolates it."""
    ordered = counts.sort_values("value")
    values = ordered["value"].astype("timedelta64[ms]").astype("int64").to_numpy()
    ends = ordered["count"].cumsum().to_numpy()
    place = quantile * (ends[-1] - 1)
    low, high = (
        float(values[np.searchsorted(ends, rank, side="right")])
        for rank in (int(place), min(int(place) + 1, ends[-1] - 1))
    )
    share = place % 1
    return pd.Timedelta(int(low + (high - low) * share if share else low), unit="ms")


def retry_delays(history: Any) -> Any:
    """Return the time between a failed execution of a job and its next execution.

    Args:
        history: A frame of history.

    Returns:
        A Series with the frame's index; NaT for first tries.
    """
    check_history(history, "retry_delays", scans=False)
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
    check_history(history, "lateness", scans=False)
    rows = history.reset_index(drop=True)
    ids = rows["job_id"].where(rows["job_id"].str.startswith(PERIODIC, na=False))
    slots = pd.to_numeric(ids.str.extract(r":(\d{1,12})$", expand=False), errors="coerce")
    due = pd.to_datetime(slots, unit="s", utc=True, errors="coerce")
    ran = rows[due.notna() & rows["started_at"].notna()]
    first = ran.sort_values("started_at", kind="stable").drop_duplicates("job_id").index
    late = (rows["started_at"] - due).where(rows.index.isin(first))
    made = late.clip(lower=pd.Timedelta(0)).astype("timedelta64[ms]")
    return made.set_axis(history.index)
