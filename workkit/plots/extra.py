"""Imports the libraries of the extra, or names the command that installs them."""

from __future__ import annotations

from typing import Any

from workkit.errors import MissingExtra

__all__ = ["dates", "figure", "font_manager", "graph_objects", "lines", "mpl", "patches", "ticker"]

try:
    import matplotlib as mpl
    from matplotlib import dates, figure, font_manager, lines, patches, ticker

    import workkit.frames.extra  # noqa: F401 - this extra includes that of frames
except ImportError:
    raise MissingExtra("workkit.plots", "plots") from None


def graph_objects() -> Any:
    """Return the module with Plotly's figures and traces.

    Raises:
        MissingExtra: Plotly is not installed.
    """
    try:
        from plotly import graph_objects as found
    except ImportError:
        raise MissingExtra("Picture.plotly", "plotly") from None
    return found
