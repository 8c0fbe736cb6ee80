"""Service levels: which share of jobs waited no longer than promised."""

from __future__ import annotations

from typing import Any, Final

from workkit.errors import InvalidOption
from workkit.frames.extra import np, pd
from workkit.frames.journeys import is_attempt
from workkit.frames.schema import conform
from workkit.frames.times import Span, span_s

__all__ = ["slo"]

#: A long window, a short one, and the burn rate in both from which somebody should be called. These
#: pairs use up 10, 5 and 2 % of a month's budget before they alert.
_ALERTS: Final = (("3d", "6h", 1.0), ("6h", "30m", 6.0), ("1h", "5m", 14.4))
_WHOLE: Final = "all"
_COLUMNS: Final = {
    "name": "str", "window": "str", "since": "datetime64[ms, UTC]", "executions": "int64",
    "late": "int64", "good": "float64", "burn_rate": "float64", "budget_left": "float64",
    "short_window": "str", "short_burn_rate": "float64", "threshold": "float64", "alert": "bool",
}  # fmt: skip


def slo(history: Any, *, wait: Span = "5s", target: float = 0.99, by: str | None = None) -> Any:
    """Tell how well waits keep a promise, such as "99 % of jobs wait at most 5 s".

    A burn rate of 1 uses up exactly what the target allows; at 14.4, a month's allowance is gone
    in two days. The windows end where the frame does: at `attrs["read"]`, or at its last execution.

    Args:
        history: A frame of history. Each attempt counts; executions whose wait is not known do not.
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
    bound_s = span_s(wait, "wait")
    if not 0 < target < 1:
        raise InvalidOption(f"target must be above 0 and below 1, such as 0.99, not {target!r}")
    known = conform(history, "history")
    if by is not None and by not in known:
        raise InvalidOption(f"unknown column {by!r}; known are {', '.join(known.columns)}")
    rows = known[is_attempt(known).to_numpy()].reset_index(drop=True)
    unknown = int(rows["wait"].isna().sum())
    rows = rows[rows["wait"].notna()]
    late = rows["wait"].dt.total_seconds() > bound_s
    read = history.attrs.get("read") or (None, None)
    end = (
        rows["finished_at"].max() if read[1] is None else pd.Timestamp(read[1], unit="s", tz="UTC")
    )
    groups = (
        [(_WHOLE, rows)]
        if by is None
        else [(str(value), mine) for value, mine in rows.groupby(by, observed=True)]
    )
    found = [
        {"name": name} | row
        for name, mine in groups
        if len(mine)
        for row in _windows(mine["finished_at"], late.loc[mine.index], end, 1 - target)
    ]
    made = pd.DataFrame(found, columns=list(_COLUMNS)).astype(_COLUMNS)
    made.attrs = {"unknown": unknown, "wait_s": bound_s, "target": target}
    return made


def _windows(ended: Any, late: Any, end: Any, allowed: float) -> list[dict[str, Any]]:
    whole = _burn(ended, late, ended.min(), end, allowed)
    rows = [
        {"window": _WHOLE, "since": ended.min(), "short_window": "", "threshold": 1.0} | whole
        | {"alert": whole["burn_rate"] > 1}
    ]  # fmt: skip
    for window, short, threshold in _ALERTS:
        since = end - _span(window)
        rate = _burn(ended, late, since, end, allowed)
        short_rate = _burn(ended, late, end - _span(short), end, allowed)["burn_rate"]
        rows.append(
            {"window": window, "since": max(since, ended.min()), "short_window": short}
            | rate
            | {
                "short_burn_rate": short_rate, "threshold": threshold,
                "alert": min(rate["burn_rate"], short_rate) >= threshold,
            }
        )  # fmt: skip
    return rows


def _span(text: str) -> Any:
    return pd.Timedelta(seconds=span_s(text, "window"))


def _burn(ended: Any, late: Any, since: Any, end: Any, allowed: float) -> dict[str, Any]:
    inside = (ended >= since) & (ended <= end)
    count, bad = int(inside.sum()), int(late[inside].sum())
    share = bad / count if count else np.nan
    return {
        "executions": count, "late": bad, "good": 1 - share, "burn_rate": share / allowed,
        "budget_left": 1 - share / allowed,
    }  # fmt: skip
