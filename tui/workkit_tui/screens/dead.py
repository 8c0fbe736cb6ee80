"""Dead: jobs that are not tried any more, the newest first."""

from __future__ import annotations

from typing import ClassVar

from workkit.records import Place
from workkit.steps.walk import WaitingJob
from workkit_tui.model.words import ago, count
from workkit_tui.screens.columns import args_cell, error_cell, name_cell
from workkit_tui.screens.jobs import JobsScreen
from workkit_tui.widgets.table import Column, Row

__all__ = ["DeadScreen"]


class DeadScreen(JobsScreen):
    """The dead set."""

    TAB = "dead"
    TITLE_SHOWN = "Dead"
    FROM_END: ClassVar = True
    COLUMNS: ClassVar = (
        Column("Died", 8, right=True),
        Column("Name", 14, grows=1),
        Column("Fails", 5, right=True),
        Column("Error", 24, grows=4),
        Column("Args", 16, grows=2, needs=110),
        Column("Job", 24, needs=150),
    )

    def __init__(self, query: str = "", about: str = "") -> None:
        super().__init__(Place("dead"), query, about)

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        job = record.job
        return Row(
            [
                ago(record.at or 0, self.now_s),
                name_cell(job),
                count(job.fails),
                error_cell(job),
                args_cell(job, self.console.masks),
                job.id,
            ]
        )

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        return "the last that died first" if self._reverse else "the longest dead first"
