"""An application that shows nothing raw, reads nothing as markup, and takes keys in order.

Text on a screen comes from Redis and from the keyboard, so it can contain anything. Screens make it
readable where they draw it; this guard covers every widget.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from unicodedata import category

from rich.cells import cell_len
from rich.segment import Segment, Segments
from rich.text import Text
from textual import events
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.widgets import Input, TextArea

from workkit.core.text import clean, clip, counted
from workkit_tui.model.copies import Copy
from workkit_tui.widgets.prompt import PromptField

__all__ = ["GuardedApp", "harmless"]

#: Control and format characters (escapes, bidirectional overrides), halves of pairs, line ends.
_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Terminals take at least so much text for their clipboard (xterm; base64 adds a third), bytes.
_SURE_BYTES: Final = 74_000
#: So much of a copied text is shown, columns.
_SHOWN: Final = 60
#: Longest wait until a screen is built, seconds.
_BUILT_S: Final = 5


def harmless(text: str) -> str:
    """Return text of the same width without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join("�" * cell_len(c) if category(c) in _HARMFUL else c for c in text)


class _HarmlessFilter(LineFilter):
    """Makes every line harmless before it becomes bytes for the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with harmless text; control segments stay unchanged."""
        del background
        return [
            segment
            if segment.control or segment.text.isprintable()
            else Segment(harmless(segment.text), segment.style)
            for segment in segments
        ]


class GuardedApp(App[None]):
    """Guards the terminal, see the module."""

    def __init__(self) -> None:
        super().__init__()
        self._harmless = _HarmlessFilter()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters of all lines of all widgets."""
        return [*super().get_line_filters(), self._harmless]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast; its text is never markup, even if the caller asks for it."""
        del markup
        super().notify(
            clean(message), title=clean(title), severity=severity, timeout=timeout, markup=False
        )

    def copy(self, copy: Copy) -> None:
        """Copy a text to the clipboard of the user's terminal or browser, and say so."""
        self.copy_to_clipboard(copy.text)
        size = len(copy.text.encode())
        if size > _SURE_BYTES:
            self.notify(
                f"Copied {copy.what}, {size:,} bytes; many terminals take no more than "
                f"{_SURE_BYTES:,}, so look whether it has arrived.",
                severity="warning",
            )
        else:
            lines = copy.text.count("\n") + 1
            said = counted(lines, "line") if lines > 1 else clip(copy.text, _SHOWN)
            self.notify(f"Copied {copy.what}: {said}")

    # Keys.

    async def on_event(self, event: events.Event) -> None:
        """Finish a key before the next: the key may open a prompt that the next one is meant for.

        Textual first passes a key to the widget that has the focus, and runs the key's command when
        it has come back from there. Without this guard, a key typed in between would run as a
        command, although the key before it has opened a line for typing.
        """
        if event.is_forwarded or not isinstance(event, events.Key | events.Paste):
            await super().on_event(event)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_BUILT_S):
                await self.screen._mounted_event.wait()  # noqa: SLF001 - nothing public tells it
        if not self.screen.is_mounted:
            return  # what the key is about is not there
        field = self.focused
        if isinstance(field, Input | TextArea) and not isinstance(field, PromptField):
            await super().on_event(event)  # Textual's own, in the palette and in text areas
        elif isinstance(event, events.Key):
            self.app_focus = True
            if event.key == "escape" and self.screen.maximized is not None:
                self.screen.minimize()
                return
            if await self._check_bindings(event.key, priority=True):
                return
            if isinstance(field, PromptField) and field.take_key(event):
                return
            await self._check_bindings(event.key)
        elif isinstance(field, PromptField):
            field.take_paste(event.text)

    # Ending.

    def hidden(self, text: str) -> str:
        """Return a text without secrets."""
        return text

    def _fatal_error(self) -> None:
        """Print why the application ends, without the values of variables, which may be secrets."""
        error = sys.exc_info()[1] or self._exception
        lines = "".join(traceback.format_exception(error)).splitlines() if error else []
        told = "\n".join(clean(line) for line in self.hidden("\n".join(lines)).split("\n"))
        shown = self.console.render(Text(told), self.console.options)
        self._exit_renderables.append(Segments(list(shown)))
        self._close_messages_no_wait()
