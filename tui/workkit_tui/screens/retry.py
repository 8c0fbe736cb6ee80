"""Retry: failed jobs that will be tried again, next due first."""

from __future__ import annotations

from typing import ClassVar

from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Place
from workkit_tui.keys import JOB_KEYS, Key, changed
from workkit_tui.screens.sets import FAILED_COLUMNS, RUN_NOW, FailedScreen
from workkit_tui.widgets.table import Cell, TableColumn

__all__ = ["RetryScreen"]


class RetryScreen(FailedScreen):
    """The retry set."""

    TAB = "retry"
    TITLE_SHOWN = "Retry"
    PLACE: ClassVar = Place("retry")
    KEYS: ClassVar[tuple[Key, ...]] = changed(JOB_KEYS, RUN_NOW)
    COLUMNS: ClassVar = (TableColumn("Due", 13, right=True), *FAILED_COLUMNS)

    def time_cell(self, record: WaitingJob) -> Cell:
        """Say when a job is due."""
        return self.due_cell(record)
