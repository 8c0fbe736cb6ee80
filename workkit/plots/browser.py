"""Pictures as figures of Plotly, in which one can zoom and read values.

A picture is drawn once, by matplotlib. Here it is told to Plotly: where its axes are, and what is
on them. So both have the same words, colours and places, and a new kind of picture needs nothing
here as long as it is drawn of the same things.
"""

from __future__ import annotations

from typing import Any, Final

from matplotlib.text import Text

from workkit.frames.extra import np
from workkit.plots.extra import graph_objects, ticker
from workkit.plots.traces import PIXELS_A_POINT, Panel, legend_of, markup_free, shapes_of, traces_of

__all__ = ["figure_of"]

#: The lines of an axis.
_LINES: Final = {
    "gridcolor": "#e4e4e4", "zeroline": False, "showline": True, "linecolor": "#777777",
    "ticks": "outside", "tickcolor": "#777777",
}  # fmt: skip
_DARK: Final = "#222222"
_FONT: Final = {"family": "DejaVu Sans, Noto Sans, sans-serif", "color": _DARK, "size": 12}
_EDGES: Final = {"top": "top", "bottom": "bottom", "center": "middle", "baseline": "bottom"}


def figure_of(picture: Any) -> Any:
    """Return a picture as a figure of Plotly; see `Picture.plotly`."""
    picture.draw_without_rendering()  # the layout is only known then
    figure = graph_objects().Figure()
    figure.update_layout(
        # As wide as there is room: a cell of a notebook may be narrower than the picture.
        autosize=True, height=round(picture.get_size_inches()[1] * picture.dpi),
        margin={"l": 0, "r": 0, "t": 0, "b": 0}, barmode="overlay",
        paper_bgcolor="white", plot_bgcolor="white", font=_FONT, hovermode="closest", bargap=0,
        separators=".,", hoverlabel={"namelength": -1},
    )  # fmt: skip
    every = [axes for axes in picture.axes if getattr(axes, "_colorbar", None) is None]
    panels = [Panel(axes, number) for number, axes in enumerate(every, 1)]
    for panel in panels:
        _add(figure, panel, panels)
    if picture.get_suptitle():
        _write(figure, picture.get_suptitle(), 0.01, 0.995, points=11)
    return figure


def _add(figure: Any, panel: Panel, panels: list[Panel]) -> None:
    axes = panel.axes
    place = axes.get_position()
    title = axes.get_title(loc="left")
    if title:
        (drawn, *_) = axes.findobj(lambda each: isinstance(each, Text) and each.get_text() == title)
        _write(figure, title, place.x0, place.y1, points=drawn.get_fontsize())
    figure.update_layout(
        {
            f"xaxis{panel.x[1:]}": _x_axis(panel, panels),
            f"yaxis{panel.y[1:]}": _y_axis(panel),
        }
    )
    if not axes.axison:  # nothing to see
        figure.update_layout({f"{way}axis{panel.x[1:]}": {"visible": False} for way in "xy"})
    legend = f"legend{panel.x[1:]}"
    for trace in (*legend_of(panel), *traces_of(panel)):
        trace.update(legend=legend, legendgroup=trace.name, showlegend=bool(trace.showlegend))
        figure.add_trace(trace)
    _add_legend(figure, panel, legend)
    for shape in shapes_of(panel):
        figure.add_shape(shape)
    for text in axes.texts:
        figure.add_annotation(_annotation(panel, text))


def _write(figure: Any, text: str, x: float, y: float, *, points: float) -> None:
    """Write a title."""
    figure.add_annotation(
        text=markup_free(text), x=x, y=y, xref="paper", yref="paper", xanchor="left",
        yanchor="top" if y > 0.99 else "bottom",  # noqa: PLR2004 - the edge of the picture
        showarrow=False, font={**_FONT, "size": points * PIXELS_A_POINT}, align="left",
    )  # fmt: skip


def _add_legend(figure: Any, panel: Panel, name: str) -> None:
    legend = panel.axes.get_legend()
    if legend is None:
        return
    place = panel.axes.get_position()
    box = legend.get_window_extent().transformed(panel.axes.figure.transFigure.inverted())
    figure.update_layout(
        {
            name: {
                "x": box.x0, "y": box.y1, "xanchor": "left", "yanchor": "top",
                "font": {**_FONT, "size": 11}, "bgcolor": "rgba(0,0,0,0)", "tracegroupgap": 0,
                "orientation": "h" if box.y1 < place.y0 else "v",
            }
        }
    )  # fmt: skip


