"""Bases of the screens of the three sets, and of the two with failed jobs."""

from __future__ import annotations

from typing import ClassVar, Final

from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Overview, Place
from workkit.core.text import clean
from workkit_tui.keys import Key
from workkit_tui.model.words import count, short, until
from workkit_tui.screens.columns import args_cell, error_cell, name_cell
from workkit_tui.screens.jobs import JobsScreen
from workkit_tui.widgets.table import Cell, Row, TableColumn

__all__ = ["FAILED_COLUMNS", "RUN_NOW", "FailedScreen", "SetScreen"]

#: A due job counts as late after this long, seconds.
_LATE_S: Final = 5
RUN_NOW: Final = Key(
    ("r",), "retry", "run now", "Run the marked jobs now, or the one under the cursor", acts=True
)
#: Columns of failed jobs, in addition to the column of their time.
FAILED_COLUMNS: Final = (
    TableColumn("Name", 14, grows=1),
    TableColumn("Fails", 5, right=True),
    TableColumn("Error", 22, grows=4),
    TableColumn("Args", 16, grows=2, needs=110),
    TableColumn("Job", 24, needs=150),
)


class SetScreen(JobsScreen):
    """A set of jobs, by their times.

    Class attributes:
        PLACE: Which set.
    """

    PLACE: ClassVar[Place]

    def __init__(self, query: str = "", about: str = "") -> None:
        super().__init__(self.PLACE, query, about)

    @classmethod
    def badge(cls, seen: Overview) -> str:
        """Return how many there are."""
        return short(number) if (number := seen.size(cls.PLACE)) else ""

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        return "latest due first" if self._reverse else "next due first"

    def due_cell(self, record: WaitingJob) -> Cell:
        """Say when a job is due; late ones stand out."""
        late = (record.at or 0) < self.now_s - _LATE_S
        return until(record.at, self.now_s), "warn" if late else ""


class FailedScreen(SetScreen):
    """A set of jobs that have failed."""

    def time_cell(self, record: WaitingJob) -> Cell:
        """Say when a job died, or is due."""
        raise NotImplementedError

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        job = record.job
        return Row(
            [
                self.time_cell(record),
                name_cell(job),
                count(job.fails),
                error_cell(job, self.console.masks),
                args_cell(job, self.console.masks),
                clean(job.id),
            ]
        )
