"""Pictures: figures that show themselves, with the same look, colours and axes everywhere.

Text that comes from Redis reaches a picture only through `plain`. Matplotlib would read a pair of
dollar signs as a formula, and a control character would break the line.
"""

from __future__ import annotations

import io
import os
import warnings
import zoneinfo
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

from workkit.core.outcomes import OUTCOMES as KNOWN
from workkit.core.text import clean, clip, width
from workkit.core.whole_file import whole_path
from workkit.errors import InvalidOption
from workkit.frames.extra import np, pd
from workkit.plots.extra import dates, figure, font_manager, mpl, ticker

__all__ = [
    "OTHERS",
    "OUTCOMES",
    "PALETTE",
    "Picture",
    "about",
    "colours",
    "count_axis",
    "distinct",
    "legend",
    "look",
    "new",
    "nothing",
    "numbers",
    "plain",
    "span_axis",
    "span_text",
    "time_axis",
    "zone_of",
]

#: The colours of Okabe and Ito, which people with any kind of colour vision can tell apart.
PALETTE: Final = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000",
)  # fmt: skip
OTHERS: Final = "#999999"
OUTCOMES: Final[Mapping[str, str]] = {outcome: rule.color for outcome, rule in KNOWN.items()}

#: The mode of a new file: pictures are made to be shown.
_MODE: Final = 0o644
_WIDTH_IN: Final = 9.0
_DPI: Final = 100
_LABEL_COLUMNS: Final = 44
#: Of an axis of spans of time.
_LEAST_TICKS, _MOST_TICKS = 3, 7
#: Fonts with the scripts that the first one lacks; only those that are installed are asked.
_FONTS: Final = (
    "DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei",
    "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Noto Sans Arabic", "Noto Sans Devanagari",
    "Segoe UI Emoji",
)  # fmt: skip
_LOOK: Final = {
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.7, "axes.edgecolor": "#777777",
    "axes.titlesize": 11, "axes.titlelocation": "left", "axes.labelsize": 9,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 8.5, "legend.frameon": False,
    "font.size": 9, "text.color": "#222222", "axes.labelcolor": "#222222",
    "xtick.color": "#444444", "ytick.color": "#444444", "hatch.linewidth": 0.6,
    "text.usetex": False, "text.parse_math": True, "axes.formatter.use_mathtext": False,
    "date.converter": "auto", "figure.dpi": _DPI, "savefig.dpi": _DPI, "savefig.bbox": None,
}  # fmt: skip
_STEPS: Final = (
    (1e-3, "ms", 1e3), (1, "s", 1), (60, "min", 1 / 60), (3_600, "h", 1 / 3_600),
    (86_400, "d", 1 / 86_400),
)  # fmt: skip


class Picture(figure.Figure):
    """A matplotlib figure that a notebook shows, and that no list of open figures keeps.

    `savefig` writes it to a file. If that fails, an old file stays as it was.
    """

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the picture to a file, in the format of its suffix, or to an open file.

        Raises:
            InvalidOption: The file cannot be written.
        """
        if not isinstance(fname, (str, os.PathLike)):
            super().savefig(fname, **options)
            return
        path = Path(fname)
        form = options.pop("format", None) or path.suffix[1:] or mpl.rcParams["savefig.format"]
        named = path if path.suffix else path.with_name(f"{path.name}.{form}")
        with whole_path(named, _MODE) as partial:
            super().savefig(partial, format=form, **options)

    def plotly(self) -> Any:
        """Return the picture as a figure of Plotly, in which one can zoom and read values.

        It has the same words, colours and places. Its axis of times has the offset from UTC that
        the zone has at its beginning.

        Raises:
            MissingExtra: Plotly is not installed.
        """
        from workkit.plots.browser import figure_of

        with look():
            return figure_of(self)

    def draw(self, renderer: Any) -> None:
        """Draw with the look of the other pictures, whatever the settings are by now."""
        with look():
            super().draw(renderer)

    def get_tightbbox(self, *args: Any, **kwargs: Any) -> Any:
        """Return the box around all that is drawn."""
        with look():
            return super().get_tightbbox(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=_DPI)
        return file.getvalue()


@contextmanager
def look() -> Iterator[None]:
    """Set the look for what is made or drawn inside."""
    fonts = {"font.family": "sans-serif", "font.sans-serif": list(_installed())}
    with mpl.rc_context({**_LOOK, **fonts}), warnings.catch_warnings():
        # Without a font for a script, its characters are boxes. That is no reason for noise.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@cache
def _installed() -> tuple[str, ...]:
    there = set(font_manager.fontManager.get_font_names())
    return tuple(name for name in _FONTS if name in there)


def new(height_in: float = 3.2, rows: int = 1, **options: Any) -> tuple[Picture, Any]:
    """Return an empty picture at the width of a notebook, and its axes: one, or an array."""
    picture = Picture(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")
    axes = picture.subplots(rows, **options)
    return picture, axes


def plain(text: object, columns: int = _LABEL_COLUMNS) -> str:
    """Return text from Redis as a picture can show it: one line, no formula, not too long."""
    return _no_formula(clip(clean(str(text)), columns))


def _no_formula(text: str) -> str:
    return text.replace("$", r"\$")


def distinct(texts: Sequence[object], columns: int = _LABEL_COLUMNS) -> list[str]:
    """Return texts of one picture as `plain` does, but so that no two of them look alike.

    Long texts often begin alike: names of modules, of hosts in a cluster, of releases. Those that
    would be cut to the same show their beginning and what is different. What is equal is numbered.
    """
    lines = [clean(str(text)) for text in texts]
    shown = [clip(line, columns) for line in lines]
    for _ in lines:  # of several that look alike, some may begin alike for longer
        alike: dict[str, set[str]] = {}
        for label, line in zip(shown, lines, strict=True):
            alike.setdefault(label, set()).add(line)
        ways = {line: group for group in alike.values() if len(group) > 1 for line in group}
        if not ways:
            break
        shown = [
            _ends(line, _differ(ways[line]), columns) if line in ways else label
            for line, label in zip(lines, shown, strict=True)
        ]
    told: dict[str, None] = {}
    for label in shown:
        ways_to_tell = (f"{label} #{number}" if number > 1 else label for number in count(1))
        told[next(way for way in ways_to_tell if way not in told)] = None
    return [_no_formula(label) for label in told]


def _differ(lines: Collection[str]) -> int:
    """Return how many characters all lines have in common at their beginning."""
    first, last = min(lines), max(lines)
    pairs = enumerate(zip(first, last, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(last)))


def _ends(line: str, differs: int, columns: int) -> str:
    """Return the beginning of a text, and as much from where it differs as there is room for."""
    head = clip(line, max(columns // 3, 2))
    room = max(columns - width(head), 1)
    begin = len(line)
    while begin and width(line[begin - 1 :]) <= room:
        begin -= 1
    return head + clip(line[min(begin, differs) :], room)


def nothing(why: str, title: str) -> Picture:
    """Return a picture that says why there is nothing to see."""
    with look():
        picture, axes = new(1.4)
        axes.set_title(title)
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, why, ha="center", va="center", fontsize=11, color="#555555",
            transform=axes.transAxes,
        )  # fmt: skip
    return picture


def about(history: Any) -> str:
    """Say of what a frame has no executions."""
    read = history.attrs.get("read") or (None, None)
    ends = [None if at is None else pd.Timestamp(at, unit="s", tz="UTC") for at in read]
    words = [
        f"{word} {at:%Y-%m-%d %H:%M:%S} UTC"
        for word, at in zip(("from", "until"), ends, strict=True)
        if at is not None
    ]
    return " ".join(["no executions", *words])


def legend(axes: Any, items: Sequence[tuple[Any, str]], **options: Any) -> None:
    """Add a legend. A label may begin with an underscore, which matplotlib would leave out."""
    if items:
        labels = [f" {label}" if label.startswith("_") else label for _, label in items]
        given = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} | options
        axes.legend([handle for handle, _ in items], labels, **given)


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each label: that of an outcome, or the next one."""
    if all(label in OUTCOMES for label in labels):
        return {label: OUTCOMES[label] for label in labels}
    return {label: PALETTE[at % len(PALETTE)] for at, label in enumerate(labels)}


