"""A box that asks what is to be copied of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from workkit.core.text import clip, counted
from workkit_tui.keys import Key, bindings
from workkit_tui.model.copies import JOB_COPY_KEYS, Copy
from workkit_tui.screens.box import BoxScreen
from workkit_tui.themes import color
from workkit_tui.widgets.words import Words

__all__ = ["CopyScreen"]

_NAMES: Final = 27


class CopyScreen(BoxScreen):
    """Asks which of several texts is to be copied.

    Args:
        title: What they are of.
        copies: The texts, the most wanted first; each has a key.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "q"), "cancel", "", "Close"),
            Key(("y", "enter"), "first", "", "Copy the first"),
            *(Key((key,), f"take('{key}')", "", "Copy it") for key in JOB_COPY_KEYS),
        )
    )

    def __init__(self, title: str, copies: Sequence[Copy]) -> None:
        super().__init__()
        self._title = title
        self._copies = copies

    def on_mount(self) -> None:
        """List the texts."""
        keys = f"y copies {self._copies[0].what}   esc closes"
        self.say(f"Copy of {self._title}", "", keys)
        self.call_after_refresh(self._list)

    def on_resize(self) -> None:
        """List them again: another width shows more of them, or less."""
        self._list()

    def _list(self) -> None:
        text, quiet = Text(), color(self.app, "secondary")
        for each in self._copies:
            text.append(f"{each.key}  ", f"bold {color(self.app, 'primary')}")
            text.append(f"{each.what:<{_NAMES}}")
            lines = each.text.count("\n") + 1
            sample = f"{counted(lines, 'line')}" if lines > 1 else each.text
            text.append(clip(sample, max(self.broad - _NAMES - 3, 1)), quiet)
            text.append("\n")
        text.rstrip()
        self.query_one("#box-text", Words).update(text)

    def action_take(self, key: str) -> None:
        """Copy the text of a key; nothing if there is none."""
        for each in self._copies:
            if each.key == key:
                self._take(each)

    def action_first(self) -> None:
        """Copy the most wanted text."""
        self._take(self._copies[0])

    def action_cancel(self) -> None:
        """Close."""
        self.dismiss(result=False)

    def _take(self, chosen: Copy) -> None:
        self.dismiss(result=False)
        self.console.copy(chosen)
