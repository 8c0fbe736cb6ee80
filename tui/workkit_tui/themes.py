"""Colours with a meaning: green is good, yellow needs a look, red is broken, blue is the focus.

In the themes for the colour-blind, turquoise or blue is good, and orange or pink is broken. Text
has the contrast of WCAG 2.2 AA on each theme of ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from textual.app import App
from textual.theme import Theme

__all__ = ["THEMES", "color"]

_DARK: Final = Theme(
    name="workkit",
    primary="#6cb6ff",
    secondary="#8b949e",
    accent="#6cb6ff",
    foreground="#d5dae1",
    background="#0f1419",
    surface="#151b22",
    panel="#1c242d",
    success="#57ab5a",
    warning="#d4a72c",
    error="#f47067",
    dark=True,
)
_LIGHT: Final = Theme(
    name="workkit-light",
    primary="#0a5fb4",
    secondary="#57606a",
    accent="#0a5fb4",
    foreground="#1f2328",
    background="#ffffff",
    surface="#f6f8fa",
    panel="#eaeef2",
    success="#166b2e",
    warning="#8a6100",
    error="#c2262e",
    dark=False,
)
THEMES: Final = (
    _DARK,
    _LIGHT,
    replace(
        _DARK, name="workkit-colour-blind", primary="#7cc0ff", secondary="#929aa4",
        accent="#7cc0ff", success="#4fe0f0", warning="#f0e442", error="#ff8a6b",
    ),
    replace(
        _LIGHT, name="workkit-colour-blind-light", success="#2447e0", warning="#755b19",
        error="#c01584",
    ),
)  # fmt: skip


def color(app: App[Any], name: str) -> str:
    """Return a colour of the present theme as Rich calls it.

    Args:
        app: The application.
        name: "primary", "secondary", "success", "warning", "error" or "foreground".
    """
    value = app.theme_variables.get(name, "")
    if value.startswith("#"):
        return value
    return value.removeprefix("ansi_") if value.startswith("ansi_") else "default"
