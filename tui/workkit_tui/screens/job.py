"""One job: everything about it, and why it is not running."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from rich.console import Group
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from workkit.admin.actions import Verb
from workkit.admin.explain import Circumstances, why
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.steps.walk import WaitingJob
from workkit.core.job import Job
from workkit.core.outcomes import OUTCOMES
from workkit.core.records import Found, Overview, Place, Placed, WorkerObservation
from workkit.core.text import age, clean, stamp, took
from workkit.errors import ServerError
from workkit_tui.feed import View
from workkit_tui.keys import Key
from workkit_tui.model.running import RunningJob
from workkit_tui.model.words import ago, clock, count, json_text, until
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.editing import EditScreen
from workkit_tui.screens.plan import PlanScreen, Wanted
from workkit_tui.screens.traceback import traceback
from workkit_tui.widgets.words import TextGrid, Words, headless_grid

__all__ = ["JobScreen", "Scroll"]

_TABS = {
    "queued": "queues", "running": "workers", "scheduled": "scheduled", "retry": "retry",
    "dead": "dead",
}  # fmt: skip
_LEVELS: Final[dict[str, str]] = {
    outcome: rule.level for outcome, rule in OUTCOMES.items() if rule.level
}


class Scroll(VerticalScroll, can_focus=True, inherit_bindings=False):
    """The body; the screen's keys scroll it."""


#: The most reads of history to find how a job has ended.
_MOST_READS: Final = 5


@dataclass(frozen=True, slots=True)
class _Held:
    """A job that a worker runs."""

    job: Job
    place: str = "running"
    at: int | None = None


