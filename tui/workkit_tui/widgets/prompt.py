"""The line where filters, jumps and names of files are typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester, SuggestFromList
from textual.widgets import Input

from workkit.core.text import clean
from workkit.errors import InvalidQuery
from workkit_tui.model.completion import completed
from workkit_tui.widgets.words import Words

__all__ = ["Prompt", "PromptField"]


class _LastWord(Suggester):
    """Completes the last word of a line."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        """Return the completed line; None if no word begins like its last one."""
        return completed(value, self._words)


class PromptField(Input):
    """The field of the prompt; keys and pasted text reach it one after another.

    Args:
        submit: Called with the text when Enter is pressed.
    """

    BINDINGS = [Binding("tab", "complete", show=False)]  # noqa: RUF012 - as Textual declares it

    def __init__(self, submit: Callable[[str], object]) -> None:
        super().__init__(id="prompt-input", compact=True, select_on_focus=False)
        self._submit = submit

    def take_key(self, event: events.Key) -> bool:
        """Write the character of a key; False if it has none, such as Enter."""
        if not event.is_printable or event.character is None:
            return False
        self.replace(event.character, *self.selection)
        return True

    def action_complete(self) -> None:
        """Take the name that is suggested."""
        if self._suggestion:
            self.value = self._suggestion
            self.cursor_position = len(self.value)

    def take_paste(self, text: str) -> None:
        """Write the first line of a text."""
        self.replace(next(iter(text.splitlines()), ""), *self.selection)

    async def action_submit(self) -> None:
        """Hand the text over at once, before the next key."""
        self._submit(self.value)


class Prompt(Vertical):
    """Asks for a line of text below a screen; hidden until it is needed.

    Enter submits the text. If it is refused, the reason is shown and the text can be corrected.
    Escape gives up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._take: Callable[[str], object] = str
        self._refused: str | None = None  # the text with a complaint
        self.display = False

    def compose(self) -> ComposeResult:
        """Build the line."""
        yield Words("", id="prompt-complaint")
        with Horizontal():
            yield Words("", id="prompt-sign")
            yield PromptField(self._submit)

    @property
    def open(self) -> bool:
        """Whether it is being typed into."""
        return bool(self.display)

    def ask(
        self,
        sign: str,
        take: Callable[[str], object],
        *,
        value: str = "",
        hint: str = "",
        names: Sequence[str] = (),
        words: Sequence[str] = (),
    ) -> None:
        """Ask for a line; keys typed from now on are written there.

        Args:
            sign: The text before the line.
            take: Called with the typed text; an `InvalidQuery` or `ValueError` refuses it.
            value: The text to begin with.
            hint: Shown while the line is empty.
            names: Tab completes the line to one of these.
            words: Tab completes the last word to one of these.
        """
        self._take = take
        self.query_one("#prompt-sign", Words).update(f" {sign} ")
        self._complain("")
        field = self.query_one(PromptField)
        field.suggester = SuggestFromList(names) if names else _LastWord(words) if words else None
        field.value, field.placeholder = value, hint
        field.cursor_position = len(value)
        self.display = True
        self.screen.set_focus(field)  # not field.focus(), which sets it later

    def close(self) -> None:
        """Hide it."""
        self.display = False

    def on_input_changed(self) -> None:
        """Remove the complaint once something is corrected.

        The changes before Enter may come after it, since they are messages and Enter is a call.
        """
        if self.query_one(PromptField).value != self._refused:
            self._complain("")

    def _submit(self, text: str) -> None:
        """Hand the line over."""
        self._refused = text
        try:
            self._take(text.strip())
        except InvalidQuery as error:
            self._complain(error.reason)
            self.query_one(PromptField).cursor_position = error.at
        except ValueError as error:
            self._complain(str(error))

    def _complain(self, reason: str) -> None:
        """Show a complaint above the line; "" removes it."""
        line = self.query_one("#prompt-complaint", Words)
        line.update(Text(f" {clean(reason)}", overflow="ellipsis", no_wrap=True))
        line.display = bool(reason)
