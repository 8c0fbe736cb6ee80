"""Pictures over time: throughput, latency, concurrency, queues and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workkit.core.outcomes import with_flag
from workkit.errors import InvalidOption
from workkit.frames.archive_files import Gap
from workkit.frames.checks import check_count, check_quantiles, checked_limits
from workkit.frames.extra import np, pd
from workkit.frames.tallies import check_column
from workkit.plots.extra import lines, patches, ticker
from workkit.plots.grids import (
    OTHERS_LABEL,
    Grid,
    extent,
    grid,
    most_at_once,
    of_history,
    seconds,
    time_passed,
    top_labels,
)
from workkit.plots.marks import Mark, draw_gaps, draw_marks, missing
from workkit.plots.picture import (
    OTHERS,
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
    numbers,
    plain,
    span_axis,
    time_axis,
    zone_of,
)

__all__ = ["concurrency", "errors", "latency", "queue_depth", "throughput"]

_TOP: Final = 7
_FAILED: Final = with_flag("failed")
_QUANTILES: Final = (0.5, 0.9, 0.99)
_STYLES: Final = ("-", "--", ":", "-.")
#: Below this, history has no times; a logarithm needs more than zero.
_LEAST_S: Final = 1e-3


def throughput(
    history: Any,
    freq: str | None = None,
    *,
    by: str = "outcome",
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
    gaps: Sequence[Gap] = (),
) -> Picture:
    """Draw how many executions ended in each span of time, stacked by a column.

    Spans without executions are empty. Time of which history is missing is hatched.

    Args:
        history: A frame of history.
        freq: The length of a span, such as "10s"; by default one that gives about a hundred.
        by: The column, such as "outcome", "name", "host" or "version"; the rarest of many values
            become "others".
        tz: The time zone of the axis.
        marks: What to mark on the time axis, see `deploy_marks` and `cron_marks`.
        gaps: Gaps of an archive, from `frames.archive_gaps`.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    title = f"Throughput by {plain(by)}"
    rows = of_history(history)
    check_column(rows, by)
    if not len(rows):
        return nothing(about(history), title)
    spans = grid(*extent(rows, history), freq)
    texts, labels = top_labels(rows[by], _TOP + 1)
    with look():
        picture, axes = new()
        items = _stacked(axes, rows["finished_at"], texts, labels, spans)
        axes.set(title=title, ylabel=f"executions per {spans.step}", ylim=(0, None))
        count_axis(axes.yaxis)
        time_axis(axes, tz, spans.times[0], spans.times[-1])
        items += draw_gaps(axes, missing(history, gaps)) + draw_marks(axes, marks)
        legend(axes, items)
    return picture


def _stacked(
    axes: Any, times: Any, texts: Any, labels: Sequence[str], spans: Grid
) -> list[tuple[Any, str]]:
    """Draw stacked bars of counts; return what a legend needs."""
    at = numbers(spans.times)
    base = np.zeros(len(at) - 1)
    chosen = colours([label for label in labels if label != OTHERS_LABEL])
    items = []
    for label, word in zip(labels, distinct(labels, 26), strict=True):
        ended = times[(texts == label).to_numpy()]
        counts, _ = np.histogram(seconds(ended), bins=spans.edges_s)
        colour = chosen.get(label, OTHERS)
        bars = axes.bar(
            at[:-1], counts, width=np.diff(at), bottom=base, align="edge", color=colour, linewidth=0
        )
        base = base + counts
        items.append((bars, word))
    return items


