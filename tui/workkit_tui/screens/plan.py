"""A plan: made, shown, confirmed, applied, and undone if it was a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from rich.text import Text

from workkit.admin.actions import Actions, BulkOutcome, BulkProgress, Plan, Throttle, Verb
from workkit.admin.query import Query
from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Place
from workkit.core.text import clean, counted
from workkit.errors import WorkkitError
from workkit_tui.keys import Key, bindings
from workkit_tui.model.words import args_text, count, error_text
from workkit_tui.screens.box import BoxScreen
from workkit_tui.screens.undoing import UndoingScreen
from workkit_tui.themes import color

__all__ = ["PlanScreen", "Wanted"]

PlanStage = Literal["planning", "showing", "asking", "applying", "done"]

_NAMED: Final = 6
#: Rates of a careful retry, jobs a second; a key goes to the next one.
_RATES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
#: Longest args in a line, characters.
_ARGS_CHARS: Final = 1_000
_DOING = {"retry": "Retrying", "delete": "Deleting"}
_DONE = {"retry": "retried", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An act that the user asks for.

    Attributes:
        verb: "retry" or "delete".
        place: Where the jobs are.
        query: Picks the jobs, if `records` is None.
        records: The jobs; None for all that match the query.
        throttle: For retrying with care.
    """

    verb: Verb
    place: Place
    query: Query
    records: Sequence[WaitingJob] | None
    throttle: Throttle | None


