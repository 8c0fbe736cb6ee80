"""Dead: jobs that are not tried again, newest first."""

from __future__ import annotations

from typing import ClassVar

from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Place
from workkit_tui.model.words import ago
from workkit_tui.screens.sets import FAILED_COLUMNS, FailedScreen
from workkit_tui.widgets.table import Cell, TableColumn

__all__ = ["DeadScreen"]


class DeadScreen(FailedScreen):
    """The dead set."""

    TAB = "dead"
    TITLE_SHOWN = "Dead"
    PLACE: ClassVar = Place("dead")
    FROM_END: ClassVar = True
    COLUMNS: ClassVar = (TableColumn("Died", 8, right=True), *FAILED_COLUMNS)

    def time_cell(self, record: WaitingJob) -> Cell:
        """Say how long ago a job died."""
        return ago(record.at or 0, self.now_s)

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        return "newest first" if self._reverse else "oldest first"