def zone_of(tz: str) -> zoneinfo.ZoneInfo:
    """Return a time zone.

    Raises:
        InvalidOption: There is no such zone.
    """
    try:
        return zoneinfo.ZoneInfo(tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise InvalidOption(f"unknown time zone {tz!r}; write UTC or Europe/Berlin") from None


def numbers(times: Any) -> Any:
    """Return times as matplotlib counts them, days."""
    stamps = pd.Series(times).dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.date2num(stamps.to_numpy())


def time_axis(axes: Any, tz: str, first: Any = None, end: Any = None) -> None:
    """Make the horizontal axis one of times in a zone."""
    zone = zone_of(tz)
    locator = dates.AutoDateLocator(tz=zone, minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))
    axes.set_xlabel(f"time ({tz})")
    if first is not None and end is not None and first < end:
        axes.set_xlim(*numbers([first, end]))


def count_axis(axis: Any) -> None:
    """Make an axis one of counts: its ticks are whole numbers, also where there are few."""
    axis.set_major_locator(ticker.MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
    axis.set_major_formatter("{x:,.0f}")


def span_axis(axis: Any, *, log: bool = True) -> None:
    """Make an axis of seconds one that names its units: 20 ms, 5 s, 3 min."""
    if log:
        vertical = axis.axis_name == "y"
        (axis.axes.set_yscale if vertical else axis.axes.set_xscale)("log")
        low, high = axis.get_view_interval()
        ticks = [at for at in _ROUND_S if low / 1.01 <= at <= high * 1.01]
        if len(ticks) < _LEAST_TICKS:  # a narrow range: widen it to round values
            low = max((at for at in _ROUND_S if at <= low), default=low)
            high = min((at for at in _ROUND_S if at >= high), default=high)
            (axis.axes.set_ylim if vertical else axis.axes.set_xlim)(low / 1.05, high * 1.05)
            ticks = [at for at in _ROUND_S if low <= at <= high]
        if ticks:
            axis.set_major_locator(ticker.FixedLocator(ticks[:: -(-len(ticks) // _MOST_TICKS)]))
        axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _at: span_text(value)))


_ROUND_S: Final = tuple(
    sorted(
        {
            *(unit * n for unit in (1e-3, 1e-2, 1e-1, 1) for n in (1, 2, 5)), 10, 30,
            *(60 * n for n in (1, 2, 3, 5, 10, 20, 30)), *(3_600 * n for n in (1, 2, 3, 6, 12)),
            *(86_400 * n for n in (1, 3, 10, 30)),
        }
    )
)  # fmt: skip


def span_text(seconds: float) -> str:
    """Return a span of time with its unit."""
    if not np.isfinite(seconds) or seconds <= 0:
        return "0" if seconds == 0 else ""
    _, unit, factor = next(
        (step for step in reversed(_STEPS) if seconds >= step[0] * 0.9995), _STEPS[0]
    )
    return f"{seconds * factor:.3g} {unit}"
