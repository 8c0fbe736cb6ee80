"""Computes throughput and latency from history, and compares dead jobs with done jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from workkit.core.job import PERIODIC
from workkit.errors import InvalidOption
from workkit.frames.args import flattened
from workkit.frames.extra import np, pd

__all__ = ["compare", "latency_quantiles", "lateness", "retry_delays", "throughput"]

_QUANTILES: Final = (0.5, 0.9, 0.99)
#: A number with more values than this is grouped by quarters of its range.
_MANY: Final = 20
_QUARTERS: Final = 4
#: Columns of results. They are not compared, since they are not circumstances.
_CIRCUMSTANCES: Final = ("name", "host", "version")


def throughput(history: Any, freq: str = "1min", *, by: str | None = None) -> Any:
    """Count the executions that ended in each span of time.

    Args:
        history: A frame of history.
        freq: The length of a span, such as "10s", "1min" or "1h".
        by: A column such as "outcome" or "name". The result has a column for each of its values.

    Returns:
        A DataFrame, indexed by the beginning of each span, without gaps. Without `by` it has the
        columns "executions" and "per_s".

    Raises:
        InvalidOption: `freq` is not a span of time, or the column is unknown.
    """
    try:
        spans = history["finished_at"].dt.floor(freq)
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
    except ValueError as error:
        raise InvalidOption(f"freq must be a span such as 10s, 1min or 1h: {error}") from None
    index = pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name="finished_at")
    if len(spans):
        index = pd.date_range(spans.min(), spans.max(), freq=freq, name="finished_at", unit="ms")
    if by is not None:
        _check_column(history, by)
        keys = history[by].cat.remove_unused_categories() if _is_label(history[by]) else history[by]
        counts = history.groupby([spans, keys], observed=True).size().unstack(fill_value=0)
        counts.columns = [str(value) for value in counts.columns]
        return counts.reindex(index, fill_value=0).astype("int64")
    counts = spans.value_counts().reindex(index, fill_value=0).astype("int64")
    return pd.DataFrame({"executions": counts, "per_s": counts / step.total_seconds()})


def latency_quantiles(
    history: Any, by: str | None = "name", *, quantiles: Sequence[float] = _QUANTILES
) -> Any:
    """Return quantiles of the times that jobs waited, ran, and spent between two tries.

    Args:
        history: A frame of history.
        by: A column. The result has a row for each of its values. None for one row.
        quantiles: Numbers from 0 to 1.

    Returns:
        A DataFrame of timedeltas. Its columns have two levels: "wait", "run" and "retry_delay",
        then the quantiles. The column "executions" counts executions.

    Raises:
        InvalidOption: The column is unknown, or a quantile is not from 0 to 1.
    """
    if any(not 0 <= quantile <= 1 for quantile in quantiles):
        raise InvalidOption(f"quantiles must be from 0 to 1, not {list(quantiles)!r}")
    ran = history[history["started_at"].notna()]
    spans = pd.DataFrame(
        {
            "wait": ran["wait"],
            "run": ran["run"],
            "retry_delay": retry_delays(history).reindex(ran.index),
        }
    )
    if by is None:
        keys = pd.Series("all", index=ran.index)
    else:
        _check_column(ran, by)
        keys = ran[by]
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
    ran = history[history["started_at"].notna()].sort_values("started_at", kind="stable")
    jobs = ran.groupby("job_id", sort=False)
    ended = jobs["finished_at"].shift()
    delays = (ran["started_at"] - ended).where(jobs["outcome"].shift() == "retry")
    return delays.astype("timedelta64[ms]").reindex(history.index)


def lateness(history: Any) -> Any:
    """Return how long after its slot a cron job has started.

    The slot is in the id of the job. Other jobs have no time at which they should start: `wait` is
    counted from the moment at which they entered their queues.

    Args:
        history: A frame of history.

    Returns:
        A Series of timedeltas with the frame's index; NaT for other jobs, and for later tries.
    """
    ids = history["job_id"].where(history["job_id"].str.startswith(PERIODIC, na=False))
    slots = pd.to_numeric(ids.str.extract(r":(\d{1,12})$", expand=False), errors="coerce")
    due = pd.to_datetime(slots, unit="s", utc=True, errors="coerce")
    ran = history[due.notna() & history["started_at"].notna()]
    first = ran.sort_values("started_at", kind="stable").drop_duplicates("job_id").index
    late = (history["started_at"] - due).where(history.index.isin(first))
    return late.clip(lower=pd.Timedelta(0)).astype("timedelta64[ms]")


def compare(dead: Any, done: Any, *, least: int = 5) -> Any:
    """Find values that are more frequent among dead jobs than among done jobs.

    This compares each arg, the job's name, the host, the version and the hour of the day, if both
    frames have them. Two frames of history have the most columns to compare. A number with many
    values is grouped by quarters of its range.

    Args:
        dead: A frame of jobs or executions that failed.
        done: A frame of jobs or executions that succeeded.
        least: Ignore values that fewer jobs share.

    Returns:
        A DataFrame, sorted by "score". Columns: "attribute"; "value"; how many rows of each frame
        have the value ("dead", "done"); their shares; "lift", how many times as frequent the value
        is among the dead; "score", twice the log-likelihood ratio. The score makes rare and common
        values comparable.
    """
    bad, good = dict(_circumstances(dead)), dict(_circumstances(done))
    rows: list[dict[str, Any]] = []
    for attribute in (name for name in bad if name in good):
        rows += _lifts(attribute, bad[attribute], good[attribute], least)
    made = pd.DataFrame(
        rows,
        columns=["attribute", "value", "dead", "done", "dead_share", "done_share", "lift", "score"],
    )
    types = {"attribute": "str", "value": "str", "dead": "int64", "done": "int64"}
    floats = dict.fromkeys(("dead_share", "done_share", "lift", "score"), "float64")
    made = made.astype(types | floats)
    return made.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)


def _circumstances(frame: Any) -> Iterator[tuple[str, Any]]:
    for name in _CIRCUMSTANCES:
        if name in frame and frame[name].notna().any():
            yield name, frame[name]
    at = next((name for name in ("finished_at", "died_at") if name in frame), None)
    if at is not None:
        yield "hour", frame[at].dt.hour.astype("Int64").astype("category")
    if "args" in frame:
        for key, values in flattened(frame["args"]).items():
            yield f"args.{key}", values


def _lifts(attribute: str, bad: Any, good: Any, least: int) -> list[dict[str, Any]]:
    """Return a row for each value that at least `least` jobs share."""
    all_bad, all_good = len(bad), len(good)
    bad, good = _comparable(bad, good)
    counts = pd.DataFrame({"dead": bad.value_counts(), "done": good.value_counts()}).fillna(0)
    rows = []
    for value, dead, done in counts.itertuples():
        if dead + done < least or dead + done == all_bad + all_good:
            continue
        # Half a job more in each frame, or a value that only one frame has would divide by zero.
        lift = ((dead + 0.5) / (all_bad + 1)) / ((done + 0.5) / (all_good + 1))
        rows.append(
            {
                "attribute": attribute,
                "value": str(value),
                "dead": int(dead),
                "done": int(done),
                "dead_share": dead / all_bad,
                "done_share": done / all_good,
                "lift": lift,
                "score": _g(dead, all_bad, done, all_good),
            }
        )
    return rows


def _comparable(bad: Any, good: Any) -> tuple[Any, Any]:
    """Group a number with many values by quarters. Turn other values into texts."""
    both = pd.concat([pd.Series(bad.to_numpy()), pd.Series(good.to_numpy())], ignore_index=True)
    numbers = pd.api.types.is_numeric_dtype(bad) and pd.api.types.is_numeric_dtype(good)
    boolean = pd.api.types.is_bool_dtype(bad) or pd.api.types.is_bool_dtype(good)
    if numbers and not boolean and both.nunique() > _MANY:
        values = pd.to_numeric(both).astype("float64")
        cut = pd.qcut(values, _QUARTERS, duplicates="drop").astype("str")
        cut = cut.where(values.notna())
    else:
        cut = both.astype("str").where(both.notna())
    return cut.iloc[: len(bad)].dropna(), cut.iloc[len(bad) :].dropna()


def _g(dead: float, all_dead: int, done: float, all_done: int) -> float:
    """Return twice the log-likelihood ratio of a value's counts against independence."""
    rate = (dead + done) / (all_dead + all_done)
    seen = np.array([dead, all_dead - dead, done, all_done - done], float)
    expected = np.array(
        [all_dead * rate, all_dead * (1 - rate), all_done * rate, all_done * (1 - rate)], float
    )
    present = seen > 0
    return float(2 * np.sum(seen[present] * np.log(seen[present] / expected[present])))


def _is_label(series: Any) -> bool:
    return isinstance(series.dtype, pd.CategoricalDtype)


def _check_column(frame: Any, name: str) -> None:
    if name not in frame:
        raise InvalidOption(f"unknown column {name!r}; known are {', '.join(frame.columns)}")