class JobScreen(ConsoleScreen):
    """A job.

    Args:
        placed: The job, where it is.
        place: Where actions find a waiting job; None for a running one.
    """

    TITLE_SHOWN = "Job"
    AUTO_FOCUS = "Scroll"
    KEYS: ClassVar = (
        Key(("r",), "retry", "retry", "Retry the job now; a waiting one runs now", acts=True),
        Key(("d",), "delete", "delete", "Delete the job; undo brings it back", acts=True),
        Key(("c",), "edit", "edit", "Change the args; a dead job runs again", acts=True),
        Key(("f",), "find", "find", "Find the job in all queues and sets"),
        Key(("p",), "pause", "pause", "Pause the job's queue, or resume it", acts=True),
        Key(("y",), "copy", "copy id", "Copy the job's id"),
        Key(("e",), "app.export", "export", "Write the job to a file"),
        Key(("j", "down"), "scroll(1)", "", "Down"),
        Key(("k", "up"), "scroll(-1)", "", "Up"),
        Key(("ctrl+d", "ctrl+f", "pagedown"), "scroll(15)", "", "A page down"),
        Key(("ctrl+u", "ctrl+b", "pageup"), "scroll(-15)", "", "A page up"),
        Key(("g", "home"), "top", "", "To the top"),
        Key(("G", "end"), "bottom", "", "To the bottom"),
    )

    def __init__(self, placed: Placed | Found, place: Place | None = None) -> None:
        super().__init__()
        self._placed: Any = placed
        self._run = _run_of(placed)
        self._reads = 0
        self._place = place or _place_of(placed)
        self.TAB = _TABS.get(placed.place, "")  # type: ignore[misc]
        self._around: Circumstances | None = None
        self._attempts: list[HistoryRecord] | None = None
        self._now_s = 0.0

    @classmethod
    def of_worker(cls, worker: WorkerObservation) -> JobScreen:
        """Make a screen of the job that a worker runs."""
        try:
            args = json.loads(worker.args_json or "null")
        except ValueError:
            args = None
        job = Job(worker.job_name, worker.job_id, 0, args if isinstance(args, dict) else None)
        screen = cls(_Held(job))
        screen._run = RunningJob(worker.job_id, worker=worker)
        return screen

    def body(self) -> ComposeResult:
        """Build the body."""
        with Scroll(id="job"):
            yield Words("", id="job-text")

    def on_mount(self) -> None:
        """Begin to read the job's history."""
        super().on_mount()
        self._read_history()

    def _read_history(self) -> None:
        self.run_worker(self._read_attempts, thread=True, group="attempts", exclusive=True)

    def _read_attempts(self) -> None:
        try:
            attempts = self.console.reader.job_history(self._placed.job.id)
        except ServerError:
            return  # the banner shows the trouble
        if self.console.is_running:
            self.console.call_from_thread(self._attempted, attempts)

    def _attempted(self, attempts: list[HistoryRecord]) -> None:
        self._attempts = attempts
        self._draw()

    # Views.

    def gather(
        self, reader: Reader, seen: Overview
    ) -> tuple[Any, Circumstances, list[WorkerObservation]]:
        """Read the circumstances of the job, and the job that its worker runs now."""
        placed, run = self._placed, self._run
        workers = run.worker_ids(seen) if run is not None else []
        observed = reader.worker_observations(workers) if workers else []
        return placed, reader.circumstances(placed, seen), observed

    def show(self, view: View) -> None:
        """Draw the job as it is now. If it has run since, its history is longer."""
        self._now_s = view.seen.taken_at
        placed, around, observed = view.gathered
        if placed is not self._placed:
            return  # since then, it was found elsewhere
        self._around = around
        if self._run is not None:
            self._run.take(observed)
        if self._has_news(view.recent):
            self._read_history()
        self._draw()

    def _has_news(self, recent: Sequence[HistoryRecord]) -> bool:
        """Tell whether history may hold an execution of the job that was not read yet."""
        if self._attempts is None:
            return False
        known_ms = max((each.finished_ms for each in self._attempts), default=0)
        job_id = self._placed.job.id
        if any(each.job_id == job_id and each.finished_ms > known_ms for each in recent):
            return True
        run = self._run
        if run is None or not run.has_ended or run.end(self._attempts) is not None:
            return False
        self._reads += 1
        return self._reads <= _MOST_READS

    def _draw(self) -> None:
        if not self.is_attached:
            return
        job: Job = self._placed.job
        self.head((f"{clean(job.name) or '(no job)'}  ", "primary"), (clean(job.id), "secondary"))
        parts: list[Any] = [self._facts(), *self._reasons(), *self._section("Args", self._args())]
        if job.last_err:
            parts += self._section("Error", traceback(self.app, self._text(job.last_err)))
        parts += self._section("Executions", self._history())
        self.query_one("#job-text", Words).update(Group(*parts))

    def _text(self, text: str) -> str:
        """Return a text of the job without secrets."""
        return self.console.masks.text(text, self._placed.job.args)

    def _section(self, title: str, body: Any) -> list[Any]:
        return [Text(f"\n{title}", f"bold {self._color('primary')}"), Padding(body, (0, 0, 0, 2))]

    def _facts(self) -> TextGrid:
        job, quiet = self._placed.job, self._color("secondary")
        grid = headless_grid()
        grid.add_column(no_wrap=True, style=quiet)
        grid.add_column(ratio=1)
        for name, text in self._fact_rows(job):
            grid.add_row(name, text)
        return grid

    def _fact_rows(self, job: Job) -> list[tuple[str, str]]:
        rows = [("place", self._where())]
        if self._run is not None and self._run.worker is not None:
            worker = self._run.worker
            said = (
                f"{clean(self._text(worker.checkin))} ({ago(worker.checkin_at, self._now_s)} ago)"
            )
            rows.append(("check-in", said if worker.checkin else "none"))
            rows.append(("worker", clean(worker.worker_id)))
        if job.enqueued_at:
            waited = age(self._now_s - job.enqueued_at)
            rows.append(("enqueued", f"{waited} ago, {stamp(job.enqueued_at)}"))
        if job.unique:
            by = clean(self._text(job.unique_key.strip())) or "its args"
            rows.append(("unique", f"until {job.unique_until}, by {by}"))
        if job.fails:
            last = f", the last time {ago(job.failed_at, self._now_s)} ago" if job.failed_at else ""
            rows.append(("fails", f"{count(job.fails)}{last}"))
        return rows

    def _where(self) -> str:
        placed = self._placed
        if self._run is not None:
            return clean(self._run.words(self._attempts or [], self._now_s))
        if placed.at is None:
            position = getattr(placed, "position", None)
            return "queued" if position is None else f"queued, number {count(position + 1)}"
        if placed.place == "dead":
            return f"dead, for {ago(placed.at, self._now_s)} ({stamp(placed.at)})"
        return f"{placed.place}, due {until(placed.at, self._now_s)} ({stamp(placed.at)})"

    def _reasons(self) -> list[Any]:
        if self._around is None:
            return []
        reasons = why(self._placed, self._around)
        color = self._color("warning")
        lines = Text()
        for reason in reasons:
            lines.append("▲ ", color)
            lines.append(f"{clean(reason)}\n")
        if not reasons:
            return []
        lines.rstrip()
        return self._section("Why it is not running", lines)

    def _args(self) -> Any:
        job: Job = self._placed.job
        if job.undecodable:
            return Text(f"{clean(job.undecodable)}\n{clean(self._text(repr(job.raw[:2_000])))}")
        if job.args is None:
            return Text("none", self._color("secondary"))
        hidden = self.console.masks.hide(job.args)
        return JSONHighlighter()(json_text(hidden))

    def _history(self) -> Any:
        if self._attempts is None:
            return Text("reading …", self._color("secondary"))
        if not self._attempts:
            running = self._run is not None and not self._run.has_ended
            said = (
                "no execution has ended yet, or history has lost it"
                if running
                else "a recording has only the failures of the minutes before"
                if self.console.past is not None
                else "history has no execution: it has not run, ran on a Go pool, or ran long ago"
            )
            return Text(said, self._color("secondary"))
        grid = TextGrid(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for title in ("Ended", "Outcome", "Took", "Where", "Error"):
            right = title == "Took"
            grid.add_column(
                title, header_style=self._color("secondary"), justify="right" if right else "left",
                no_wrap=title != "Error",
            )  # fmt: skip
        for each in reversed(self._attempts):
            outcome = Text(
                clean(each.outcome), self._color(_LEVELS.get(each.outcome, "foreground"))
            )
            ran = took(each.finished_ms - each.started_ms) if each.started_ms else "-"
            grid.add_row(
                clock(each.finished_ms / 1_000, self._now_s), outcome, ran, clean(each.host),
                Text(clean(self._text(each.error or each.reason))),
            )  # fmt: skip
        return grid

    # Keys.

    def action_scroll(self, by: int) -> None:
        """Scroll."""
        self.query_one(Scroll).scroll_relative(y=by, animate=False)

    def action_top(self) -> None:
        """Scroll to the top."""
        self.query_one(Scroll).scroll_home(animate=False)

    def action_bottom(self) -> None:
        """Scroll to the bottom."""
        self.query_one(Scroll).scroll_end(animate=False)

    def action_copy(self) -> None:
        """Copy the id."""
        self.app.copy_to_clipboard(clean(self._placed.job.id))
        self.notify(f"Copied {clean(self._placed.job.id)}")

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
            edit = EditScreen(self._place, _record(self._placed, self._place))
            self.app.push_screen(edit, self._acted)

    def _act(self, verb: Verb) -> None:
        if not self.console.may_act():
            return
        if self._place is None:
            ended = self._run is not None and self._run.has_ended
            said = "A job that runs cannot be retried or deleted."
            self.notify("It has ended; f finds it." if ended else said, severity="warning")
            return
        record: WaitingJob = _record(self._placed, self._place)
        wanted = Wanted(verb, self._place, Query(""), [record], None)
        self.app.push_screen(PlanScreen(wanted), self._acted)

    def _acted(self, done: object) -> None:
        if done:
            self.console.action_refresh_now()

    def action_find(self) -> None:
        """Find the job."""
        self.notify("Searching all queues and sets …")
        self.run_worker(self._find, thread=True, group="find", exclusive=True)

    def _find(self) -> None:
        found, trouble = None, ""
        try:
            found = self.console.reader.find(self._placed.job.id)
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
            self._placed, self._place, self._run = found, _place_of(found), _run_of(found)
            self._reads, self._around = 0, None
            self._read_history()
            self.console.action_refresh_now()

    def action_pause(self) -> None:
        """Pause the job's queue, or resume it."""
        around = self._around
        if around is not None:
            paused = around.queue is not None and around.queue.paused
            self.console.pause(self._placed.job.name, wanted=not paused)

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the record of the job."""
        placed = self._placed
        if isinstance(placed, _Held):
            placed = Found("running", placed.job)
        return f"job-{placed.job.id}", [placed]


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
