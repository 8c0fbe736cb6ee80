"""What is drawn in the axes of a picture, as traces and shapes of Plotly.

Pictures are drawn of few kinds of things, so each has its function here: bars, steps, lines, areas
and maps. Values stand in the text of a point as they would on the axis, with their unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final

from matplotlib import collections, colors, container

from workkit.frames.extra import np, pd
from workkit.plots.extra import dates, graph_objects, lines, patches, ticker

__all__ = ["PIXELS_A_POINT", "Panel", "legend_of", "markup_free", "shapes_of", "traces_of"]

_DASHES: Final = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_SYMBOLS: Final = {"v": "triangle-down", "|": "line-ns-open", "_": "line-ew-open"}
_MS_A_DAY: Final = 86_400_000
#: Matplotlib counts sizes in points, and pictures have 100 dots an inch.
PIXELS_A_POINT: Final = 100 / 72
#: How high a tick for a cron slot is, of the height of the axes.
_SLOT: Final = 0.035


def markup_free(text: str) -> str:
    """Return a text of a picture as Plotly shows it unchanged: it reads tags, and formulas."""
    text = text.replace(r"\$", "$").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("$", "&#36;")


class Panel:
    """The axes of a picture, and how Plotly names and counts what is on them.

    Attributes:
        axes: The axes.
        x: The name of the horizontal axis, such as "x2".
        y: The name of the vertical one.
        zone: The time zone of a horizontal axis of times; None if it is none.
    """

    def __init__(self, axes: Any, number: int) -> None:
        self.axes = axes
        suffix = "" if number == 1 else str(number)
        self.x, self.y = f"x{suffix}", f"y{suffix}"
        locator = axes.xaxis.get_major_locator()
        self.zone = locator.tz if isinstance(locator, dates.AutoDateLocator) else None
        self._words = {_key(handle, colour): text for handle, colour, text in _entries_of(axes)}

    @property
    def where(self) -> dict[str, str]:
        """The arguments of a trace that put it on these axes."""
        return {"xaxis": self.x, "yaxis": self.y}

    def xs(self, values: Any) -> Any:
        """Return positions on the horizontal axis."""
        if self.zone is None:
            return np.asarray(values, dtype=float)
        times = pd.to_datetime(np.round(np.asarray(values, float) * _MS_A_DAY), unit="ms", utc=True)
        # One offset for the whole axis: an hour that a zone has twice would be drawn twice.
        return (times + self.offset).strftime("%Y-%m-%d %H:%M:%S.%f").to_numpy()

    @cached_property
    def offset(self) -> Any:
        """How far the zone is ahead of UTC where the axis begins."""
        begin = dates.num2date(self.axes.get_xlim()[0], tz=self.zone)
        return pd.Timedelta(begin.utcoffset())

    def ys(self, values: Any) -> Any:
        """Return positions on the vertical axis."""
        values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
        if self.axes.get_yscale() == "symlog":  # Plotly has no such axis
            return self.axes.yaxis.get_transform().transform(values)
        return values

    def told(self, values: Any) -> list[str]:
        """Return values of the vertical axis as texts."""
        return [_told(self.axes.yaxis, value) for value in np.asarray(values, dtype=float)]

    def word(self, artist: Any, colour: Any) -> str | None:
        """Return the name of something in the legend; None if it has none."""
        found = self._words.get(_key(artist, colour), self._words.get(("", _rgba(colour))))
        return None if found is None else markup_free(found)


def _told(axis: Any, value: float) -> str:
    formatter = axis.get_major_formatter()
    if isinstance(formatter, ticker.FuncFormatter):
        return str(formatter(value, None))
    return f"{value:,.6g}"


def _rgba(colour: Any) -> str:
    red, green, blue, alpha = colors.to_rgba(colour)
    return f"rgba({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f},{alpha:.3g})"


def _key(artist: Any, colour: Any) -> tuple[str, str]:
    """Return what tells an entry of a legend: its colour, and of a line its dashes or marker."""
    kind = ""
    if isinstance(artist, lines.Line2D):
        marker = artist.get_marker()
        kind = artist.get_linestyle() if artist.get_linestyle() != "None" else f"marker {marker}"
    return kind, _rgba(colour)


def _entries_of(axes: Any) -> Iterator[tuple[Any, Any, str]]:
    """Yield the handle, the colour and the text of each entry of a legend."""
    legend = axes.get_legend()
    if legend is None:
        return
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        yield handle, _colour_of(handle), text.get_text()


def _colour_of(handle: Any) -> Any:
    if isinstance(handle, lines.Line2D):
        return handle.get_color()
    return handle.get_edgecolor() if _is_hollow(handle) else handle.get_facecolor()


def _is_hollow(patch: Any) -> bool:
    return bool(colors.to_rgba(patch.get_facecolor())[3] == 0)


def legend_of(panel: Panel) -> Iterator[Any]:
    """Yield a trace of nothing for each entry of a legend, with its look and in its order."""
    for handle, colour, text in _entries_of(panel.axes):
        look: dict[str, Any] = {"mode": "lines", "line": {"color": _rgba(colour)}}
        if isinstance(handle, lines.Line2D):
            look = _look_of(handle)
        elif not _is_hollow(handle):
            square = {"symbol": "square", "size": 12, "color": _rgba(colour)}
            look = {"mode": "markers", "marker": square}
        yield _scatter(panel, [np.nan], [np.nan], markup_free(text), showlegend=True, **look)


def traces_of(panel: Panel) -> Iterator[Any]:
    """Yield the traces of what is drawn on some axes, in the order in which it is drawn."""
    for group in panel.axes.containers:
        if isinstance(group, container.BarContainer):
            yield _bars(panel, group)
    for artist in panel.axes.get_children():
        for kind, traces in _KINDS:
            if isinstance(artist, kind):
                yield from traces(panel, artist)


def _bars(panel: Panel, bars: Any) -> Any:
    left, width, height, base = np.array(
        [(bar.get_x(), bar.get_width(), bar.get_height(), bar.get_y()) for bar in bars.patches]
    ).T
    colour = bars.patches[0].get_facecolor()
    there = height != 0  # thousands of bars of nothing only cost
    name = panel.word(bars, colour)
    unit = _MS_A_DAY if panel.zone is not None else 1
    return graph_objects().Bar(
        x=panel.xs(left[there]), y=height[there], base=base[there], width=width[there] * unit,
        offset=0, name=name, hovertext=panel.told(height[there]), hoverinfo="x+text+name",
        marker={"color": _rgba(colour), "line": {"width": 0}}, **panel.where,
    )  # fmt: skip


def _steps(panel: Panel, steps: Any) -> Iterator[Any]:
    values, edges, baseline = steps.get_data()
    filled = steps.get_fill()
    colour = steps.get_facecolor() if filled else steps.get_edgecolor()
    base = np.zeros(len(values)) if baseline is None else np.broadcast_to(baseline, len(values))
    x, top, bottom = (np.repeat(each, 2) for each in (edges, values, base))
    x = x[1:-1]
    name = panel.word(steps, colour)
    if filled:
        yield _area(panel, np.append(x, x[::-1]), np.append(top, bottom[::-1]), colour, name)
    else:
        line = {"color": _rgba(colour), "dash": _DASHES.get(steps.get_linestyle(), "solid")}
        yield _scatter(panel, x, top, name, mode="lines", line=line, hoverinfo="skip")
    middle = (edges[:-1] + edges[1:]) / 2
    yield _scatter(
        panel, middle, values, name, mode="markers", marker={"opacity": 0, "color": _rgba(colour)},
        hovertext=panel.told(values - base), hoverinfo="x+text+name",
    )  # fmt: skip


def _area(panel: Panel, x: Any, y: Any, colour: Any, name: str | None) -> Any:
    return _scatter(
        panel, x, y, name, mode="lines", line={"width": 0}, fill="toself", fillcolor=_rgba(colour),
        hoverinfo="skip",
    )  # fmt: skip


def _scatter(panel: Panel, x: Any, y: Any, name: str | None, **options: Any) -> Any:
    where = {"x": panel.xs(x), "y": panel.ys(y), **panel.where}
    return graph_objects().Scatter(name=name, **where, **options)


def _line(panel: Panel, line: Any) -> Iterator[Any]:
    if line.get_transform() is not panel.axes.transData:
        return  # a line across the axes, which is a shape
    x, y = (np.asarray(values, dtype=float) for values in line.get_data(orig=False))
    yield _scatter(
        panel, x, y, panel.word(line, line.get_color()), cliponaxis=False,
        hovertext=panel.told(y), hoverinfo="x+text+name", **_look_of(line),
    )  # fmt: skip


def _look_of(line: Any) -> dict[str, Any]:
    """Return how a line and its markers look."""
    colour, style = _rgba(colors.to_rgba(line.get_color(), line.get_alpha())), line.get_linestyle()
    marker = line.get_marker()
    shape = "hv" if line.get_drawstyle() == "steps-post" else "linear"
    drawn = [("lines", style != "None"), ("markers", marker not in {"None", "", None})]
    return {
        "mode": "+".join(word for word, there in drawn if there) or "none",
        "line": {
            "color": colour, "dash": _DASHES.get(style, "solid"), "shape": shape,
            "width": line.get_linewidth(),
        },
        "marker": {
            "symbol": _SYMBOLS.get(marker, "circle"), "color": colour,
            "size": max(line.get_markersize() * PIXELS_A_POINT, 1),
        },
    }  # fmt: skip


def _areas(panel: Panel, areas: Any) -> Iterator[Any]:
    """Yield the bars of a time line, or a band, as one trace: there may be thousands."""
    corners = [path.vertices for path in areas.get_paths()]
    if not corners:
        return
    between = np.full((1, 2), np.nan)
    x, y = np.concatenate([part for each in corners for part in (each, between)]).T
    colour = areas.get_facecolor()[0]
    trace = _area(panel, x, y, colour, panel.word(areas, colour)).update(hoverinfo="x+name")
    if len(areas.get_edgecolor()):  # a thin edge, so that short bars are still to be seen
        trace.line = {"color": _rgba(areas.get_edgecolor()[0]), "width": areas.get_linewidth()[0]}
    yield trace


def _map(panel: Panel, mesh: Any) -> Iterator[Any]:
    corners = mesh.get_coordinates()
    x = (corners[0, :-1, 0] + corners[0, 1:, 0]) / 2
    y = (corners[:-1, 0, 1] + corners[1:, 0, 1]) / 2
    low, high = mesh.get_clim()
    bar = mesh.colorbar
    place = bar.ax.get_position()
    yield graph_objects().Heatmap(
        x=panel.xs(x), y=y, z=np.ma.filled(mesh.get_array().astype(float), np.nan),
        zmin=low, zmax=high, colorscale=mesh.get_cmap().name.capitalize(), hoverinfo="x+z",
        colorbar={
            "title": {"text": markup_free(bar.ax.get_ylabel()), "side": "right"},
            "x": place.x0, "y": (place.y0 + place.y1) / 2, "len": place.height, "thickness": 14,
            "outlinewidth": 0, "xpad": 0, "ypad": 0,
        },
        **panel.where,
    )  # fmt: skip


def _spread(panel: Panel, spread: Any) -> Iterator[Any]:
    """Yield the bars from low to high of several spreads."""
    ends = [np.vstack([segment, [np.nan, np.nan]]) for segment in spread.get_segments()]
    if ends:
        x, y = np.concatenate(ends).T
        line = {"color": _rgba(spread.get_color()[0])}
        yield _scatter(panel, x, y, None, mode="lines", line=line, hoverinfo="skip")


_KINDS: Final[tuple[tuple[type, Callable[[Panel, Any], Iterator[Any]]], ...]] = (
    (patches.StepPatch, _steps),
    (lines.Line2D, _line),
    (collections.QuadMesh, _map),
    (collections.LineCollection, _spread),
    (collections.PolyCollection, _areas),
)


def shapes_of(panel: Panel) -> Iterator[dict[str, Any]]:
    """Yield what goes across the axes: lines at a time or a value, spans, and ticks of slots."""
    axes = panel.axes
    in_bars = {id(bar) for group in axes.containers for bar in getattr(group, "patches", ())}
    for span in axes.patches:
        if isinstance(span, patches.Rectangle) and id(span) not in in_bars:
            first, end = panel.xs([span.get_x(), span.get_x() + span.get_width()])
            yield {
                "type": "rect", "x0": first, "x1": end, "y0": 0, "y1": 1, "layer": "below",
                "xref": panel.x, "yref": f"{panel.y} domain", "line": {"width": 0},
                "fillcolor": _rgba(span.get_facecolor()),
            }  # fmt: skip
    for line in axes.lines:
        look = {
            "color": _rgba(line.get_color()), "width": line.get_linewidth(),
            "dash": _DASHES.get(line.get_linestyle(), "solid"),
        }  # fmt: skip
        if line.get_transform() is axes.get_yaxis_transform():
            level = panel.ys(line.get_ydata()[:1])[0]
            yield {
                "type": "line", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": look,
                "xref": f"{panel.x} domain", "yref": panel.y,
            }  # fmt: skip
        elif line.get_transform() is axes.get_xaxis_transform():
            is_slot = line.get_marker() == "|"
            for at in panel.xs(line.get_xdata() if is_slot else line.get_xdata()[:1]):
                yield {
                    "type": "line", "x0": at, "x1": at, "y0": 0, "y1": _SLOT if is_slot else 1,
                    "line": {**look, "dash": "solid" if is_slot else look["dash"]},
                    "xref": panel.x, "yref": f"{panel.y} domain",
                }  # fmt: skip