def latency(
    history: Any,
    freq: str | None = None,
    *,
    quantiles: Sequence[float] = _QUANTILES,
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
) -> Picture:
    """Draw quantiles of waits and of run times over time.

    Spans without executions interrupt the lines.

    Args:
        history: A frame of history.
        freq: The length of a span; by default one that gives about a hundred.
        quantiles: Up to four numbers from 0 to 1.
        tz: The time zone of the axis.
        marks: What to mark on the time axis.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    check_quantiles(quantiles)
    if not 0 < len(quantiles) <= len(_STYLES):
        raise InvalidOption(f"quantiles must be 1 to 4 numbers, not {list(quantiles)!r}")
    rows = of_history(history)
    ran = rows[rows["started_at"].notna()]
    if not len(ran):
        return nothing(about(history), "Waits and run times")
    spans = grid(*extent(ran, history), freq)
    at = numbers(spans.times)
    span = pd.Series(np.searchsorted(spans.edges_s, seconds(ran["finished_at"]), "right") - 1)
    with look():
        picture, both = new(4.6, 2, sharex=True)
        for axes, column, word in zip(both, ("wait", "run"), ("waits", "run times"), strict=True):
            values = ran[column].dt.total_seconds().reset_index(drop=True)
            tops = values.groupby(span.to_numpy()).quantile(list(quantiles)).unstack()
            items = []
            for quantile, style, colour in zip(quantiles, _STYLES, PALETTE, strict=False):
                shown = tops[quantile].reindex(range(len(at) - 1)).clip(lower=_LEAST_S)
                middle = (at[:-1] + at[1:]) / 2
                (line,) = axes.plot(
                    middle, shown.to_numpy(), style, color=colour, marker=".", markersize=3
                )
                items.append((line, f"p{quantile * 100:g}"))
            axes.set_title(f"{word.capitalize()}, quantiles per {spans.step}")
            unknown = int(ran[column].isna().sum())
            axes.set_ylabel(word if not unknown else f"{word}\n({unknown:,} unknown)")
            if values.notna().any():
                span_axis(axes.yaxis)
            time_axis(axes, tz, spans.times[0], spans.times[-1])
            legend(axes, items + draw_marks(axes, marks))
        both[0].set_xlabel("")
    return picture


def concurrency(
    history: Any,
    freq: str | None = None,
    *,
    limits: Mapping[str, int] | None = None,
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
) -> Picture:
    """Draw how many jobs of each name ran at once, at most, in each span of time.

    Args:
        history: A frame of history. It has only executions that have ended.
        freq: The length of a span; by default one that gives about a hundred.
        limits: The limits (`max_concurrency`) of names, drawn as dashed lines.
        tz: The time zone of the axis.
        marks: What to mark on the time axis.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    title = "Jobs that ran at once"
    rows = of_history(history)
    ran = rows[rows["started_at"].notna()]
    if not len(ran):
        return nothing(about(history), title)
    spans = grid(*extent(ran, history, "started_at"), freq)
    texts, labels = top_labels(ran["name"], _TOP)
    given = checked_limits(limits)
    # A name with a limit has a row of its own, however rare it is.
    further = [name for name in given if name not in labels and (ran["name"] == name).any()]
    labels = [*labels, *further]
    chosen = colours([label for label in labels if label != OTHERS_LABEL])
    at = numbers(spans.times)
    with look():
        picture, every = new(1.1 + 0.75 * len(labels), len(labels), sharex=True, squeeze=False)
        for axes, label, text in zip(every[:, 0], labels, distinct(labels, 30), strict=True):
            column = ran["name"] if label in further else texts
            mine = ran[(column == label).to_numpy()]
            most = most_at_once(
                seconds(mine["started_at"]), seconds(mine["finished_at"]), spans.edges_s
            )
            axes.stairs(most, at, fill=True, color=chosen.get(label, OTHERS), linewidth=0)
            limit, word = given.get(label), text
            if limit is not None:
                axes.axhline(limit, color="#222222", linestyle="--", linewidth=1)
                word = f"{text} (limit {limit:,})"
            axes.set_title(word, fontsize=9, pad=2)
            axes.set_ylim(0, max(most.max(), limit or 0, 1) * 1.15)
            axes.yaxis.set_major_locator(ticker.MaxNLocator(3, integer=True))
            time_axis(axes, tz, spans.times[0], spans.times[-1])
            draw_marks(axes, marks if axes is every[0, 0] else [])
            axes.set_xlabel("")
        time_axis(every[-1, 0], tz, spans.times[0], spans.times[-1])
        picture.suptitle(f"{title}, the most in each {spans.step}", x=0.01, ha="left", fontsize=11)
    return picture


