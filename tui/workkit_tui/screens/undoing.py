"""Boxes that undo an operation or empty its trash."""

from __future__ import annotations

from typing import ClassVar

from workkit.admin.actions import Operation, Undone
from workkit.core.text import clean, counted
from workkit.errors import WorkkitError
from workkit_tui.keys import Key, bindings
from workkit_tui.model.words import count
from workkit_tui.screens.box import BoxScreen

__all__ = ["ForgettingScreen", "UndoingScreen"]


class UndoingScreen(BoxScreen):
    """Brings jobs back.

    Args:
        operation_id: The operation that took them.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (Key(("escape", "enter", "q"), "cancel", "", "Stop, or close"),)
    )

    def __init__(self, operation_id: str) -> None:
        super().__init__()
        self._operation_id = operation_id
        self.undone: Undone | None = None
        self._over = False

    def on_mount(self) -> None:
        """Begin."""
        self.say(f"Undoing {self._operation_id} …", "", "esc stops after this batch", busy=True)
        self.work(self._undo)

    def _undo(self) -> None:
        actions = self.console.actions
        assert actions is not None  # noqa: S101 - the box opens only where something may be changed
        try:
            undone = actions.undo(self._operation_id, report=self.report, stop=self.stop)
        except WorkkitError as error:
            self.later(self._end, "It was not undone", clean(str(error)))
            return
        self.later(self._ended, undone)

    def _ended(self, undone: Undone) -> None:
        self.undone = undone
        lines = []
        if undone.gone_on:
            lines.append(f"{count(undone.gone_on)} had started and could not be taken back")
        if undone.without_key:
            lost = counted(undone.without_key, "is", "are")
            lines.append(f"{lost} no longer unique: a newer job holds the key")
        if undone.left:
            lines.append(f"{counted(undone.left, 'is', 'are')} left in the trash")
        self._end(f"{counted(undone.back, 'job is', 'jobs are')} back", "\n".join(lines))

    def _end(self, title: str, text: str) -> None:
        self._over = True
        self.say(title, text, "esc closes")

    def action_cancel(self) -> None:
        """Stop, or close."""
        if self._over:
            self.dismiss(result=True)
        else:
            self.stop.set()


class ForgettingScreen(BoxScreen):
    """Asks before a trash is emptied, which cannot be undone.

    Args:
        operation: The one whose trash it is.
    """

    DANGER: ClassVar = True
    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("y",), "go", "", "Empty it"),
            Key(("escape", "n", "q"), "cancel", "", "Cancel, or close"),
        )
    )

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self._operation = operation
        self._asks = False

    def on_mount(self) -> None:
        """Ask."""
        each = self._operation
        jobs = counted(each.undoable, "job is", "jobs are")
        by = f" by {clean(each.by)}" if each.by else ""
        text = f"{jobs} in it, taken from {each.place}{by}. They cannot be brought back after that."
        self.say("Empty this trash?", text, "esc cancels")
        self.when_seen(lambda: self._ask(text))

    def _ask(self, text: str) -> None:
        """Accept an answer from now on."""
        self._asks = True
        self.say("Empty this trash?", text, "y empties it   esc cancels")

    def action_go(self) -> None:
        """Empty it."""
        if self._asks and self.console.may_act():
            self._asks = False
            self.work(self._forget)

    def _forget(self) -> None:
        actions = self.console.actions
        assert actions is not None  # noqa: S101 - may_act has told so
        try:
            actions.forget(self._operation.operation_id)
        except WorkkitError as error:
            self.later(self.say, "It was not emptied", clean(str(error)), "esc closes")
            return
        self.later(self._gone)

    def _gone(self) -> None:
        jobs = counted(self._operation.undoable, "job is", "jobs are")
        self.notify(f"{jobs} gone for good.")
        self.dismiss(result=True)

    def action_cancel(self) -> None:
        """Leave everything as it is."""
        self.dismiss(result=False)
