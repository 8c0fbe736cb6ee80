"""Imports the libraries of the extra, or names the command that installs them."""

from __future__ import annotations

from typing import Any

from workkit.errors import MissingExtra

__all__ = ["anywidget", "traitlets", "widgets"]

try:
    import ipywidgets as widgets
    import traitlets

    import workkit.frames.extra  # noqa: F401 - this extra includes that of frames
except ImportError:
    raise MissingExtra("workkit_notebook", "notebook") from None

anywidget: Any
try:
    import anywidget
except ImportError:  # an installation from before it was needed: views do without its parts
    anywidget = None
