"""The line where filters, jumps and names of files are typed."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from workkit.core.text import clean
from workkit.errors import InvalidQuery

__all__ = ["Prompt"]


class Prompt(Vertical):
    """Asks for a line of text below a screen; hidden until it is needed.

    What was typed is handed over with Enter; if it is refused, the reason is shown and it can be
    mended. Escape gives up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._take: Callable[[str], object] = str
        self.display = False

    def compose(self) -> ComposeResult:
        """Build the line."""
        yield Static("", id="prompt-complaint")
        with Horizontal():
            yield Label("", id="prompt-sign")
            yield Input(id="prompt-input", compact=True, select_on_focus=False)

    @property
    def open(self) -> bool:
        """Whether it is being typed into."""
        return bool(self.display)

    def ask(
        self, sign: str, take: Callable[[str], object], *, value: str = "", hint: str = ""
    ) -> None:
        """Ask for a line.

        Args:
            sign: What stands in front.
            take: Called with what was typed; an `InvalidQuery` or `ValueError` refuses it.
            value: What stands there already.
            hint: Shown while nothing does.
        """
        self._take = take
        self.query_one("#prompt-sign", Label).update(f" {sign} ")
        self._complain("")
        field = self.query_one(Input)
        field.value, field.placeholder = value, hint
        field.cursor_position = len(value)
        self.display = True
        field.focus()

    def close(self) -> None:
        """Hide it; the screen gets the focus back."""
        self.display = False

    def on_input_changed(self) -> None:
        """Take the complaint away once something is mended."""
        self._complain("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand the line over."""
        event.stop()
        try:
            self._take(event.value.strip())
        except InvalidQuery as error:
            self._complain(error.reason)
            self.query_one(Input).cursor_position = error.at
        except ValueError as error:
            self._complain(str(error))

    def _complain(self, reason: str) -> None:
        """Say what is wrong above the line; "" takes it away."""
        line = self.query_one("#prompt-complaint", Static)
        line.update(Text(f" {clean(reason)}", overflow="ellipsis", no_wrap=True))
        line.display = bool(reason)
