"""An error with its traceback, as text that is easy to read."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import App

from workkit.core.text import clean
from workkit_tui.themes import color

__all__ = ["traceback"]


def traceback(app: App[Any], error: str) -> Text:
    """Return an error: the message stands out, the lines of code are quiet."""
    first, *rest = error.rstrip().splitlines() or [""]
    text = Text(clean(first), f"bold {color(app, 'error')}")
    quiet = color(app, "secondary")
    for line in rest:
        shade = quiet if line.startswith("    ") else color(app, "foreground")
        text.append(f"\n{clean(line)}", f"not bold {shade}")
    return text
