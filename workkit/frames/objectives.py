"""Service levels: which share of jobs waited no longer than promised."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

from workkit.frames.checks import check_share
from workkit.frames.extra import np, pd
from workkit.frames.journeys import is_attempt
from workkit.frames.tallies import (
    Executions,
    check_column,
    check_history,
    pieces_of,
    read_of,
    repeatable,
    united,
)
from workkit.frames.times import Span, span_s

__all__ = ["ALERTS", "burned", "promise", "slo"]

#: A long window, a short one, and the burn rate in both from which somebody should be called. These
#: pairs use up 10, 5 and 2 % of a month's budget before they alert.
ALERTS: Final = (("3d", "6h", 1.0), ("6h", "30m", 6.0), ("1h", "5m", 14.4))
_WHOLE: Final = "all"
#: Decimals of a burn rate: so many that a rate at a threshold is not below it by a rounding.
_DIGITS: Final = 9
#: The spans in which executions are counted.
_WINDOWS: Final = (_WHOLE, *dict.fromkeys(span for pair in ALERTS for span in pair[:2]))
_OF_AN_ATTEMPT: Final = ("started_at", "finished_at", "reason", "wait")
_COLUMNS: Final = {
    "name": "str", "window": "str", "since": "datetime64[ms, UTC]", "executions": "int64",
    "late": "int64", "good": "float64", "burn_rate": "float64", "budget_left": "float64",
    "short_window": "str", "short_burn_rate": "float64", "threshold": "float64", "alert": "bool",
}  # fmt: skip


def slo(
    history: Executions, *, wait: Span = "5s", target: float = 0.99, by: str | None = None
) -> Any:
    """Tell how well waits keep a promise, such as "99 % of jobs wait at most 5 s".

    A burn rate of 1 uses up exactly what the target allows; at 14.4, a month's allowance is gone
    in two days. The windows end where the history does: at the time until which it was read
    (`attrs["read"]` of a frame), or at its last execution.

    Args:
        history: A frame of history, or a `Scan`. Each attempt counts; executions whose wait is not
            known do not.
        wait: How long a job may wait, such as "5s" or "500ms".
        target: The share of executions that must keep it, above 0 and below 1.
        by: A column such as "name". Each of its values has rows of its own.

    Returns:
        A DataFrame with a row for the whole frame ("all") and for the windows of three days, six
        hours and one hour. Columns: "name", the value of `by`, or "all"; "window"; "since", where
        it begins in the frame; "executions"; "late", those that waited longer; "good", the share of
        the others; "burn_rate", the share of late ones divided by the allowed share; "budget_left",
        1 minus the burn rate, below 0 where the target is missed; "short_window" and
        "short_burn_rate"; "threshold"; "alert", whether both burn rates reach it, or for the whole
        frame whether the target is missed. A window without executions has a missing rate.
        `attrs["unknown"]` counts executions whose wait is not known.

    Raises:
        InvalidOption: An argument is out of its range, or the frame is no history.
    """
    bound_s, allowed = promise(wait, target)
    check_history(history, "slo")
    with repeatable(history) as rows:
        if by is not None:
            check_column(rows, by)
        known = _extent(rows)
        end = known.last if known.until is None else known.until
        found = [
            {"name": name} | row
            for name, counts in _counted(rows, by, bound_s, end).iterrows()
            for row in _windows(counts, end, allowed)
        ]
    made = pd.DataFrame(found, columns=list(_COLUMNS)).astype(_COLUMNS)
    made.attrs = {"unknown": known.unknown, "wait_s": bound_s, "target": target}
    return made


def promise(wait: Span, target: float) -> tuple[float, float]:
    """Return how long a job may wait, seconds, and the share of executions that may wait longer.

    Raises:
        InvalidOption: An argument is out of its range.
    """
    bound_s = span_s(wait, "wait")
    check_share("target", target)
    return bound_s, float(1 - Decimal(str(float(target))))  # of 0.9 exactly 0.1


def burned(share: Any, allowed: float) -> Any:
    """Return the burn rate of a share of late executions; what is just allowed gives exactly 1."""
    return np.round(share / allowed, _DIGITS)


class _Extent(NamedTuple):
    """What a history tells about.

    Attributes:
        last: When its last attempt with a known wait ended; NaT without one.
        until: The time until which it was read, if it says so.
        unknown: How many attempts have an unknown wait.
    """

    last: Any
    until: Any
    unknown: int


def _extent(history: Executions) -> _Extent:
    ends, unknown = [], 0
    for piece in pieces_of(history, _OF_AN_ATTEMPT):
        rows = piece[is_attempt(piece).to_numpy()]
        unknown += int(rows["wait"].isna().sum())
        ends.append(rows.loc[rows["wait"].notna(), "finished_at"].max())
    read = read_of(history)[1]
    until = None if read is None else pd.Timestamp(read, unit="s", tz="UTC")
    return _Extent(pd.Series(ends, dtype="datetime64[ms, UTC]").max(), until, unknown)


def _counted(history: Executions, by: str | None, bound_s: float, end: Any) -> Any:
    """Count executions and late ones in each window, for each value of a column."""
    parts = []
    for piece in pieces_of(history, list(dict.fromkeys([*_OF_AN_ATTEMPT, *([by] if by else [])]))):
        rows = piece[(is_attempt(piece) & piece["wait"].notna()).to_numpy()]
        late = rows["wait"].dt.total_seconds() > bound_s
        columns = {"first": rows["finished_at"]}
        for window in _WINDOWS:
            inside = rows["finished_at"] <= end
            if window != _WHOLE:
                inside &= rows["finished_at"] >= end - _span(window)
            columns |= {_executions(window): inside, _late(window): inside & late}
        labels = pd.Series(_WHOLE, rows.index) if by is None else rows[by]
        parts.append(_added(pd.DataFrame(columns), labels))
    labels = united([part.index.to_series() for part in parts])
    return _added(pd.concat(parts, ignore_index=True), labels).rename(index=str)


def _added(counts: Any, labels: Any) -> Any:
    """Return the sums of counts for each label, and when its first execution ended."""
    rules = dict.fromkeys(counts.columns, "sum") | {"first": "min"}
    by_label = counts.reset_index(drop=True).groupby(labels.reset_index(drop=True), observed=True)
    return by_label.agg(rules)


def _executions(window: str) -> str:
    return f"executions {window}"


def _late(window: str) -> str:
    return f"late {window}"


def _windows(counts: Any, end: Any, allowed: float) -> list[dict[str, Any]]:
    whole = _burn(counts, _WHOLE, allowed)
    rows = [
        {"window": _WHOLE, "since": counts["first"], "short_window": "", "threshold": 1.0} | whole
        | {"alert": whole["burn_rate"] > 1}
    ]  # fmt: skip
    for window, short, threshold in ALERTS:
        rate = _burn(counts, window, allowed)
        short_rate = _burn(counts, short, allowed)["burn_rate"]
        since = max(end - _span(window), counts["first"])
        rows.append(
            {"window": window, "since": since, "short_window": short}
            | rate
            | {
                "short_burn_rate": short_rate, "threshold": threshold,
                "alert": min(rate["burn_rate"], short_rate) >= threshold,
            }
        )  # fmt: skip
    return rows


def _span(text: str) -> Any:
    return pd.Timedelta(seconds=span_s(text, "window"))


def _burn(counts: Any, window: str, allowed: float) -> dict[str, Any]:
    count, bad = int(counts[_executions(window)]), int(counts[_late(window)])
    share = bad / count if count else np.nan
    rate = burned(share, allowed)
    return {
        "executions": count, "late": bad, "good": 1 - share, "burn_rate": rate,
        "budget_left": 1 - rate,
    }  # fmt: skip
