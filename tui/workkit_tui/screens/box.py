"""A box over a screen that shows the progress of a thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import ProgressBar

from workkit.admin.actions import BulkProgress
from workkit.core.text import clean
from workkit_tui.protocols import ConsoleApp
from workkit_tui.widgets.words import Words

__all__ = ["BoxScreen"]

#: A question accepts no answer until it has been visible for this long, seconds: an earlier key was
#: meant for another screen.
_SEEN_S: Final = 0.3


class BoxScreen(ModalScreen[bool]):
    """A box; returns whether anything was changed.

    Class attributes:
        DANGER: Whether it is about removing jobs.
    """

    DANGER: ClassVar[bool] = False

    #: Kept for threads that end after the screen has been closed.
    _owner: ConsoleApp | None = None

    def __init__(self) -> None:
        super().__init__()
        self.stop = Event()

    @property
    def console(self) -> ConsoleApp:
        """The application."""
        if self._owner is None:
            owner: Any = self.app
            self._owner = owner
        assert self._owner is not None  # noqa: S101 - it was set just now
        return self._owner

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box danger" if self.is_dangerous else "box"):
            yield Words("", id="box-title", classes="title")
            yield Words("", id="box-text")
            yield ProgressBar(id="box-bar", show_eta=False)
            yield Words("", id="box-keys", classes="keys")

    @property
    def is_dangerous(self) -> bool:
        """Whether the box is drawn as a warning."""
        return self.DANGER

    @property
    def broad(self) -> int:
        """How wide a line of the box can be."""
        return max(self.query_one("#box-text").content_size.width, 1)

    def work(self, function: Callable[[], None]) -> None:
        """Begin something on a thread."""
        _ = self.console
        self.run_worker(function, thread=True, group="box", exclusive=True)

    def later(self, function: Callable[..., object], *args: object) -> None:
        """Call something from a thread, unless the console or the box is gone."""

        def call() -> None:
            if self.is_attached:
                function(*args)

        if self.console.is_running:
            self.console.call_from_thread(call)

    def when_seen(self, function: Callable[[], object]) -> None:
        """Call something when the box has been visible long enough for a deliberate key."""
        self.set_timer(_SEEN_S, function)

    def say(self, title: str, text: str | Text, keys: str, *, busy: bool = False) -> None:
        """Write the box.

        Args:
            title: The first line.
            text: The text below it.
            keys: Which keys there are.
            busy: Whether the bar is shown.
        """
        self.query_one("#box-title", Words).update(Text(clean(title)))
        self.query_one("#box-text", Words).update(Text(text) if isinstance(text, str) else text)
        self.query_one("#box-keys", Words).update(Text(keys))
        self.query_one(ProgressBar).display = busy

    def report(self, progress: BulkProgress) -> None:
        """Show the progress of the thread."""
        self.later(self._show, progress)

    def _show(self, progress: BulkProgress) -> None:
        bar = self.query_one(ProgressBar)
        bar.display = True
        bar.update(total=max(progress.total, progress.done, 1), progress=progress.done)
        if words := self.progress_words(progress):
            self.query_one("#box-text", Words).update(Text(words))

    def progress_words(self, progress: BulkProgress) -> str:
        """Return the progress in words; "" where the bar is enough."""
        del progress
        return ""