def _x_axis(panel: Panel, panels: list[Panel]) -> dict[str, Any]:
    axes, place = panel.axes, panel.axes.get_position()
    low, high = axes.get_xlim()
    label = axes.get_xlabel()
    about: dict[str, Any] = {"domain": [place.x0, place.x1], "anchor": panel.y, **_LINES}
    if panel.zone is not None:
        about |= {"type": "date", "range": panel.xs([low, high]).tolist()}
        label = _with_offset(label, panel)
    else:
        about |= _scaled(axes.xaxis, low, high)
    about["title"] = {"text": markup_free(label), "standoff": 4}
    same = [other for other in panels if axes.get_shared_x_axes().joined(axes, other.axes)]
    if same and same[0] is not panel:
        about["matches"] = same[0].x
    about["showticklabels"] = axes.xaxis.get_tick_params().get("labelbottom", True)
    return about


def _with_offset(label: str, panel: Panel) -> str:
    """Say in a label of an axis of times how far its zone is ahead of UTC, as the axis counts."""
    minutes = round(panel.offset.total_seconds() / 60)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    if not minutes or not label:
        return label
    return label.replace(")", f", UTC{sign}{hours}{f':{rest:02}' if rest else ''})", 1)


def _y_axis(panel: Panel) -> dict[str, Any]:
    axes, place = panel.axes, panel.axes.get_position()
    low, high = panel.ys(axes.get_ylim()).tolist()
    return {
        "domain": [place.y0, place.y1], "anchor": panel.x, **_LINES,
        "title": {"text": markup_free(axes.get_ylabel()).replace("\n", "<br>"), "standoff": 6},
        **_scaled(axes.yaxis, low, high, panel),
    }  # fmt: skip


def _scaled(axis: Any, low: float, high: float, panel: Panel | None = None) -> dict[str, Any]:
    """Return the scale of an axis, and its ticks where they are no plain numbers."""
    log = axis.get_scale() == "log"
    about: dict[str, Any] = {
        "type": "log" if log else "linear",
        "range": [float(np.log10(low)), float(np.log10(high))] if log else [low, high],
    }
    for label in axis.get_majorticklabels()[:1]:
        about["tickfont"] = {"size": label.get_fontsize() * PIXELS_A_POINT}
    formatter = axis.get_major_formatter()
    fixed = isinstance(axis.get_major_locator(), ticker.FixedLocator)
    if fixed or isinstance(formatter, ticker.FuncFormatter):
        at = np.asarray(axis.get_majorticklocs(), dtype=float)
        words = [markup_free(word) for word in formatter.format_ticks(at)]
        about |= {"tickmode": "array", "tickvals": list(panel.ys(at) if panel else at)}
        about["ticktext"] = words
    else:
        ticks = [at for at in axis.get_majorticklocs() if low <= at <= high]
        about |= {"tickformat": ",", "nticks": max(len(ticks), 2)}
    return about


def _annotation(panel: Panel, text: Any) -> dict[str, Any]:
    """Return a text within the axes, with its place in the units of the axes."""
    x, y = getattr(text, "xy", None) or text.get_position()
    axes = panel.axes
    way = getattr(text, "xycoords", None) or text.get_transform()
    across = way is axes.get_xaxis_transform()
    free = way is axes.transAxes
    right, up = text.get_position() if hasattr(text, "xy") else (0, 0)
    box = text.get_bbox_patch()
    where: dict[str, Any] = {
        "x": x if free else panel.xs([x])[0], "xref": f"{panel.x} domain" if free else panel.x,
        "y": y if free or across else panel.ys([y])[0],
        "yref": f"{panel.y} domain" if free or across else panel.y,
    }  # fmt: skip
    for axis, key in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        if axis.get_scale() == "log" and not where[f"{key}ref"].endswith("domain"):
            where[key] = float(np.log10(where[key]))
    return {
        **where, "text": markup_free(text.get_text()), "showarrow": False,
        "xshift": right * PIXELS_A_POINT, "yshift": up * PIXELS_A_POINT,
        "xanchor": text.get_ha(), "yanchor": _EDGES[text.get_va()],
        "font": {**_FONT, "size": text.get_fontsize() * PIXELS_A_POINT},
        "bgcolor": "rgba(255,255,255,0.8)" if box is not None else "rgba(0,0,0,0)",
    }  # fmt: skip
