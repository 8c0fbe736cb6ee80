"""One job: everything about it, and why it is not running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from rich.console import Group
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.text import Text

from workkit.admin.actions import Verb
from workkit.admin.explain import Circumstances
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.steps.walk import WaitingJob
from workkit.core.outcomes import OUTCOMES
from workkit.core.records import Found, Overview, Place, Placed, WorkerObservation
from workkit.core.text import clean
from workkit.errors import ServerError
from workkit_tui.export import as_record
from workkit_tui.feed import View
from workkit_tui.keys import COMPARE, FOLLOW, PAGER, STACK, Key
from workkit_tui.model.copies import Copy, job_copies
from workkit_tui.model.job_page import HeldJob, JobPage
from workkit_tui.model.running import RunningJob
from workkit_tui.model.words import clock
from workkit_tui.screens.comparing import compare
from workkit_tui.screens.copying import CopyScreen
from workkit_tui.screens.editing import EditScreen
from workkit_tui.screens.plan import PlanScreen, Wanted
from workkit_tui.screens.scrolling import SCROLLING, ScrollScreen
from workkit_tui.screens.stack import open_stack
from workkit_tui.screens.traceback import traceback
from workkit_tui.widgets.words import TextGrid, headless_grid

__all__ = ["JobScreen"]

_TABS = {
    "queued": "queues", "running": "workers", "scheduled": "scheduled", "retry": "retry",
    "dead": "dead",
}  # fmt: skip
_LEVELS: Final[dict[str, str]] = {
    outcome: rule.level for outcome, rule in OUTCOMES.items() if rule.level
}


#: The most reads of history to find how a job has ended.
_MOST_READS: Final = 5


class JobScreen(ScrollScreen):
    """A job.

    Args:
        placed: The job, where it is.
        place: Where actions find a waiting job; None for a running one.
    """

    TITLE_SHOWN = "Job"
    KEYS: ClassVar = (
        Key(("r",), "retry", "retry", "Retry the job now; a waiting one runs now", acts=True),
        Key(("d",), "delete", "delete", "Delete the job; undo brings it back", acts=True),
        Key(("c",), "edit", "edit", "Change the args; a dead job runs again", acts=True),
        FOLLOW,
        Key(("p",), "pause", "pause", "Pause the job's queue, or resume it", acts=True),
        Key(("y",), "copy", "copy", "Copy the id, the args, the error, the whole job, or the "
            "command that shows it"),
        Key(("e",), "app.export", "export", "Write the job to a file"),
        COMPARE,
        PAGER,
        STACK,
        *SCROLLING,
    )  # fmt: skip

    def __init__(self, placed: Placed | Found, place: Place | None = None) -> None:
        super().__init__()
        self._page = JobPage(placed, run=_run_of(placed))
        self._reads = 0
        self._place = place or _place_of(placed)
        self.TAB = _TABS.get(placed.place, "")  # type: ignore[misc]

    @classmethod
    def of_worker(cls, worker: WorkerObservation) -> JobScreen:
        """Make a screen of the job that a worker runs."""
        page = JobPage.of_worker(worker)
        screen = cls(page.placed)
        screen._page = page
        return screen

    def on_mount(self) -> None:
        """Begin to read the job's history."""
        super().on_mount()
        self._page.masks = self.console.masks
        self._read_history()

    def _read_history(self) -> None:
        self.run_worker(self._read_attempts, thread=True, group="attempts", exclusive=True)

    def _read_attempts(self) -> None:
        try:
            attempts = self.console.reader.job_history(self._page.placed.job.id)
        except ServerError:
            return  # the banner shows the trouble
        if self.console.is_running:
            self.console.call_from_thread(self._attempted, attempts)

    def _attempted(self, attempts: list[HistoryRecord]) -> None:
        self._page.attempts = attempts
        self._draw()

    # Views.

    def gather(
        self, reader: Reader, seen: Overview
    ) -> tuple[Any, Circumstances, list[WorkerObservation]]:
        """Read the circumstances of the job, and the job that its worker runs now."""
        placed, run = self._page.placed, self._page.run
        workers = run.worker_ids(seen) if run is not None else []
        observed = reader.worker_observations(workers) if workers else []
        return placed, reader.circumstances(placed, seen), observed

    def show(self, view: View) -> None:
        """Draw the job as it is now. If it has run since, its history is longer."""
        self._page.now_s = view.seen.taken_at
        self._page.in_past = self.console.past is not None
        self._go_along()
        placed, around, observed = view.gathered
        if placed is not self._page.placed:
            return  # since then, it was found elsewhere
        self._page.around = around
        if self._page.run is not None:
            self._page.run.take(observed)
        if self._has_news(view.recent):
            self._read_history()
        self._draw()

    def _go_along(self) -> None:
        """Show the place where a job that is followed was found."""
        following, page = self.console.following(self._page.job.id), self._page
        if following is None:
            return
        page.ended = following.told[-1].text if following.is_nowhere else ""
        if following.placed is not page.placed:
            self._adopt(following.placed, following.worker)

    def _adopt(self, found: Any, worker: WorkerObservation | None = None) -> None:
        """Show the job at another place."""
        page = self._page
        page.placed, page.run, page.around = found, _run_of(found), None
        if page.run is not None:
            page.run.worker = worker
        self._place, self._reads = _place_of(found), 0
        self._read_history()
        self.console.action_refresh_now()

    def _has_news(self, recent: Sequence[HistoryRecord]) -> bool:
        """Tell whether history may hold an execution of the job that was not read yet."""
        if self._page.attempts is None:
            return False
        known_ms = max((each.finished_ms for each in self._page.attempts), default=0)
        job_id = self._page.placed.job.id
        if any(each.job_id == job_id and each.finished_ms > known_ms for each in recent):
            return True
        run = self._page.run
        if run is None or not run.has_ended or run.end(self._page.attempts) is not None:
            return False
        self._reads += 1
        return self._reads <= _MOST_READS

    def _draw(self) -> None:
        if not self.is_attached:
            return
        page = self._page
        self.head((f"{page.name}  ", "primary"), (clean(page.job.id), "secondary"))
        parts: list[Any] = [
            self._facts(), *self._followed(), *self._reasons(),
            *self._section("Args", self._args()),
        ]  # fmt: skip
        if error := page.error():
            parts += self._section("Error", traceback(self.app, error))
        parts += self._section("Executions", self._history())
        self.text.update(Group(*parts))

    def _section(self, title: str, body: Any) -> list[Any]:
        return [Text(f"\n{title}", f"bold {self._color('primary')}"), Padding(body, (0, 0, 0, 2))]

    def _facts(self) -> TextGrid:
        grid = headless_grid()
        grid.add_column(no_wrap=True, style=self._color("secondary"))
        grid.add_column(ratio=1)
        for name, text in self._page.facts():
            grid.add_row(name, text)
        return grid

    def _followed(self) -> list[Any]:
        """Draw what has happened to the job while it was followed."""
        following, lines = self.console.following(self._page.job.id), Text()
        if following is None:
            return []
        for each in following.told:
            lines.append(f"{clock(each.at_s, self._page.now_s)} ", self._color("secondary"))
            text = clean(self._page.hidden(each.text))
            lines.append(f"{text}\n", self._color(each.level or "foreground"))
        if not following.has_ended:
            lines.append("…", self._color("secondary"))
        title = "Followed until it ended" if following.has_ended else "Followed; f stops"
        lines.rstrip()
        return self._section(title, lines)

    def _reasons(self) -> list[Any]:
        reasons, lines = self._page.reasons(), Text()
        for reason in reasons:
            lines.append("▲ ", self._color("warning"))
            lines.append(f"{reason}\n")
        lines.rstrip()
        return self._section("Why it is not running", lines) if reasons else []

    def _args(self) -> Any:
        args = self._page.args()
        if args is None:
            return Text("none", self._color("secondary"))
        return Text(args) if self._page.job.undecodable else JSONHighlighter()(args)

    def _history(self) -> Any:
        rows = self._page.executions()
        if not rows:
            return Text(self._page.why_no_execution(), self._color("secondary"))
        grid = TextGrid(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for title in ("Ended", "Outcome", "Took", "Where", "Error"):
            right = title == "Took"
            grid.add_column(
                title, header_style=self._color("secondary"), justify="right" if right else "left",
                no_wrap=title != "Error",
            )  # fmt: skip
        for each in rows:
            outcome = Text(each.outcome, self._color(_LEVELS.get(each.outcome, "foreground")))
            grid.add_row(each.ended, outcome, each.ran, each.host, Text(each.error))
        return grid

    # Keys.

    def saved(self) -> None:
        """Return None: the job will have gone when the view is shown."""

    def long_text(self) -> Copy:
        """Return the page."""
        return Copy(self._page.title, self._page.text())

    def copies(self) -> list[Copy]:
        """Return what can be copied of the job."""
        console = self.console
        label = console.reader.label if console.reader.live else None
        job = self._page.job
        return job_copies(
            job, console.masks, lambda: as_record(self._record(), console.masks), label
        )

    def action_copy(self) -> None:
        """Ask what to copy."""
        copies = self.copies()
        self.app.push_screen(CopyScreen(self._page.title, copies))

    def action_compare(self) -> None:
        """Mark the job, or compare it with the marked one."""
        compare(self, replace(self._page))

    def _record(self) -> Any:
        """Return the record of the job, also of one that a worker runs."""
        placed = self._page.placed
        return Found("running", placed.job) if isinstance(placed, HeldJob) else placed

    def action_retry(self) -> None:
        """Retry the job."""
        if self._place is not None and self._place.kind == "queued":
            self.notify("It is in its queue already.", severity="warning")
        else:
            self._act("retry")

    def action_delete(self) -> None:
        """Delete the job."""
        self._act("delete")

    def action_edit(self) -> None:
        """Change the args."""
        if self._place is not None and self.console.may_act():
            edit = EditScreen(self._place, _record(self._page.placed, self._place))
            self.app.push_screen(edit, self._acted)

    def _act(self, verb: Verb) -> None:
        if not self.console.may_act():
            return
        if self._place is None:
            ended = self._page.run is not None and self._page.run.has_ended
            said = "A job that runs cannot be retried or deleted."
            self.notify("It has ended; f finds it." if ended else said, severity="warning")
            return
        record: WaitingJob = _record(self._page.placed, self._place)
        wanted = Wanted(verb, self._place, Query(""), [record], None)
        self.app.push_screen(PlanScreen(wanted), self._acted)

    def _acted(self, done: object) -> None:
        if done:
            self.console.action_refresh_now()

    def action_follow(self) -> None:
        """Follow the job until it ends, or no longer; in a file, only find it."""
        console, job_id = self.console, self._page.job.id
        following = console.following(job_id)
        if following is not None and not following.has_ended:
            console.unfollow(job_id)
            self._draw()
        elif console.follow(self._page.placed):
            console.action_refresh_now()
        elif not console.reader.live:
            self._search()

    def _search(self) -> None:
        self.run_worker(self._find, thread=True, group="find", exclusive=True)

    def _find(self) -> None:
        found, trouble = None, ""
        try:
            found = self.console.reader.find(self._page.placed.job.id)
        except ServerError as error:
            trouble = str(error)
        if self.console.is_running:
            self.console.call_from_thread(self._found, found, trouble)

    def _found(self, found: Found | None, trouble: str) -> None:
        if trouble:
            self.notify(clean(trouble), severity="error")
        elif found is None:
            self.notify("It was not found: it has ended or was deleted.", severity="warning")
        else:
            self._adopt(found)

    def action_stack(self) -> None:
        """Ask the pool where the handler is."""
        page = self._page
        if page.run is None or page.run.has_ended:
            self.notify("The job does not run, so it has no stack.", severity="warning")
            return
        open_stack(self, page.job.id, page.name)

    def action_pause(self) -> None:
        """Pause the job's queue, or resume it."""
        around = self._page.around
        if around is not None:
            paused = around.queue is not None and around.queue.paused
            self.console.pause(self._page.placed.job.name, wanted=not paused)

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the record of the job."""
        return f"job-{self._page.job.id}", [self._record()]


def _run_of(placed: Any) -> RunningJob | None:
    """Return the state of a running job; None for one that waits."""
    if placed.place != "running":
        return None
    return RunningJob(placed.job.id, getattr(placed, "pool_id", ""))


def _place_of(placed: Any) -> Place | None:
    """Return where a job waits; None for one that runs."""
    if placed.place == "running":
        return None
    return Place("queued", placed.job.name) if placed.place == "queued" else Place(placed.place)


def _record(placed: Any, place: Place) -> WaitingJob:
    """Return the record of a waiting job, also of one that was found."""
    from workkit.admin.steps.walk import record

    return record(place, placed.job.raw, placed.at or 0) if isinstance(placed, Found) else placed
