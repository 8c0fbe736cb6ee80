"""Retry: failed jobs that will be tried again, the next one first."""

from __future__ import annotations

from typing import ClassVar

from workkit.records import Place
from workkit.steps.walk import WaitingJob
from workkit_tui.keys import Key, changed
from workkit_tui.model.words import count, until
from workkit_tui.screens.columns import args_cell, error_cell, name_cell
from workkit_tui.screens.jobs import JOB_KEYS, JobsScreen
from workkit_tui.widgets.table import Column, Row

__all__ = ["RetryScreen"]


class RetryScreen(JobsScreen):
    """The retry set."""

    TAB = "retry"
    TITLE_SHOWN = "Retry"
    KEYS: ClassVar[tuple[Key, ...]] = changed(
        JOB_KEYS,
        Key(("r",), "retry", "run now", "Run the marked jobs now, or the one under the cursor",
            acts=True),
    )  # fmt: skip
    COLUMNS: ClassVar = (
        Column("Due", 11, right=True),
        Column("Name", 14, grows=1),
        Column("Fails", 5, right=True),
        Column("Error", 22, grows=4),
        Column("Args", 16, grows=2, needs=110),
        Column("Job", 24, needs=150),
    )

    def __init__(self, query: str = "", about: str = "") -> None:
        super().__init__(Place("retry"), query, about)

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        job, late = record.job, (record.at or 0) < self.now_s - 5
        return Row(
            [
                (until(record.at, self.now_s), "warn" if late else ""),
                name_cell(job),
                count(job.fails),
                error_cell(job),
                args_cell(job, self.console.masks),
                job.id,
            ]
        )

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        return "the latest due first" if self._reverse else "the next one first"
