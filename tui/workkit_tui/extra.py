"""Imports the library of the extra, or names the command that installs it."""

from __future__ import annotations

from workkit.errors import MissingExtra

__all__ = ["textual"]

try:
    import textual
except ImportError:
    raise MissingExtra("workkit_tui", "tui") from None
