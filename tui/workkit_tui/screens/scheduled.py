"""Scheduled: jobs that wait for their time, the next one first."""

from __future__ import annotations

from typing import ClassVar

from workkit.records import Place
from workkit.steps.walk import WaitingJob
from workkit_tui.keys import Key, changed
from workkit_tui.model.words import clock, until
from workkit_tui.screens.columns import args_cell, name_cell
from workkit_tui.screens.jobs import JOB_KEYS, JobsScreen
from workkit_tui.widgets.table import Column, Row

__all__ = ["ScheduledScreen"]


class ScheduledScreen(JobsScreen):
    """The scheduled set."""

    TAB = "scheduled"
    TITLE_SHOWN = "Scheduled"
    KEYS: ClassVar[tuple[Key, ...]] = changed(
        tuple(key for key in JOB_KEYS if key.action != "careful"),
        Key(("r",), "retry", "run now", "Run the marked jobs now, or the one under the cursor",
            acts=True),
    )  # fmt: skip
    COLUMNS: ClassVar = (
        Column("Due", 11, right=True),
        Column("At", 12, right=True, needs=90),
        Column("Name", 16, grows=1),
        Column("Args", 20, grows=3),
        Column("Job", 24, needs=110),
    )

    def __init__(self, query: str = "", about: str = "") -> None:
        super().__init__(Place("scheduled"), query, about)

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        job, at = record.job, record.at or 0
        return Row(
            [
                (until(record.at, self.now_s), "warn" if at < self.now_s - 5 else ""),
                clock(at, self.now_s),
                name_cell(job),
                args_cell(job, self.console.masks),
                job.id,
            ]
        )

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        return "the latest due first" if self._reverse else "the next one first"
