"""A picture of a promise about waits: how fast late jobs use up what it allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.frames.archive_files import Gap
from workkit.frames.extra import np, pd
from workkit.frames.journeys import is_attempt
from workkit.frames.objectives import ALERTS, burned, promise
from workkit.frames.times import Span, span_s
from workkit.plots.extra import lines, ticker
from workkit.plots.grids import extent, of_history
from workkit.plots.marks import Mark, draw_gaps, draw_marks, missing
from workkit.plots.picture import (
    PALETTE,
    Picture,
    about,
    legend,
    look,
    new,
    nothing,
    numbers,
    span_text,
    time_axis,
    zone_of,
)

__all__ = ["burn_rate"]

_STYLES: Final = (":", "--", "-")
_POINTS: Final = 600
#: Burn rates up to this one are drawn to scale; above, each factor of ten has the same height.
_EVEN: Final = 1.0
_TICKS: Final = (0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


def burn_rate(
    history: Any,
    *,
    wait: Span = "5s",
    target: float = 0.99,
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
    gaps: Sequence[Gap] = (),
) -> Picture:
    """Draw how fast late jobs use up what a promise about waits allows, and what is left of it.

    The upper part has the burn rates of `frames.slo` at each time, over the windows that end then;
    a thick line is an alert. Windows of which the history has less than half are left out, but for
    the shortest. The lower part has the budget: what the promise allows for all executions of the
    frame. Below 0 it is broken.

    Args:
        history: A frame of history.
        wait: How long a job may wait, such as "5s" or "500ms".
        target: The share of executions that must keep it, above 0 and below 1.
        tz: The time zone of the axis.
        marks: What to mark on the time axis.
        gaps: Gaps of an archive, from `frames.archive_gaps`.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    bound_s, allowed = promise(wait, target)
    title = f"Burn rate: {target * 100:.5g} % of jobs wait at most {span_text(bound_s) or '0 s'}"
    rows = of_history(history)
    rows = rows[(is_attempt(rows) & rows["wait"].notna()).to_numpy()].sort_values("finished_at")
    if not len(rows):
        return nothing(about(history), title)
    first, end = extent(rows, history)
    ended_ms = rows["finished_at"].astype("int64").to_numpy()
    late = np.concatenate([[0], np.cumsum((rows["wait"].dt.total_seconds() > bound_s).to_numpy())])
    first_ms, end_ms = (round(time.timestamp() * 1_000) for time in (first, end))
    at_ms = np.unique(np.round(np.linspace(first_ms, end_ms, _POINTS)).astype("int64"))
    with look():
        picture, (rates, budget) = new(4.8, 2, sharex=True, height_ratios=(3, 2))
        items = []
        known_s = (end_ms - first_ms) / 1_000
        for alert, style, colour in zip(ALERTS, _STYLES, PALETTE, strict=False):
            if alert is ALERTS[-1] or span_s(alert[0], "window") <= 2 * known_s:
                items += _window(rates, (ended_ms, late), at_ms, alert, allowed, style, colour)
        rates.axhline(1, color="#555555", linewidth=0.8)
        _rate_axis(rates)
        rates.set_title(title)
        time_axis(rates, tz, first, end)
        thick = lines.Line2D([], [], color="#777777", linewidth=6, alpha=0.4)
        hatched = draw_gaps(rates, missing(history, gaps))
        legend(rates, [*items, (thick, "alert"), *hatched, *draw_marks(rates, marks)])
        rates.set_xlabel("")
        used = burned(late[np.searchsorted(ended_ms, at_ms, "right")] / len(rows), allowed)
        left = (1 - used) * 100
        budget.plot(_numbers(at_ms), left, color=PALETTE[0], drawstyle="steps-post")
        budget.axhline(0, color="#555555", linewidth=0.8)
        budget.set(title=f"Budget left: {left[-1]:,.0f} %", ylabel="budget left (%)")
        budget.set_ylim(min(left.min() * 1.05, 0), 105)
        budget.yaxis.set_major_formatter("{x:,.0f}")
        time_axis(budget, tz, first, end)
    return picture


def _window(
    axes: Any,
    executions: tuple[Any, Any],
    at_ms: Any,
    alert: tuple[str, str, float],
    allowed: float,
    style: str,
    colour: str,
) -> list[tuple[Any, str]]:
    """Draw the burn rate over one window, and where it alerts; return what a legend needs."""
    window, short, threshold = alert
    rate, short_rate = (
        burned(_burn(*executions, at_ms, span_s(each, "window")), allowed)
        for each in (window, short)
    )
    times = _numbers(at_ms)
    (line,) = axes.plot(times, rate, style, color=colour, linewidth=1.6)
    alerts = np.fmin(rate, short_rate) >= threshold
    axes.plot(times, np.where(alerts, rate, np.nan), "-", color=colour, linewidth=6, alpha=0.4)
    axes.axhline(threshold, color=colour, linestyle=style, linewidth=0.7, alpha=0.7)
    return [(line, f"{window}; alert from {threshold:g} (and {short})")]


def _burn(ended_ms: Any, late: Any, at_ms: Any, window_s: float) -> Any:
    """Return the share of late executions in the window before each time; NaN without any."""
    begin = np.searchsorted(ended_ms, at_ms - round(window_s * 1_000), "left")
    end = np.searchsorted(ended_ms, at_ms, "right")
    count = end - begin
    return np.where(count, (late[end] - late[begin]) / np.maximum(count, 1), np.nan)


def _rate_axis(axes: Any) -> None:
    axes.set_yscale("symlog", linthresh=_EVEN, linscale=0.5)
    top = max(axes.dataLim.ymax * 1.3, 20.0)
    axes.set(ylim=(0, top), ylabel="burn rate (1: just what is allowed)")
    axes.yaxis.set_major_locator(ticker.FixedLocator([at for at in _TICKS if at <= top]))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter("{x:,g}")


def _numbers(at_ms: Any) -> Any:
    return numbers(pd.to_datetime(at_ms, unit="ms", utc=True))
