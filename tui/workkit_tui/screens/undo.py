"""Undo: recent deletions and retries of all users, which can be brought back."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult

from workkit.admin.actions import Operation
from workkit.admin.reader import Reader
from workkit.core.records import Overview
from workkit.core.text import age, clean, counted
from workkit.recording import Moment
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key, copying
from workkit_tui.model.copies import Copy
from workkit_tui.model.words import ago, count
from workkit_tui.screens.base import ListScreen
from workkit_tui.screens.undoing import ForgettingScreen, UndoingScreen
from workkit_tui.widgets.table import Row, Table, TableColumn

__all__ = ["UndoScreen"]

_COLUMNS: Final = (
    TableColumn("Done", 8, right=True),
    TableColumn("What", 9),
    TableColumn("Jobs", 9, right=True),
    TableColumn("From", 12, grows=1),
    TableColumn("Picked by", 16, grows=2),
    TableColumn("By", 14, grows=1, needs=96),
    TableColumn("Kept for", 8, right=True),
    TableColumn("Id", 12, needs=84),
)
_DID: Final = {"delete": "deleted", "retry": "retried", "edit": "edited"}


class UndoScreen(ListScreen):
    """The trash."""

    TAB = "undo"
    TITLE_SHOWN = "Undo"
    KEYS: ClassVar = (
        Key(("enter", "u"), "undo", "undo", "Bring back the deleted jobs, or the retried ones that "
            "have not started", acts=True),
        Key(("X",), "forget", "FORGET", "Empty this trash now, to free memory; the jobs cannot "
            "be brought back after that", acts=True),
        copying("the id of the operation"),
        *MOVING,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[Operation] = []
        self._now_s = 0.0

    def body(self) -> ComposeResult:
        """Build the table."""
        yield Table(_COLUMNS, self._row, name="undo")

    def gather(self, reader: Reader, seen: Overview) -> list[Operation]:
        """Read the operations that can be undone."""
        del seen
        actions = self.console.actions
        if isinstance(reader, Moment):
            return reader.operations()
        return actions.operations() if actions is not None else []

    def show(self, view: View) -> None:
        """Draw the operations, the newest first."""
        self._now_s = view.seen.taken_at
        self._operations = view.gathered or []
        self.table.total = len(self._operations)
        self.table.empty = "nothing was deleted or retried recently"
        self.table.refresh_rows()
        jobs = sum(each.undoable for each in self._operations)
        self.head((f"{counted(jobs, 'job')} can be brought back", "secondary"))

    def _row(self, at: int) -> Row | None:
        if at >= len(self._operations):
            return None
        each = self._operations[at]
        return Row(
            [
                ago(each.at, self._now_s),
                _DID.get(each.verb, each.verb),
                count(each.undoable),
                str(each.place).removeprefix("the "),
                clean(self.console.masks.text(each.query)) or "marks",
                clean(each.by) or "-",
                age(each.expires_at - self._now_s),
                each.operation_id,
            ]
        )

    @property
    def current(self) -> Operation | None:
        """The operation under the cursor."""
        at = self.table.cursor
        return self._operations[at] if at < len(self._operations) else None

    def copies(self) -> list[Copy]:
        """Return the id of the operation under the cursor."""
        return [Copy("the operation's id", self.current.operation_id)] if self.current else []

    def action_open(self) -> None:
        """Undo the operation that was clicked twice."""
        self.action_undo()

    def action_undo(self) -> None:
        """Bring back the jobs of an operation."""
        if self.current is not None and self.console.may_act():
            self.app.push_screen(UndoingScreen(self.current.operation_id), self._acted)

    def action_forget(self) -> None:
        """Empty the trash of an operation."""
        if self.current is not None and self.console.may_act():
            self.app.push_screen(ForgettingScreen(self.current), self._acted)

    def _acted(self, done: object) -> None:
        if done:
            self.console.action_refresh_now()
