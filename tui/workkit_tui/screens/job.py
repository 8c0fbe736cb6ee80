"""One job: everything about it, and why it is not running."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from rich.console import Group
from rich.json import JSON
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

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
from workkit_tui.model.words import ago, clock, count, until
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.traceback import traceback

__all__ = ["JobScreen", "Scroll"]

_TABS = {
    "queued": "queues", "running": "workers", "scheduled": "scheduled", "retry": "retry",
    "dead": "dead",
}  # fmt: skip
_LEVELS: Final[dict[str, str]] = {
    outcome: rule.level for outcome, rule in OUTCOMES.items() if rule.level
}


class Scroll(VerticalScroll, can_focus=True, inherit_bindings=False):
    """The body; the screen's keys move it."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A job that a worker says it runs."""

    job: Job
    place: str = "running"
    at: int | None = None


class JobScreen(ConsoleScreen):
    """A job.

    Args:
        placed: The job, where it is.
        place: The place that it can be acted on in, if it waits.
    """

    TITLE_SHOWN = "Job"
    AUTO_FOCUS = "Scroll"
    KEYS: ClassVar = (
        Key(("r",), "retry", "retry", "Put the job to work now", acts=True),
        Key(("d",), "delete", "delete", "Delete the job; undo brings it back", acts=True),
        Key(("f",), "find", "find", "Look where the job is now, everywhere"),
        Key(("p",), "pause", "pause", "Pause the job's queue, or let it go on", acts=True),
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
        self._worker: WorkerObservation | None = None
        self._place = place or _place_of(placed)
        self.TAB = _TABS.get(placed.place, "")  # type: ignore[misc]
        self._around: Circumstances | None = None
        self._attempts: list[HistoryRecord] | None = None
        self._now_s = 0.0

    @classmethod
    def of_worker(cls, worker: WorkerObservation) -> JobScreen:
        """Make a screen of what a worker says that it runs."""
        try:
            args = json.loads(worker.args_json or "null")
        except ValueError:
            args = None
        job = Job(worker.job_name, worker.job_id, 0, args if isinstance(args, dict) else None)
        screen = cls(_Running(job))
        screen._worker = worker
        return screen

    def body(self) -> ComposeResult:
        """Build the body."""
        with Scroll(id="job"):
            yield Static("", id="job-text")

    def on_mount(self) -> None:
        """Begin to read the job's history."""
        super().on_mount()
        self.run_worker(self._read_attempts, thread=True, group="attempts", exclusive=True)

    def _read_attempts(self) -> None:
        try:
            attempts = self.console.reader.job_history(self._placed.job.id)
        except ServerError:
            return  # the feed says what is wrong
        if self.console.is_running:
            self.console.call_from_thread(self._attempted, attempts)

    def _attempted(self, attempts: list[HistoryRecord]) -> None:
        self._attempts = attempts
        self._draw()

    # A view arrives.

    def gather(self, reader: Reader, seen: Overview) -> Circumstances:
        """Read what decides whether the job runs."""
        return reader.circumstances(self._placed, seen)

    def show(self, view: View) -> None:
        """Draw the job."""
        self._around, self._now_s = view.gathered, view.seen.taken_at
        self._draw()

    def _draw(self) -> None:
        if not self.is_attached:
            return
        job: Job = self._placed.job
        self.head((f"{clean(job.name) or '(no job)'}  ", "primary"), (clean(job.id), "secondary"))
        parts: list[Any] = [self._facts(), *self._reasons(), *self._section("Args", self._args())]
        if job.last_err:
            parts += self._section("Error", traceback(self.app, job.last_err))
        parts += self._section("Executions", self._history())
        self.query_one("#job-text", Static).update(Group(*parts))

    def _section(self, title: str, body: Any) -> list[Any]:
        return [Text(f"\n{title}", f"bold {self._color('primary')}"), Padding(body, (0, 0, 0, 2))]

    def _facts(self) -> Grid:
        job, quiet = self._placed.job, self._color("secondary")
        grid = Grid.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style=quiet)
        grid.add_column(ratio=1)
        for name, text in self._fact_rows(job):
            grid.add_row(name, text)
        return grid

    def _fact_rows(self, job: Job) -> list[tuple[str, str]]:
        rows = [("place", self._where())]
        if self._worker is not None:
            worker = self._worker
            said = f"{clean(worker.checkin)} ({ago(worker.checkin_at, self._now_s)} ago)"
            rows.append(("check-in", said if worker.checkin else "none"))
            rows.append(("worker", clean(worker.worker_id)))
        if job.enqueued_at:
            waited = age(self._now_s - job.enqueued_at)
            rows.append(("enqueued", f"{waited} ago, {stamp(job.enqueued_at)}"))
        if job.unique:
            by = clean(job.unique_key.strip()) or "its args"
            rows.append(("unique", f"until {job.unique_until}, by {by}"))
        if job.fails:
            last = f", the last time {ago(job.failed_at, self._now_s)} ago" if job.failed_at else ""
            rows.append(("fails", f"{count(job.fails)}{last}"))
        return rows

    def _where(self) -> str:
        placed = self._placed
        if self._worker is not None:
            return f"running for {age(self._now_s - self._worker.started_at)}"
        if placed.place == "running":
            return f"running, held by pool {clean(getattr(placed, 'pool_id', ''))}"
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
            return Text(f"{clean(job.undecodable)}\n{clean(repr(job.raw[:2_000]))}")
        if job.args is None:
            return Text("none", self._color("secondary"))
        hidden = self.console.masks.hide(job.args)
        return JSON(json.dumps(hidden, ensure_ascii=True, default=str), indent=2)

    def _history(self) -> Any:
        if self._attempts is None:
            return Text("reading …", self._color("secondary"))
        if not self._attempts:
            said = "history has none: it has not run yet, ran on a Go pool, or long ago"
            return Text(said, self._color("secondary"))
        grid = Grid(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for title in ("Ended", "Outcome", "Took", "Where", "Error"):
            right = title == "Took"
            grid.add_column(
                title, header_style=self._color("secondary"), justify="right" if right else "left",
                no_wrap=title != "Error",
            )  # fmt: skip
        for each in reversed(self._attempts):
            outcome = Text(each.outcome, self._color(_LEVELS.get(each.outcome, "foreground")))
            ran = took(each.finished_ms - each.started_ms) if each.started_ms else "-"
            grid.add_row(
                clock(each.finished_ms / 1_000, self._now_s), outcome, ran, clean(each.host),
                Text(clean(each.error or each.reason)),
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
        self.app.copy_to_clipboard(self._placed.job.id)
        self.notify(f"Copied {clean(self._placed.job.id)}")

    def action_retry(self) -> None:
        """Put the job to work."""
        if self._place is not None and self._place.kind == "queued":
            self.notify("It is in its queue already.", severity="warning")
        else:
            self._act("retry")

    def action_delete(self) -> None:
        """Delete the job."""
        self._act("delete")

    def _act(self, verb: Verb) -> None:
        if not self.console.may_act():
            return
        if self._place is None:
            self.notify("A job that runs cannot be acted on.", severity="warning")
            return
        from workkit_tui.screens.plan import PlanScreen, Wanted

        record: WaitingJob = _record(self._placed, self._place)
        wanted = Wanted(verb, self._place, Query(""), [record], None)
        self.app.push_screen(PlanScreen(wanted), self._acted)

    def _acted(self, done: object) -> None:
        if done:
            self.console.action_refresh_now()

    def action_find(self) -> None:
        """Look where the job is now."""
        self.notify("Looking everywhere …")
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
            self.notify("It is nowhere: it has ended, or was deleted.", severity="warning")
        else:
            self._placed, self._place, self._worker = found, _place_of(found), None
            self.run_worker(self._read_attempts, thread=True, group="attempts", exclusive=True)
            self.console.action_refresh_now()

    def action_pause(self) -> None:
        """Pause the job's queue, or let it go on."""
        around = self._around
        if around is not None:
            paused = around.queue is not None and around.queue.paused
            self.console.pause(self._placed.job.name, wanted=not paused)

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of what is shown."""
        placed = self._placed
        if isinstance(placed, _Running):
            placed = Found("running", placed.job)
        return f"job-{placed.job.id}", [placed]


def _place_of(placed: Any) -> Place | None:
    """Return where a job waits; None for one that runs."""
    if placed.place == "running":
        return None
    return Place("queued", placed.job.name) if placed.place == "queued" else Place(placed.place)


def _record(placed: Any, place: Place) -> WaitingJob:
    """Return the record of a waiting job, also of one that was found."""
    from workkit.admin.steps.walk import record

    return record(place, placed.job.raw, placed.at or 0) if isinstance(placed, Found) else placed
