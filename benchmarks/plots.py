"""Scaling curves, as text and as pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from benchmarks.report import figure
from benchmarks.result import Curve

__all__ = ["draw", "text_plot"]

_DIRECTORY: Final = Path(__file__).parent / "plots"
_WIDTH: Final = 48


def text_plot(curve: Curve) -> str:
    """Draw a curve as bars, one a point."""
    highest = max(sample.high for line in curve.lines.values() for sample in line.values())
    lines = [f"{curve.title}, jobs/s"]
    for name, points in curve.lines.items():
        lines.append(f"  {name}")
        for x, sample in points.items():
            bar = "█" * max(round(_WIDTH * sample.median / highest), 1)
            lines.append(f"  {x:>9,} {curve.x:<11} {bar} {figure(sample.median)}")
    return "\n".join(lines)


def draw(curve: Curve) -> str:
    """Draw a curve as a picture.

    Returns:
        The picture's path, relative to RESULTS.md.

    Raises:
        ImportError: matplotlib is not installed; the dependency group `bench` has it.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    axes_figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, points in curve.lines.items():
        samples = list(points.values())
        medians = [sample.median for sample in samples]
        spread = (
            [sample.median - sample.low for sample in samples],
            [sample.high - sample.median for sample in samples],
        )
        axes.errorbar(list(points), medians, yerr=spread, marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    ticks = sorted({x for points in curve.lines.values() for x in points})
    axes.set_xticks(ticks, [f"{x:,}" for x in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(title=curve.title, xlabel=curve.x, ylabel="jobs/s")
    axes.grid(alpha=0.3)
    axes.legend()
    _DIRECTORY.mkdir(exist_ok=True)
    path = _DIRECTORY / (re.sub(r"\W+", "-", curve.title.lower()).strip("-") + ".png")
    axes_figure.savefig(path, dpi=120)
    plt.close(axes_figure)
    return f"{_DIRECTORY.name}/{path.name}"
