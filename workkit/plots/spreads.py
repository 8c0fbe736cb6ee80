"""Pictures of spreads: histograms of latency, ladders of retries, and capacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.core.outcomes import OUTCOMES as KNOWN
from workkit.core.text import counted
from workkit.errors import InvalidOption
from workkit.frames.capacity import Capacity
from workkit.frames.checks import check_quantiles
from workkit.frames.extra import np
from workkit.frames.journeys import attempts
from workkit.frames.tallies import check_column
from workkit.frames.times import Span, span_s
from workkit.plots.grids import OTHERS_LABEL, of_history, top_labels
from workkit.plots.picture import (
    OTHERS,
    OUTCOMES,
    PALETTE,
    Picture,
    about,
    colours,
    count_axis,
    distinct,
    legend,
    look,
    new,
    nothing,
    plain,
    span_axis,
    span_text,
)

__all__ = ["capacity", "latency_histogram", "retry_ladder"]

_TOP: Final = 6
_BINS: Final = 60
_LEAST_S: Final = 1e-3
_TRIES: Final = 25
_POINTS: Final = 120
_STYLES: Final = ("-", "--", ":", "-.")


def latency_histogram(history: Any, *, by: str = "name") -> Picture:
    """Draw histograms of waits and of run times, on logarithmic axes.

    Args:
        history: A frame of history.
        by: A column; each of its values has a line.

    Raises:
        InvalidOption: The frame is no history, or the column is unknown.
    """
    rows = of_history(history)
    check_column(rows, by)
    ran = rows[rows["started_at"].notna()].reset_index(drop=True)
    if not len(ran):
        return nothing(about(history), "Waits and run times")
    texts, labels = top_labels(ran[by], _TOP)
    chosen = colours([label for label in labels if label != OTHERS_LABEL])
    with look():
        picture, both = new(4.6, 2, sharex=True)
        spans = {
            word: ran[word].dt.total_seconds().clip(lower=_LEAST_S) for word in ("wait", "run")
        }
        known = np.concatenate([values.dropna().to_numpy() for values in spans.values()])
        bins = _bins(max(float(known.max(initial=0.0)), 10 * _LEAST_S))
        for axes, (column, values), word in zip(
            both, spans.items(), ("waits", "run times"), strict=True
        ):
            items = []
            for label, shown in zip(labels, distinct(labels, 26), strict=True):
                counts, _ = np.histogram(values[(texts == label).to_numpy()].dropna(), bins=bins)
                colour = chosen.get(label, OTHERS)
                steps = axes.stairs(counts, bins, color=colour, linewidth=1.5)
                items.append((steps, shown))
            unknown = int(ran[column].isna().sum())
            more = f"; {unknown:,} unknown" if unknown else ""
            axes.set_title(
                f"{word.capitalize()} of {counted(len(ran), 'execution')} by {plain(by)}{more}"
            )
            axes.set(ylabel="executions", ylim=(0, None))
            count_axis(axes.yaxis)
            axes.set_xlim(bins[0], bins[-1])
            span_axis(axes.xaxis)
            legend(axes, items)
        both[1].set_xlabel("1 ms stands for 1 ms or less")
    return picture


def _bins(longest_s: float) -> Any:
    """Return edges between whole milliseconds, since history has no others."""
    edges_ms = np.unique(np.round(np.geomspace(1, longest_s * 1_050, _BINS + 1)))
    return (np.append(edges_ms, edges_ms[-1] + 1) - 0.5) / 1_000


def retry_ladder(history: Any, *, name: str | None = None) -> Picture:
    """Draw how the first, second, third ... attempts of jobs ended, and the delays before them.

    Args:
        history: A frame of history.
        name: Only jobs of this name.

    Raises:
        InvalidOption: The frame is no history, or no job has the name.
    """
    title = "Attempts of jobs" if name is None else f"Attempts of {plain(name)}"
    rows = attempts(of_history(history))
    if name is not None:
        names = sorted(rows["name"].dropna().unique())
        if len(rows) and name not in names:
            raise InvalidOption(f"no job has the name {name!r}; there are {', '.join(names[:10])}")
        rows = rows[(rows["name"] == name).to_numpy()]
    if not len(rows):
        return nothing(about(history), title)
    number = rows["attempt"].astype("int64").clip(upper=_TRIES)
    last = int(number.max())
    steps = np.arange(1, last + 1)
    with look():
        picture, (axes, delays) = new(4.6, 2, sharex=True, height_ratios=(3, 2))
        base, items = np.zeros(last), []
        for outcome in [one for one in KNOWN if (rows["outcome"] == one).any()]:
            mine = number[(rows["outcome"] == outcome).to_numpy()]
            counts = np.bincount(mine, minlength=last + 1)[1:]
            bars = axes.bar(steps, counts, bottom=base, color=OUTCOMES[outcome], width=0.7)
            base = base + counts
            items.append((bars, outcome))
        for at, total in zip(steps, base, strict=True):
            axes.annotate(
                f"{int(total):,}", (at, total), xytext=(0, 2), textcoords="offset points",
                ha="center", fontsize=8,
            )  # fmt: skip
        axes.set(
            title=f"{title}, and how they ended", ylabel="attempts", ylim=(0, base.max() * 1.12)
        )
        count_axis(axes.yaxis)
        legend(axes, items)
        seconds = rows["delay"].dt.total_seconds().clip(lower=_LEAST_S)
        spread = seconds.groupby(number.to_numpy()).quantile([0.1, 0.5, 0.9]).unstack().dropna()
        if len(spread):
            low, middle, high = (spread[quantile].to_numpy() for quantile in (0.1, 0.5, 0.9))
            delays.errorbar(
                spread.index, middle, yerr=(middle - low, high - middle), fmt="o",
                color=PALETTE[0], capsize=4, markersize=5,
            )  # fmt: skip
            span_axis(delays.yaxis)
        else:
            delays.set_yticks([])
            delays.text(
                0.5, 0.5, "no job was tried again", ha="center", va="center", color="#555555",
                transform=delays.transAxes,
            )  # fmt: skip
        delays.set_title("Delay since the attempt before: median, 10 % to 90 %")
        more = f" ({_TRIES}: {_TRIES} or more)" if last == _TRIES else ""
        delays.set(xlabel=f"attempt{more}", ylabel="delay", xlim=(0.4, last + 0.6))
        delays.set_xticks(steps)
    return picture


def capacity(
    estimate: Capacity,
    *,
    measured: Sequence[Any] = (),
    quantiles: Sequence[float] = (0.5, 0.95, 0.99),
    target: Span | None = None,
) -> Picture:
    """Draw waits against load, by the model of an estimate, with its intervals as bands.

    Args:
        estimate: From `frames.capacity`.
        measured: Frames of history; each is a point for each quantile, at its own arrival rate.
        quantiles: Up to four numbers above 0 and below 1.
        target: A wait to draw a line at, such as "50ms".

    Raises:
        InvalidOption: An argument is not valid.
    """
    if not isinstance(estimate, Capacity):
        raise InvalidOption("capacity takes what frames.capacity returns; it may refuse a history")
    check_quantiles(quantiles)
    if not 0 < len(quantiles) <= len(_STYLES):
        raise InvalidOption(f"quantiles must be 1 to 4 numbers, not {list(quantiles)!r}")
    most = estimate.most_per_s
    rates = np.linspace(most.value * 0.02, most.value * 0.995, _POINTS)
    with look():
        picture, axes = new(3.6)
        items = []
        for quantile, style, colour in zip(quantiles, _STYLES, PALETTE, strict=False):
            waits = np.array([estimate.wait_s(rate, quantile) for rate in rates])
            shown = np.where(np.isfinite(waits), waits, np.nan).clip(min=_LEAST_S / 2)
            (line,) = axes.plot(rates, shown[:, 0], style, color=colour)
            high = np.where(np.isfinite(waits[:, 2]), shown[:, 2], np.nanmax(shown) * 10)
            axes.fill_between(rates, shown[:, 1], high, color=colour, alpha=0.15, linewidth=0)
            items.append((line, f"p{quantile * 100:g}, model"))
        axes.axvspan(most.low, most.high, color="#555555", alpha=0.15, linewidth=0)
        limit = axes.axvline(most.value, color="#555555", linewidth=1)
        items.append((limit, f"all busy: {most.value:,.4g}/s"))
        items += _measured(axes, measured, quantiles)
        if target is not None:
            bound_s = span_s(target, "target")
            line = axes.axhline(bound_s, color="#555555", linestyle=":", linewidth=1.2)
            items.append((line, f"target {span_text(bound_s)}"))
        axes.set_title(
            f"Waits against load: {estimate.workers:,} workers, mean run "
            f"{span_text(estimate.run_s.value)}, variation {estimate.variation.value:.2f} (M/G/c)"
        )
        axes.set(xlabel="jobs per second", ylabel="wait (0.5 ms: none)", xlim=(0, most.high * 1.02))
        top = max(float(np.nanmax(shown)), estimate.run_s.value * 10)
        axes.set_ylim(_LEAST_S / 2.5, top * 1.5)
        span_axis(axes.yaxis)
        legend(axes, items)
    return picture


def _measured(
    axes: Any, measured: Sequence[Any], quantiles: Sequence[float]
) -> list[tuple[Any, str]]:
    """Draw the quantiles of histories at their arrival rates; return what a legend needs."""
    items = []
    frames = [rows[rows["wait"].notna()] for rows in map(of_history, measured)]
    frames = [rows for rows in frames if len(rows) > 1]
    for quantile, colour in zip(quantiles, PALETTE, strict=False):
        if not frames:
            break
        spans = [rows["enqueued_at"].max() - rows["enqueued_at"].min() for rows in frames]
        rates = [
            (len(rows) - 1) / max(span.total_seconds(), _LEAST_S)
            for rows, span in zip(frames, spans, strict=True)
        ]
        waits = [rows["wait"].quantile(quantile).total_seconds() for rows in frames]
        (dots,) = axes.plot(
            rates, np.clip(waits, _LEAST_S / 2, None), "o", color=colour, markersize=6
        )
        items.append((dots, f"p{quantile * 100:g}, measured"))
    return items
