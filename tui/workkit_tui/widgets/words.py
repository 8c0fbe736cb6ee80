"""Text and grids of text without markup."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.style import StyleType
from rich.table import Table as RichTable
from rich.text import Text
from textual.widgets import Static

from workkit.core.text import clean

__all__ = ["TextGrid", "Words", "headless_grid"]


class Words(Static):
    """A text; a plain string is shown unchanged.

    Args:
        content: The text.
        **options: Those of `Static`.
    """

    def __init__(self, content: str | Text | RichTable = "", **options: Any) -> None:
        super().__init__(content, markup=False, **options)


class TextGrid(RichTable):
    """A grid; a cell that is a plain string is shown unchanged."""

    def add_row(
        self,
        *cells: RenderableType | None,
        style: StyleType | None = None,
        end_section: bool = False,
    ) -> None:
        """Add a row."""
        plain = (Text(clean(cell)) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*plain, style=style, end_section=end_section)


def headless_grid() -> TextGrid:
    """Return a grid without lines and without heads of columns."""
    return TextGrid(
        box=None, padding=(0, 2), show_header=False, show_edge=False, pad_edge=False,
        collapse_padding=True,
    )  # fmt: skip
