"""Pictures of single jobs, of workers and of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.core.options import shown
from workkit.core.outcomes import OUTCOMES as KNOWN
from workkit.core.text import clip, width
from workkit.errors import InvalidOption
from workkit.frames.checks import check_count
from workkit.frames.extra import np, pd
from workkit.frames.journeys import attempts as attempts_of
from workkit.frames.journeys import is_attempt
from workkit.frames.tallies import NONE
from workkit.plots.extra import patches
from workkit.plots.grids import extent, grid, of_history, seconds, time_passed
from workkit.plots.marks import Mark, draw_marks
from workkit.plots.picture import (
    OUTCOMES,
    Picture,
    about,
    distinct,
    legend,
    look,
    new,
    nothing,
    numbers,
    plain,
    span_text,
    time_axis,
    zone_of,
)

__all__ = ["attempts", "utilisation", "workers"]

_ROW_IN: Final = 0.26
_MOST_ROWS: Final = 40
_MOST_BARS: Final = 20_000
#: About how many pixels a time axis has beside a legend.
_PIXELS: Final = 700
_WAIT: Final = "#d0d0d0"
#: The least share of the axis in which a text beside a bar says something.
_LEAST_ROOM: Final = 0.3
_BY: Final = ("host", "pool_id", "worker_id")


def attempts(history: Any, job_id: str | None = None, *, tz: str = "UTC") -> Picture:
    """Draw the attempts of a job as a waterfall: how long each waited and ran, and how it ended.

    Args:
        history: A frame of history.
        job_id: The job; by default the one with the most attempts.
        tz: The time zone of the axis.

    Raises:
        InvalidOption: The frame is no history, or it has no attempt of the job.
    """
    zone_of(tz)
    every = of_history(history)
    there = is_attempt(every)
    if not there.any():
        return nothing(about(history), "Attempts of a job")
    if job_id is None:
        job_id = str(every.loc[there, "job_id"].value_counts().index[0])
    if not isinstance(job_id, str):
        raise InvalidOption(f"job_id must be the id of a job, not {shown(job_id)}")
    rows = attempts_of(every[(every["job_id"] == job_id).to_numpy()])
    if not len(rows):
        raise InvalidOption(f"history has no attempt of the job {job_id!r}")
    last = rows.iloc[-_MOST_ROWS:].reset_index(drop=True)
    began = last["started_at"].fillna(last["finished_at"])
    queued = began - last["wait"].fillna(pd.Timedelta(0))
    starts, ends, waits = numbers(began), numbers(last["finished_at"]), numbers(queued)
    low, high = waits.min(), max(ends.max(), waits.min() + 1e-9)
    least = (high - low) / 300  # what ran for a moment is still to be seen
    with look():
        picture, axes = new(1.0 + max(len(last), 2) * _ROW_IN)
        for at, row in enumerate(last.itertuples()):
            axes.broken_barh([(waits[at], starts[at] - waits[at])], (at - 0.3, 0.6), color=_WAIT)
            runs = max(ends[at] - starts[at], least)
            axes.broken_barh([(starts[at], runs)], (at - 0.3, 0.6), color=OUTCOMES[row.outcome])
            _tell(axes, _told(row), at, (waits[at], starts[at], starts[at] + runs), (low, high))
        axes.set_yticks(range(len(last)), [str(number) for number in last["attempt"]])
        axes.set_ylim(len(last) - 0.4, -0.6)
        few = f", the last {len(last)} of {len(rows)}" if len(rows) > len(last) else ""
        name = plain(rows["name"].iloc[0], 30)
        axes.set_title(f"Attempts of {plain(job_id, 40)} ({name}){few}")
        axes.set(ylabel="attempt", xlim=(low - (high - low) * 0.02, high + (high - low) * 0.02))
        time_axis(axes, tz)
        _outcome_legend(axes, last["outcome"], (patches.Patch(color=_WAIT), "waited"))
    return picture


def _tell(
    axes: Any, text: str, at: int, bar: tuple[float, float, float], span: tuple[float, float]
) -> None:
    """Write a text beside the bar of an attempt, or on it where no side has room.

    Args:
        axes: Where.
        text: The text.
        at: The row of the attempt.
        bar: When it began to wait, when it started, and where its bar ends.
        span: The first and the last time of all attempts.
    """
    begin, start, end = ((one - span[0]) / (span[1] - span[0]) for one in bar)
    need, right, left = _share_of(axes, text), 1 - end, begin
    if need <= right or (need > left and right >= max(left, _LEAST_ROOM)):
        place, offset, side, room = bar[2], 4, "left", right
    elif left >= min(need, _LEAST_ROOM):
        place, offset, side, room = bar[0], -4, "right", left
    elif 1 - start >= end:
        place, offset, side, room = bar[1], 4, "left", 1 - start
    else:
        place, offset, side, room = bar[2], -4, "right", end
    if need > room:
        text = clip(text, max(int(width(text) * room / need) - 1, 1))
    on_it = (offset > 0 and place == bar[1]) or (offset < 0 and place == bar[2])
    back = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5} if on_it else None
    axes.annotate(
        text, (place, at), xytext=(offset, 0), textcoords="offset points", va="center", ha=side,
        fontsize=8, annotation_clip=True, bbox=back,
    )  # fmt: skip


def _share_of(axes: Any, text: str) -> float:
    """Return the share of the axis that a text beside a bar takes."""
    probe = axes.text(0, 0, text, fontsize=8)
    box = probe.get_window_extent()
    probe.remove()
    return float(box.width) / _PIXELS


def _told(row: Any) -> str:
    """Return what stands beside an attempt."""
    parts = [f"ran {span_text(row.run.total_seconds())}" if not pd.isna(row.run) else row.outcome]
    if not pd.isna(row.host):
        parts.append(plain(row.host, 20))
    if not pd.isna(row.error):
        parts.append(plain(row.error, 48))
    return ", ".join(parts)


def _outcome_legend(axes: Any, outcomes: Any, *further: tuple[Any, str]) -> None:
    there = set(outcomes.dropna())
    items = [(patches.Patch(color=OUTCOMES[one]), one) for one in KNOWN if one in there]
    legend(axes, [*further, *items])


def workers(
    history: Any,
    *,
    most: int = 30,
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
) -> Picture:
    """Draw what each worker ran, as a Gantt chart, with the colour of the outcome.

    Args:
        history: A frame of history. It has only executions that have ended.
        most: How many workers are drawn, the busiest first; up to 40.
        tz: The time zone of the axis.
        marks: What to mark on the time axis.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    check_count("most", most, 1, _MOST_ROWS)
    title = "What workers ran"
    rows = of_history(history)
    ran = rows[(rows["started_at"].notna() & rows["worker_id"].notna()).to_numpy()]
    if not len(ran):
        return nothing(about(history), title)
    busy = ran.groupby("worker_id", observed=True)["run"].sum().sort_values(ascending=False)
    there = ran.drop_duplicates("worker_id").set_index("worker_id")
    chosen = there.loc[busy.index[:most]].sort_values(["host", "pool_id"], kind="stable")
    place = {worker: at for at, worker in enumerate(chosen.index)}
    mine = ran[ran["worker_id"].isin(place)].sort_values("started_at")
    shown = mine.iloc[-_MOST_BARS:]
    with look():
        picture, axes = new(1.1 + max(len(place), 3) * _ROW_IN * 0.85)
        for outcome, bars in shown.groupby("outcome", observed=True):
            starts, ends = numbers(bars["started_at"]), numbers(bars["finished_at"])
            level = bars["worker_id"].map(place).to_numpy(dtype=float)
            _bars(axes, starts, ends, level, OUTCOMES[str(outcome)])
        hosts = list(chosen["host"].astype("object").where(chosen["host"].notna(), NONE).unique())
        host_words = dict(zip(hosts, distinct(hosts, 18), strict=True))
        words = [
            f"{host_words[NONE if pd.isna(row.host) else row.host]} {plain(worker, 8)}"
            for worker, row in zip(chosen.index, chosen.itertuples(), strict=True)
        ]
        axes.set_yticks(range(len(place)), words, fontsize=7.5)
        axes.set_ylim(len(place) - 0.4, -0.6)
        few = [f"the {len(place)} busiest of {len(busy)}"] if len(busy) > len(place) else []
        few += [f"the newest {_MOST_BARS:,} executions"] if len(mine) > len(shown) else []
        axes.set_title(", ".join([title, *few]))
        axes.set_ylabel("worker")
        first, end = extent(shown, shown, "started_at")
        edge = (end - first) / 200  # a bar at the very end is still to be seen
        time_axis(axes, tz, first - edge, end + edge)
        least_s = (end - first).total_seconds() / _PIXELS
        if (shown["run"].dt.total_seconds() < least_s).any():
            axes.set_xlabel(f"{axes.get_xlabel()}; bars are at least {span_text(least_s)} wide")
        axes.grid(visible=False, axis="y")
        draw_marks(axes, marks)
        _outcome_legend(axes, shown["outcome"])
    return picture


