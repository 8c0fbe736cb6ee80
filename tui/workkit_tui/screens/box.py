"""A box over a screen, in which a thread says what it does and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import ProgressBar, Static

from workkit.admin.actions import BulkProgress

if TYPE_CHECKING:
    from workkit_tui.app import Console

__all__ = ["BoxScreen"]


class BoxScreen(ModalScreen[bool]):
    """A box; gives back whether anything was done.

    Class attributes:
        DANGER: Whether it is about something that takes jobs away.
    """

    DANGER: ClassVar[bool] = False

    #: Kept, for threads that end after the screen has been closed.
    _owner: Console | None = None

    def __init__(self) -> None:
        super().__init__()
        self.stop = Event()

    @property
    def console(self) -> Console:
        """The application."""
        if self._owner is None:
            owner: Any = self.app
            self._owner = owner
        assert self._owner is not None  # noqa: S101 - it was set just now
        return self._owner

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box danger" if self.is_dangerous else "box"):
            yield Static("", id="box-title", classes="title")
            yield Static("", id="box-text")
            yield ProgressBar(id="box-bar", show_eta=False)
            yield Static("", id="box-keys", classes="keys")

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

    def say(self, title: str, text: str | Text, keys: str, *, busy: bool = False) -> None:
        """Write the box anew.

        Args:
            title: The first line.
            text: What is below it.
            keys: Which keys there are.
            busy: Whether the bar is shown.
        """
        self.query_one("#box-title", Static).update(Text(title))
        self.query_one("#box-text", Static).update(Text(text) if isinstance(text, str) else text)
        self.query_one("#box-keys", Static).update(Text(keys))
        self.query_one(ProgressBar).display = busy

    def report(self, progress: BulkProgress) -> None:
        """Show from a thread how far it is."""
        self.later(self._show, progress)

    def _show(self, progress: BulkProgress) -> None:
        bar = self.query_one(ProgressBar)
        bar.display = True
        bar.update(total=max(progress.total, progress.done, 1), progress=progress.done)
        if words := self.progress_words(progress):
            self.query_one("#box-text", Static).update(Text(words))

    def progress_words(self, progress: BulkProgress) -> str:
        """Say how far it is; "" where the bar is enough."""
        del progress
        return ""
