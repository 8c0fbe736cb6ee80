"""Imports the library of the extra, or names the command that installs it."""

from __future__ import annotations

from workkit.errors import MissingExtra

__all__ = ["widgets"]

try:
    import ipywidgets as widgets
except ImportError:
    raise MissingExtra("workkit_notebook", "notebook") from None