def _bars(axes: Any, starts: Any, ends: Any, level: Any, colour: str) -> None:
    """Draw bars in one piece, with a thin edge so that short ones are still to be seen."""
    low, high = level - 0.36, level + 0.36
    corners = np.stack(
        [
            np.stack(pair, axis=-1)
            for pair in ((starts, low), (starts, high), (ends, high), (ends, low))
        ],
        axis=1,
    )
    from matplotlib.collections import PolyCollection

    axes.add_collection(
        PolyCollection(list(corners), facecolors=colour, edgecolors=colour, linewidths=0.4)
    )


def utilisation(
    history: Any,
    freq: str | None = None,
    *,
    by: str = "host",
    tz: str = "UTC",
    marks: Sequence[Mark] = (),
) -> Picture:
    """Draw which share of their time the workers of each host were busy, as a heat map.

    The share is that of the workers that history shows at the time. A worker that has run nothing
    is not in history. Times at which none was there are white.

    Args:
        history: A frame of history.
        freq: The length of a span; by default one that gives about a hundred.
        by: "host", "pool_id" or "worker_id"; the 40 busiest are drawn.
        tz: The time zone of the axis.
        marks: What to mark on the time axis.

    Raises:
        InvalidOption: The frame is no history, or an argument is not valid.
    """
    zone_of(tz)
    if by not in _BY:
        raise InvalidOption(f"by must be one of {', '.join(_BY)}, not {by!r}")
    title = f"How busy workers were, by {by}"
    rows = of_history(history)
    ran = rows[
        (rows["started_at"].notna() & rows["worker_id"].notna() & rows[by].notna()).to_numpy()
    ]
    if not len(ran):
        return nothing(about(history), title)
    spans = grid(*extent(ran, history, "started_at"), freq)
    busiest = ran.groupby(by, observed=True)["run"].sum().sort_values(ascending=False)
    chosen = sorted(str(label) for label in busiest.index[:_MOST_ROWS])
    shares = np.stack(
        [_share(ran[(ran[by] == label).to_numpy()], spans.edges_s) for label in chosen]
    )
    with look():
        picture, axes = new(1.2 + max(len(chosen), 3) * _ROW_IN)
        at = numbers(spans.times)
        mesh = axes.pcolormesh(
            at, np.arange(len(chosen) + 1) - 0.5, np.ma.masked_invalid(shares * 100),
            cmap="cividis", vmin=0, vmax=100,
        )  # fmt: skip
        axes.set_yticks(range(len(chosen)), distinct(chosen, 24), fontsize=8)
        axes.set_ylim(len(chosen) - 0.5, -0.5)
        axes.grid(visible=False)
        few = f", the {len(chosen)} busiest of {len(busiest)}" if len(busiest) > len(chosen) else ""
        axes.set_title(f"{title}, per {spans.step}{few}")
        time_axis(axes, tz, spans.times[0], spans.times[-1])
        draw_marks(axes, marks)
        picture.colorbar(mesh, ax=axes, label="% of their time busy", pad=0.02)
    return picture


def _share(ran: Any, edges_s: Any) -> Any:
    """Return the busy share of each span; NaN where no worker was there."""
    busy = np.diff(time_passed(seconds(ran["started_at"]), seconds(ran["finished_at"]), edges_s))
    lives = ran.groupby("worker_id", observed=True).agg(
        first=("started_at", "min"), last=("finished_at", "max")
    )
    there = np.diff(time_passed(seconds(lives["first"]), seconds(lives["last"]), edges_s))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(there > 0, np.minimum(busy / there, 1.0), np.nan)