class PlanScreen(BoxScreen):
    """Makes a plan, asks, and applies it.

    Args:
        wanted: The act.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape",), "cancel", "", "Cancel, stop, or close"),
            Key(("y", "enter"), "go", "", "Go ahead, or close"),
            Key(("n", "q"), "cancel", "", "Cancel"),
            Key(("plus",), "faster(1)", "", "Retry more a second"),
            Key(("minus",), "faster(-1)", "", "Retry fewer a second"),
            Key(("u",), "undo", "", "Undo"),
        )
    )

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self._wanted = wanted
        self.stage: PlanStage = "planning"
        self.plan: Plan | None = None
        self.outcome: BulkOutcome | None = None

    @property
    def is_dangerous(self) -> bool:
        """Whether jobs are removed."""
        return self._wanted.verb == "delete"

    def on_mount(self) -> None:
        """Begin to plan."""
        self.say(f"Reading {self._wanted.place} …", "", "esc cancels", busy=True)
        self.work(self._make_plan)

    @property
    def _actions(self) -> Actions:
        actions = self.console.actions
        assert actions is not None  # noqa: S101 - the box opens only where something may be changed
        return actions

    # Planning.

    def _make_plan(self) -> None:
        wanted, actions = self._wanted, self._actions
        plan: Plan | None
        try:
            if wanted.records is not None:
                plan = actions.plan_for(wanted.verb, wanted.place, wanted.records)
            else:
                plan = actions.plan(
                    wanted.verb, wanted.place, wanted.query, report=self.report, stop=self.stop
                )
        except WorkkitError as error:
            self.later(self._fail, str(error))
            return
        self.later(self._planned, plan)

    def progress_words(self, progress: BulkProgress) -> str:
        """Return the progress in words."""
        if self.stage == "planning":
            read = f"{count(progress.done)} of {count(progress.total)} read"
            return f"{read}, {counted(progress.found, 'matches', 'match')}"
        note = f" · {progress.note}" if progress.note else ""
        return f"{count(progress.done)} of {count(progress.total)}{note}"

    def _planned(self, plan: Plan | None) -> None:
        if plan is None:
            return
        self.plan = plan
        if plan.count:
            self.stage = "showing"
            self._ask(plan)
            self.when_seen(self._may_answer)
        else:
            self.stage = "done"
            self.say("Nothing matches", "Nothing would be changed.", "esc closes")

    def _may_answer(self) -> None:
        """Accept an answer from now on: the plan was visible long enough."""
        if self.stage == "showing" and self.plan is not None:
            self.stage = "asking"
            self._ask(self.plan)

    def _ask(self, plan: Plan) -> None:
        verb = {"delete": "Delete", "retry": "Retry" if plan.place.kind == "dead" else "Run now"}
        careful = " with care" if self._wanted.throttle else ""
        title = f"{verb[plan.verb]} {counted(plan.count, 'job')} of {plan.place}{careful}?"
        rate = "   + - faster, slower" if self._wanted.throttle else ""
        yes = "y goes ahead   " if self.stage == "asking" else ""
        self.say(title, self._describe(plan), f"{yes}esc cancels{rate}")

    def _describe(self, plan: Plan) -> Text:
        quiet = color(self.app, "secondary")
        warning = color(self.app, "warning")
        text = Text()
        if plan.query:
            text.append(f"query: {clean(self.console.masks.text(plan.query))}\n", quiet)
        if len(plan.queues) > 1:
            shown = [f"{clean(name)} {count(n)}" for name, n in list(plan.queues.items())[:_NAMED]]
            rest = len(plan.queues) - _NAMED
            text.append(f"{', '.join(shown)}{f' and {rest} more' if rest > 0 else ''}\n")
        text.append("\n")
        for record in plan.sample:
            text.append_text(self._line(record))
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
            else "\nIt can be undone for an hour, except for jobs that have started.",
            quiet,
        )  # fmt: skip
        return text

    def _line(self, record: WaitingJob) -> Text:
        """Draw one of the jobs."""
        job = record.job
        masks = self.console.masks
        what = clean(job.undecodable or "") or error_text(job.last_err, masks, job.args)
        what = what or args_text(masks.brief(job.args, _ARGS_CHARS))
        line = Text.assemble(
            f"  {clean(job.name) or '(no job)'} ", (what, color(self.app, "secondary"))
        )
        line.truncate(self.broad, overflow="ellipsis")
        return line.append("\n")

    def action_faster(self, by: int) -> None:
        """Take the next faster, or slower, rate."""
        throttle, plan = self._wanted.throttle, self.plan
        if self.stage not in {"showing", "asking"} or throttle is None or plan is None:
            return
        at = min(range(len(_RATES)), key=lambda at: abs(_RATES[at] - throttle.per_s)) + by
        rate = _RATES[min(max(at, 0), len(_RATES) - 1)]
        self._wanted = replace(self._wanted, throttle=replace(throttle, per_s=float(rate)))
        self._ask(plan)

    # Applying.

    def action_go(self) -> None:
        """Apply the plan, or close the result."""
        if self.stage == "done":
            self.dismiss(self.outcome is not None)
        elif self.stage == "asking" and self.console.may_act():
            self.stage = "applying"
            doing = _DOING[self._wanted.verb]
            self.say(f"{doing} …", "", "esc stops after this batch", busy=True)
            self.work(self._apply)

    def _apply(self) -> None:
        plan = self.plan
        assert plan is not None  # noqa: S101 - it was asked about
        try:
            outcome = self._actions.apply(
                plan,
                by=self.console.settings.by,
                throttle=self._wanted.throttle,
                report=self.report,
                stop=self.stop,
            )
        except WorkkitError as error:
            self.later(self._fail, f"{error}; what was done until then can be undone")
            return
        self.later(self._applied, outcome)

    def _applied(self, outcome: BulkOutcome) -> None:
        self.outcome, self.stage = outcome, "done"
        lines = []
        if outcome.gone:
            lines.append(f"{counted(outcome.gone, 'was', 'were')} already gone")
        if outcome.refused:
            lines.append(
                f"{counted(outcome.refused, 'was', 'were')} left in place: not a valid job"
            )
        if outcome.left:
            lines.append(f"{counted(outcome.left, 'was', 'were')} left alone: {outcome.stopped}")
        if outcome.operation_id:
            tab = self.console.tab_named("undo")
            lines.append(
                f"undo with u, or later on tab {tab.title}, key {tab.key} ({outcome.operation_id})"
            )
        title = f"{counted(outcome.done, 'job')} {_DONE[self._wanted.verb]}"
        keys = "u undoes it   esc closes" if outcome.operation_id else "esc closes"
        self.say(title, "\n".join(lines), keys)

    # Ending.

    def action_cancel(self) -> None:
        """Give up, stop, or close."""
        self.stop.set()
        if self.stage != "applying":
            self.dismiss(self.outcome is not None)

    def action_undo(self) -> None:
        """Undo the result."""
        if self.stage == "done" and self.outcome and self.outcome.operation_id:
            operation_id = self.outcome.operation_id
            self.app.push_screen(UndoingScreen(operation_id), lambda _: self.dismiss(result=True))

    def _fail(self, reason: str) -> None:
        self.stage = "done"
        self.say("It was not done", clean(reason), "esc closes")
