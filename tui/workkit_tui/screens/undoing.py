"""Undoing one operation, with progress."""

from __future__ import annotations

from threading import Event
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import ProgressBar, Static

from workkit.actions import Progress, Undone
from workkit.errors import WorkkitError
from workkit.text import clean
from workkit_tui.keys import Key, bindings
from workkit_tui.model.words import count

__all__ = ["UndoingScreen"]


class UndoingScreen(ModalScreen[bool]):
    """Brings jobs back; gives back whether any are."""

    BINDINGS = bindings(  # type: ignore[assignment]
        (Key(("escape", "enter", "q"), "cancel", "", "Stop, or close"),)
    )

    def __init__(self, operation_id: str) -> None:
        super().__init__()
        self._operation_id = operation_id
        self._stop = Event()
        #: Kept, for threads that end after the screen has been closed.
        self._app: Any = None
        self.undone: Undone | None = None
        self._over = False

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box"):
            yield Static(f"Undoing {self._operation_id} …", id="undo-title", classes="title")
            yield Static("", id="undo-text")
            yield ProgressBar(id="plan-bar", show_eta=False)
            yield Static("esc stops after this batch", id="undo-keys", classes="keys")

    def on_mount(self) -> None:
        """Begin."""
        self._app = self.app
        self.run_worker(self._undo, thread=True, group="undo", exclusive=True)

    def _undo(self) -> None:
        app = self._app
        try:
            undone = app.actions.undo(self._operation_id, report=self._report, stop=self._stop)
        except WorkkitError as error:
            if app.is_running:
                app.call_from_thread(self._end, "It was not undone", clean(str(error)))
            return
        if app.is_running:
            app.call_from_thread(self._ended, undone)

    def _report(self, progress: Progress) -> None:
        if self._app.is_running:
            self._app.call_from_thread(self._progress, progress)

    def _progress(self, progress: Progress) -> None:
        if self.is_attached:
            self.query_one(ProgressBar).update(total=max(progress.total, 1), progress=progress.done)

    def _ended(self, undone: Undone) -> None:
        self.undone = undone
        lines = []
        if undone.gone_on:
            lines.append(f"{count(undone.gone_on)} had begun and could not be taken back")
        if undone.without_key:
            lines.append(
                f"{count(undone.without_key)} are not unique any more: a newer job holds their key"
            )
        if undone.left:
            lines.append(f"{count(undone.left)} are left in the trash")
        jobs = "job is" if undone.back == 1 else "jobs are"
        self._end(f"{count(undone.back)} {jobs} back", "\n".join(lines))

    def _end(self, title: str, text: str) -> None:
        self._over = True
        if self.is_attached:
            self.query_one(ProgressBar).display = False
            self.query_one("#undo-title", Static).update(Text(title))
            self.query_one("#undo-text", Static).update(Text(text))
            self.query_one("#undo-keys", Static).update("esc closes")

    def action_cancel(self) -> None:
        """Stop, or close."""
        if self._over:
            self.dismiss(result=True)
        else:
            self._stop.set()
