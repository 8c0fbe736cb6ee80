"""Scheduled: jobs that wait for their time, next due first."""

from __future__ import annotations

from typing import ClassVar

from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Place
from workkit.core.text import clean
from workkit_tui.keys import JOB_KEYS, Key, changed
from workkit_tui.model.words import clock
from workkit_tui.screens.columns import args_cell, name_cell
from workkit_tui.screens.sets import RUN_NOW, SetScreen
from workkit_tui.widgets.table import Row, TableColumn

__all__ = ["ScheduledScreen"]


class ScheduledScreen(SetScreen):
    """The scheduled set."""

    TAB = "scheduled"
    TITLE_SHOWN = "Scheduled"
    PLACE: ClassVar = Place("scheduled")
    KEYS: ClassVar[tuple[Key, ...]] = changed(
        tuple(key for key in JOB_KEYS if key.action != "careful"), RUN_NOW
    )
    COLUMNS: ClassVar = (
        TableColumn("Due", 13, right=True),
        TableColumn("At", 12, right=True, needs=90),
        TableColumn("Name", 16, grows=1),
        TableColumn("Args", 20, grows=3),
        TableColumn("Job", 24, needs=110),
    )

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        job = record.job
        return Row(
            [
                self.due_cell(record),
                clock(record.at or 0, self.now_s),
                name_cell(job),
                args_cell(job, self.console.masks),
                clean(job.id),
            ]
        )
