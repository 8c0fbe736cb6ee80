"""Draws the Grafana dashboard from a load: `python -m benchmarks.observed`.

A real Prometheus scrapes an exporter and a worker with two processes, and answers the queries of
the dashboard. Grafana itself is not needed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.observed.dashboard import Panel, filled, panels
from benchmarks.observed.stack import Prometheus, observed
from benchmarks.workers import ROOT

__all__ = ["draw", "main"]

_OUT: Final = ROOT / "docs" / "pictures" / "dashboard.png"
_COLUMNS: Final = 24
_UNITS: Final = {"s": "seconds", "ops": "a second", "percentunit": "share", "bool_yes_no": ""}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observed", description=__doc__)
    parser.add_argument("--seconds", type=int, default=90, help="how long the load runs")
    parser.add_argument("--out", type=Path, default=_OUT, help="the picture")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, observed(Path(folder)) as stack:
        start_s = time.time()
        time.sleep(options.seconds)
        draw(stack.prometheus, start_s + 5, time.time(), options.out)
    print(options.out)
    return 0


def draw(prometheus: Prometheus, start_s: float, end_s: float, path: Path) -> None:
    """Draw all panels as the dashboard places them.

    Args:
        prometheus: Answers the queries.
        start_s: The beginning of the time, epoch seconds.
        end_s: Its end.
        path: The picture.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    rows = _rows(panels())
    heights = [1.1 if row[0].kind == "stat" else 2.6 for row in rows]
    figure = plt.figure(figsize=(17, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
    for (part,), row in zip(parts, rows, strict=True):
        axes = part.subplots(1, len(row), squeeze=False)[0]
        for axis, panel in zip(axes, row, strict=True):
            if panel.kind == "stat":
                _number(axis, panel, prometheus)
            else:
                _lines(axis, panel, prometheus, start_s, end_s)
    figure.savefig(path, dpi=70)
    plt.close(figure)


def _rows(found: list[Panel]) -> list[list[Panel]]:
    rows: list[list[Panel]] = [[]]
    for panel in found:
        if sum(each.width for each in rows[-1]) + panel.width > _COLUMNS:
            rows.append([])
        rows[-1].append(panel)
    return rows


def _number(axis: Any, panel: Panel, prometheus: Prometheus) -> None:
    (query,) = panel.queries
    series = prometheus.query(filled(query))
    value = float(series[0]["value"][1]) if series else None
    shown = "no data" if value is None else f"{value:,.3g}"
    if value is not None and panel.mapped:
        shown = panel.mapped.get(f"{value:g}", shown)
    elif value is not None and panel.unit == "percentunit":
        shown = f"{100 * value:.0f} %"
    elif value is not None and panel.unit == "s":
        shown += " s"
    axis.set_axis_off()
    axis.text(0.5, 0.35, shown, ha="center", va="center", fontsize=26, color="#1f77b4")
    axis.set_title(panel.title, fontsize=11)


def _lines(axis: Any, panel: Panel, prometheus: Prometheus, start_s: float, end_s: float) -> None:
    number = 0
    for query, pattern in panel.queries.items():
        for series in prometheus.query_range(filled(query), start_s, end_s, 1):
            points = [(float(at) - start_s, float(value)) for at, value in series["values"]]
            axis.plot(*zip(*points, strict=True), label=_named(pattern, series["metric"]), lw=1.2)
            number += 1
    if not number:
        axis.text(0.5, 0.5, "no data", ha="center", va="center", transform=axis.transAxes)
    axis.set_title(panel.title, fontsize=11)
    axis.set_ylabel(_UNITS.get(panel.unit, ""), fontsize=8)
    axis.set_xlim(0, end_s - start_s)
    low, high = axis.dataLim.intervaly if number else (0, 1)
    top = high * 1.1 if high > 0 else 1
    axis.set_ylim(min(low * 1.1, -0.03 * top), top)  # a line at zero stays visible
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    if number:
        axis.legend(fontsize=7, ncols=2 if number > 4 else 1, loc="upper left")  # noqa: PLR2004


def _named(pattern: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern


if __name__ == "__main__":
    sys.exit(main())