def queue_depth(
    history: Any,
    freq: str | None = None,
    *,
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
) -> Picture:
    """Draw how many jobs waited in their queues, and how fast they came and left.

    Args:
        history: A frame of history. Jobs that still wait are not in history.
        freq: The length of a span; by default one that gives about a hundred.
        tz: The time zone of the axis.
        marks: What to mark on the time axis.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    title = "Jobs that waited in their queues"
    rows = of_history(history)
    ran = rows[rows["started_at"].notna() & rows["enqueued_at"].notna()]
    if not len(ran):
        return nothing(about(history), title)
    spans = grid(*extent(ran, history, "enqueued_at"), freq)
    texts, labels = top_labels(ran["name"], _TOP)
    chosen = colours([label for label in labels if label != OTHERS_LABEL])
    at = numbers(spans.times)
    with look():
        picture, (axes, flow) = new(4.6, 2, sharex=True, height_ratios=(3, 2))
        base, items = np.zeros(len(at) - 1), []
        for label, word in zip(labels, distinct(labels, 26), strict=True):
            mine = ran[(texts == label).to_numpy()]
            came = seconds(mine["enqueued_at"])
            left = np.maximum(seconds(mine["started_at"]), came)  # clocks of two hosts differ
            mean = np.diff(time_passed(came, left, spans.edges_s)) / spans.width_s
            colour = chosen.get(label, OTHERS)
            axes.stairs(base + mean, at, baseline=base, fill=True, color=colour, linewidth=0)
            base = base + mean
            items.append((patches.Patch(color=colour), word))
        axes.set(title=title, ylabel=f"jobs, mean of {spans.step}", ylim=(0, None))
        time_axis(axes, tz, spans.times[0], spans.times[-1])
        legend(axes, items + draw_marks(axes, marks))
        axes.set_xlabel("")
        ways = []
        for column, word, style, colour in (
            ("enqueued_at", "came", "-", PALETTE[1]), ("started_at", "started", "--", PALETTE[0]),
        ):  # fmt: skip
            counts, _ = np.histogram(seconds(ran[column]), bins=spans.edges_s)
            flow.stairs(counts / spans.width_s, at, color=colour, linestyle=style, linewidth=1.5)
            ways.append((lines.Line2D([], [], color=colour, linestyle=style), word))
        flow.set(ylabel="jobs per second", ylim=(0, None))
        time_axis(flow, tz, spans.times[0], spans.times[-1])
        legend(flow, ways)
    return picture


def errors(
    history: Any,
    freq: str | None = None,
    *,
    most: int = 6,
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
) -> Picture:
    """Draw the kinds of failures over time, with a mark where each was first seen.

    Args:
        history: A frame of history.
        freq: The length of a span; by default one that gives about a hundred.
        most: How many kinds are drawn; the rarest become "others".
        tz: The time zone of the axis.
        marks: What else to mark on the time axis.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    check_count("most", most, 1, _TOP)
    title = "Failures by kind"
    rows = of_history(history)
    failed = rows[(rows["outcome"].isin(_FAILED) & rows["fingerprint"].notna()).to_numpy()]
    if not len(failed):
        return nothing("no failures" if len(rows) else about(history), title)
    spans = grid(*extent(rows, history), freq)
    texts, labels = top_labels(failed["fingerprint"], most + 1)
    with look():
        picture, axes = new()
        items = _stacked(axes, failed["finished_at"], texts, labels, spans)
        top = axes.get_ylim()[1]
        of_kind = [failed[(texts == kind).to_numpy()].sort_values("finished_at") for kind in labels]
        examples = [mine["error"].dropna() for mine in of_kind]
        words = distinct(
            [
                example.iloc[0] if len(example) and kind != OTHERS_LABEL else kind
                for example, kind in zip(examples, labels, strict=True)
            ]
        )
        named = []
        for (bars, _), kind, word, mine in zip(items, labels, words, of_kind, strict=True):
            named.append((bars, f"{word} ({len(mine):,})"))
            if kind != OTHERS_LABEL:
                axes.plot(
                    numbers(mine["finished_at"].iloc[:1]), [top], "v", zorder=5, clip_on=False,
                    color=bars.patches[0].get_facecolor(), markersize=8, markeredgecolor="white",
                )  # fmt: skip
        axes.set(title=title, ylabel=f"failures per {spans.step}", ylim=(0, top))
        count_axis(axes.yaxis)
        time_axis(axes, tz, spans.times[0], spans.times[-1])
        seen = lines.Line2D([], [], color="#555555", marker="v", linestyle="none")
        named += [(seen, "first seen"), *draw_marks(axes, marks)]
        below = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.22), "ncols": 2}
        legend(axes, named, **below)
    return picture
