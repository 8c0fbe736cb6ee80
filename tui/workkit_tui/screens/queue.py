"""One queue: its waiting jobs, next first."""

from __future__ import annotations

from typing import ClassVar

from workkit.admin.attention import held_up
from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Place, QueuedJob
from workkit.core.text import clean
from workkit_tui.feed import View
from workkit_tui.keys import JOB_KEYS, Key
from workkit_tui.model.words import ago, count
from workkit_tui.screens.columns import args_cell
from workkit_tui.screens.enqueuing import ask_for_job
from workkit_tui.screens.jobs import JobsScreen
from workkit_tui.widgets.table import Row, TableColumn

__all__ = ["QueueScreen"]


class QueueScreen(JobsScreen):
    """A queue."""

    TAB = "queues"
    TITLE_SHOWN = "Queue"
    NAME = "queue"
    KEYS: ClassVar[tuple[Key, ...]] = (
        *(key for key in JOB_KEYS if key.action not in {"retry", "careful"}),
        Key(("p",), "pause", "pause", "Pause the queue, or resume it", acts=True),
        Key(("n",), "enqueue", "new job", "Enqueue a new job", acts=True),
    )
    COLUMNS: ClassVar = (
        TableColumn("#", 7, right=True),
        TableColumn("Waited", 8, right=True),
        TableColumn("Fails", 5, right=True),
        TableColumn("Job", 24),
        TableColumn("Args", 16, grows=1),
    )

    def __init__(self, name: str, query: str = "") -> None:
        super().__init__(Place("queued", name), query)
        self._state = ""
        self._paused = False

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        job = record.job
        at = record.position + 1 if isinstance(record, QueuedJob) else 0
        waited = ago(job.enqueued_at, self.now_s)
        cells = [
            count(at), waited, count(job.fails), clean(job.id) or "(no job)",
            args_cell(job, self.console.masks),
        ]  # fmt: skip
        return Row(cells)

    def show(self, view: View) -> None:
        """Draw the jobs and the state of the queue."""
        queue = next((q for q in view.seen.queues if q.job_name == self.place.queue), None)
        self._paused = queue is not None and queue.paused
        state = held_up(queue, view.takers)[0] if queue is not None else ""
        self._state = f", {state}" if state else ""
        super().show(view)

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        order = "newest first" if self._reverse else "next first"
        return f"queue {clean(self.place.queue)}{self._state} · {order}"

    def action_enqueue(self) -> None:
        """Ask for a new job."""
        ask_for_job(self, self.place.queue)

    def action_pause(self) -> None:
        """Pause the queue, or resume it."""
        self.console.pause(self.place.queue, wanted=not self._paused)
