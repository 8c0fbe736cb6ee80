"""Marks: deploys, cron slots and other moments on the time axis of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from workkit.core.job import PERIODIC
from workkit.core.options import shown
from workkit.core.text import width
from workkit.errors import InvalidOption
from workkit.frames.archive_files import Gap
from workkit.frames.extra import pd
from workkit.frames.schema import conform
from workkit.frames.times import Time, moment
from workkit.plots.extra import lines, patches
from workkit.plots.picture import distinct, numbers

__all__ = ["Mark", "cron_marks", "deploy_marks", "draw_gaps", "draw_marks", "missing"]

#: Labels that would cover each other are in rows below each other; what has no room has no label.
_ROWS: Final = 3
_ROW_POINTS: Final = 11
_LABEL_COLUMNS: Final = 20
#: About the share of the axis that a character of a label takes.
_COLUMN: Final = 0.0095
#: Beyond this share of the axis, a label is on the left of its line.
_TO_THE_LEFT: Final = 0.85
_CRON: Final = "#56B4E9"
_DEPLOY: Final = "#444444"


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the time axis.

    Attributes:
        at: When: epoch seconds, a time with a zone, or ISO 8601 with one.
        label: What happened.
        kind: "deploy" and "event" are lines with their label; "cron" is a small tick at the bottom.
    """

    at: Time
    label: str
    kind: Literal["deploy", "cron", "event"] = "event"


def deploy_marks(history: Any) -> list[Mark]:
    """Return a mark for each version of your program, where its first execution started.

    The first version has none, since nobody knows when it was deployed.

    Args:
        history: A frame of history from pools that tell their version.
    """
    rows = conform(history, "history").reset_index(drop=True)
    first = rows.groupby("version", observed=True)["started_at"].min().dropna().sort_values()
    return [Mark(at.to_pydatetime(), str(name), "deploy") for name, at in list(first.items())[1:]]


def cron_marks(history: Any, name: str | None = None) -> list[Mark]:
    """Return a mark for each slot of a cron entry that has run.

    Args:
        history: A frame of history.
        name: Only jobs of this name.
    """
    rows = conform(history, "history")
    mine = rows["job_id"].str.startswith(PERIODIC, na=False)
    if name is not None:
        mine &= rows["name"] == name
    rows = rows[mine].drop_duplicates("job_id")
    slots = pd.to_numeric(rows["job_id"].str.extract(r":(\d{1,11})$", expand=False)).dropna()
    marks = [Mark(float(at), str(rows.loc[row, "name"]), "cron") for row, at in slots.items()]
    return sorted(marks, key=lambda mark: float(mark.at))  # type: ignore[arg-type]


def draw_marks(axes: Any, marks: Sequence[Mark]) -> list[tuple[Any, str]]:
    """Draw marks within the limits of the time axis.

    Returns:
        What a legend needs of them.

    Raises:
        InvalidOption: One of them is no mark, or its time is not valid.
    """
    if isinstance(marks, Mark) or not isinstance(marks, Iterable):
        raise InvalidOption(f"marks must be several, such as [Mark(...)], not {shown(marks)}")
    low, high = axes.get_xlim()
    across = axes.get_xaxis_transform()
    slots, lined = [], []
    for mark in marks:
        if not isinstance(mark, Mark):
            raise InvalidOption(f"marks must be of Mark, as from deploy_marks, not {mark!r}")
        (at,) = numbers([moment(mark.at)])
        if not low <= at <= high:
            continue
        if mark.kind == "cron":
            slots.append(at)
        else:
            lined.append((at, mark))
    lined.sort(key=lambda each: float(each[0]))
    for at, mark in lined:
        line = "--" if mark.kind == "deploy" else ":"
        axes.axvline(at, color=_DEPLOY, linestyle=line, linewidth=1, zorder=3)
    _draw_labels(axes, [((at - low) / (high - low), at, mark.label) for at, mark in lined])
    if not slots:
        return []
    axes.plot(slots, [0.0] * len(slots), "|", color=_CRON, markersize=9, markeredgewidth=1.4,
              transform=across, clip_on=False, zorder=4)  # fmt: skip
    handle = lines.Line2D([], [], color=_CRON, marker="|", linestyle="none")
    return [(handle, "cron slot")]


def _draw_labels(axes: Any, lined: Sequence[tuple[float, float, str]]) -> None:
    """Write labels beside lines where there is room: their place from 0 to 1, time and text."""
    texts = list(dict.fromkeys(label for _, _, label in lined))
    words = dict(zip(texts, distinct(texts, _LABEL_COLUMNS), strict=True))
    taken = [0.0] * _ROWS
    for place, at, label in lined:
        word = f" {words[label]} "
        right = place > _TO_THE_LEFT
        begin = place - (_COLUMN * width(word) if right else 0)
        row = next((row for row in range(_ROWS) if taken[row] <= begin), None)
        if row is None:
            continue
        taken[row] = begin + _COLUMN * width(word)
        axes.annotate(
            word, (at, 0.97), xycoords=axes.get_xaxis_transform(), xytext=(0, -_ROW_POINTS * row),
            textcoords="offset points", ha="right" if right else "left", va="top", fontsize=8,
            color=_DEPLOY, zorder=6,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5},
        )  # fmt: skip


def missing(history: Any, gaps: Sequence[Gap]) -> list[tuple[Any, Any]]:
    """Return the periods of which history is missing: gaps of archives, and what was trimmed."""
    if isinstance(gaps, Gap) or not isinstance(gaps, Iterable):
        raise InvalidOption(f"gaps must be several, such as archive_gaps gives, not {shown(gaps)}")
    spans = []
    for gap in gaps:
        if not isinstance(gap, Gap):
            raise InvalidOption(f"gaps must be of Gap, as from archive_gaps, not {shown(gap)}")
        first, end = _time(gap.after), _time(gap.before)
        if end is not None:
            spans.append((first if first is not None else end - pd.Timedelta("1min"), end))
    read = history.attrs.get("read") or (None, None)
    if history.attrs.get("trimmed") and read[0] is not None and len(history):
        spans.append((pd.Timestamp(read[0], unit="s", tz="UTC"), history["finished_at"].min()))
    return [(first, end) for first, end in spans if first < end]


def _time(entry_id: str) -> Any:
    milliseconds = entry_id.partition("-")[0]
    return pd.Timestamp(int(milliseconds), unit="ms", tz="UTC") if milliseconds.isdigit() else None


def draw_gaps(axes: Any, spans: Sequence[tuple[Any, Any]]) -> list[tuple[Any, str]]:
    """Draw periods of which history is missing.

    Returns:
        What a legend needs of them.
    """
    look: dict[str, Any] = {
        "facecolor": "#f2f2f2",
        "edgecolor": "#bbbbbb",
        "hatch": "///",
        "linewidth": 0,
    }
    for first, end in spans:
        axes.axvspan(*numbers([first, end]), zorder=0.5, **look)
    return [(patches.Patch(**look), "history is missing")] if spans else []
