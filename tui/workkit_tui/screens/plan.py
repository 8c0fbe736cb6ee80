"""A plan: made, shown, confirmed, applied, and undone right away if it was a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import ProgressBar, Static

from workkit.actions import Outcome, Plan, Progress, Throttle, Verb
from workkit.errors import WorkkitError
from workkit.query import Query
from workkit.records import Place
from workkit.steps.walk import WaitingJob
from workkit.text import clean
from workkit_tui.keys import Key, bindings
from workkit_tui.model.words import args_text, count, error_text
from workkit_tui.themes import color

__all__ = ["PlanScreen", "Wanted"]

Stage = Literal["planning", "asking", "applying", "done"]

_DOING = {"retry": "Retrying", "delete": "Deleting"}
_DONE = {"retry": "put to work", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done.

    Attributes:
        verb: "retry" or "delete".
        place: Where the jobs are.
        query: What picks them, if they are not named.
        records: The jobs, or None for all that the query picks.
        throttle: For retrying with care.
    """

    verb: Verb
    place: Place
    query: Query
    records: Sequence[WaitingJob] | None
    throttle: Throttle | None


class PlanScreen(ModalScreen[bool]):
    """Makes a plan, asks, and applies it; gives back whether anything was done."""

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape",), "cancel", "", "Cancel, stop, or close"),
            Key(("y", "enter"), "go", "", "Go ahead, or close"),
            Key(("n", "q"), "cancel", "", "Cancel"),
            Key(("u",), "undo", "", "Undo"),
        )
    )

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self._wanted = wanted
        self._stop = Event()
        #: Kept, for threads that end after the screen has been closed.
        self._app: Any = None
        self.stage: Stage = "planning"
        self.plan: Plan | None = None
        self.outcome: Outcome | None = None

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box danger" if self._wanted.verb == "delete" else "box"):
            yield Static("", id="plan-title", classes="title")
            yield Static("", id="plan-text")
            yield ProgressBar(id="plan-bar", show_eta=False)
            yield Static("", id="plan-keys", classes="keys")

    def on_mount(self) -> None:
        """Begin to plan."""
        self._app = self.app
        self._say(f"Looking at {self._wanted.place} …", Text(""), "esc gives up")
        self.run_worker(self._make_plan, thread=True, group="plan", exclusive=True)

    # Planning.

    def _make_plan(self) -> None:
        wanted, actions = self._wanted, self._app.actions
        try:
            if wanted.records is not None:
                plan = actions.plan_for(wanted.verb, wanted.place, wanted.records)
            else:
                plan = actions.plan(
                    wanted.verb, wanted.place, wanted.query, report=self._report, stop=self._stop
                )
        except WorkkitError as error:
            self._later(self._fail, str(error))
            return
        self._later(self._planned, plan)

    def _report(self, progress: Progress) -> None:
        self._later(self._progress, progress)

    def _later(self, function: object, *args: object) -> None:
        if self._app.is_running:
            self._app.call_from_thread(function, *args)

    def _progress(self, progress: Progress) -> None:
        if not self.is_attached:
            return
        bar = self.query_one(ProgressBar)
        bar.display = True
        bar.update(total=max(progress.total, progress.done, 1), progress=progress.done)
        if self.stage == "planning":
            text = f"{count(progress.done)} of {count(progress.total)} read"
            text += f", {count(progress.found)} match"
        else:
            text = f"{count(progress.done)} of {count(progress.total)}"
            if progress.note:
                text += f" · {progress.note}"
        self.query_one("#plan-text", Static).update(text)

    def _planned(self, plan: Plan | None) -> None:
        if plan is None or not self.is_attached:
            return
        self.plan = plan
        self.stage = "asking"
        self.query_one(ProgressBar).display = False
        if not plan.count:
            self.stage = "done"
            self._say("Nothing matches", Text("Nothing would be changed."), "esc closes")
            return
        jobs = "job" if plan.count == 1 else "jobs"
        verb = {"delete": "Delete", "retry": "Retry" if plan.place.kind == "dead" else "Run now"}
        careful = " with care" if self._wanted.throttle else ""
        title = f"{verb[plan.verb]} {count(plan.count)} {jobs} of {plan.place}{careful}?"
        self._say(title, self._describe(plan), "y goes ahead   esc cancels")

    def _describe(self, plan: Plan) -> Text:
        quiet = color(self.app, "secondary")
        warning = color(self.app, "warning")
        text = Text()
        if plan.query:
            text.append(f"picked by {clean(plan.query)}\n", quiet)
        if len(plan.queues) > 1:
            shown = [f"{clean(name)} {count(n)}" for name, n in list(plan.queues.items())[:6]]
            more = f" and {len(plan.queues) - 6} more" if len(plan.queues) > 6 else ""  # noqa: PLR2004
            text.append(f"{', '.join(shown)}{more}\n")
        text.append("\n")
        for record in plan.sample:
            job = record.job
            what = clean(job.undecodable or "") or error_text(job.last_err)
            what = what or args_text(self.app.masks.hide(job.args))  # type: ignore[attr-defined]
            line = Text(f"  {clean(job.name) or '(no job)'} ", no_wrap=True, overflow="ellipsis")
            line.append(what, quiet)
            line.truncate(70, overflow="ellipsis")
            text.append_text(line)
            text.append("\n")
        if plan.count > len(plan.sample):
            text.append(f"  and {count(plan.count - len(plan.sample))} more\n", quiet)
        for effect in plan.effects():
            text.append(f"\n▲ it {effect}", warning)
        if throttle := self._wanted.throttle:
            text.append(
                f"\nFirst 1, then 10, then {throttle.per_s:g} a second; stops if more than "
                f"{100 * throttle.max_failure_rate:.0f}% fail."
            )
        text.append(
            "\nIt can be undone for a day." if plan.verb == "delete"
            else "\nUntil they begin, for an hour, it can be undone.",
            quiet,
        )  # fmt: skip
        return text

    # Applying.

    def action_go(self) -> None:
        """Go ahead, or close what is done."""
        if self.stage == "done":
            self.dismiss(self.outcome is not None)
        elif self.stage == "asking" and self.app.may_act():  # type: ignore[attr-defined]
            self.stage = "applying"
            self._say(f"{_DOING[self._wanted.verb]} …", Text(""), "esc stops after this batch")
            self.run_worker(self._apply, thread=True, group="apply", exclusive=True)

    def _apply(self) -> None:
        console, plan = self._app, self.plan
        try:
            outcome = console.actions.apply(
                plan,
                by=console.settings.by,
                throttle=self._wanted.throttle,
                report=self._report,
                stop=self._stop,
            )
        except WorkkitError as error:
            self._later(self._fail, f"{error}; what was done until then can be undone")
            return
        self._later(self._applied, outcome)

    def _applied(self, outcome: Outcome) -> None:
        self.outcome, self.stage = outcome, "done"
        self.query_one(ProgressBar).display = False
        lines = []
        if outcome.gone:
            lines.append(f"{count(outcome.gone)} were not there any more")
        if outcome.refused:
            lines.append(f"{count(outcome.refused)} were left where they are: they are no jobs")
        if outcome.left:
            lines.append(f"{count(outcome.left)} were left alone: {outcome.stopped}")
        if outcome.operation_id:
            lines.append(f"undo with u, or on screen 9 ({outcome.operation_id})")
        jobs = "job" if outcome.done == 1 else "jobs"
        title = f"{count(outcome.done)} {jobs} {_DONE[self._wanted.verb]}"
        keys = "u undoes it   esc closes" if outcome.operation_id else "esc closes"
        self._say(title, Text("\n".join(lines)), keys)

    # Ending.

    def action_cancel(self) -> None:
        """Give up, stop, or close."""
        if self.stage == "applying":
            self._stop.set()
            return
        self._stop.set()
        self.dismiss(self.outcome is not None)

    def action_undo(self) -> None:
        """Undo what was just done."""
        if self.stage == "done" and self.outcome and self.outcome.operation_id:
            from workkit_tui.screens.undoing import UndoingScreen

            operation_id = self.outcome.operation_id
            self.app.push_screen(UndoingScreen(operation_id), lambda _: self.dismiss(result=True))

    def _fail(self, reason: str) -> None:
        if self.is_attached:
            self.stage = "done"
            self.query_one(ProgressBar).display = False
            self._say("It was not done", Text(clean(reason)), "esc closes")

    def _say(self, title: str, text: Text, keys: str) -> None:
        self.query_one("#plan-title", Static).update(Text(title))
        self.query_one("#plan-text", Static).update(text)
        self.query_one("#plan-keys", Static).update(keys)
        if self.stage in {"asking", "done"}:
            self.query_one(ProgressBar).display = False
