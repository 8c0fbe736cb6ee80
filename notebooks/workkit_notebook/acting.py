"""Acts on dead jobs: preview, confirm, apply with a progress bar, undo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from workkit.admin.actions import BulkOutcome, BulkProgress, Operation, Plan, Throttle
from workkit.admin.steps.walk import WaitingJob
from workkit.core.actor import who_am_i
from workkit.core.text import counted
from workkit.errors import InvalidOption, WorkkitError
from workkit_notebook import html
from workkit_notebook.deadset import DEAD
from workkit_notebook.extra import widgets
from workkit_notebook.pages import job_row

__all__ = ["Acting"]

_BY: Final = f"{who_am_i()} in a notebook"
#: Verb -> the style of its button.
#: What is offered for retries: jobs a second after the first eleven; 0 for all at once.
_PACES: Final = (("all at once", 0), ("5 a second", 5), ("50 a second", 50), ("500 a second", 500))
_STYLES: Final = {"retry": "warning", "delete": "danger"}


class Acting:
    """The lower part of the view of dead jobs.

    Args:
        client: A client with `actions`.
        selected: Returns the jobs to act on.
        acted: Called after each action.
        shown: Returns a job as the page may show it.

    Attributes:
        box: The widgets.

    Raises:
        InvalidOption: The client can only read.
    """

    def __init__(
        self,
        client: Any,
        selected: Callable[[], Sequence[WaitingJob]],
        acted: Callable[[], None],
        shown: Callable[[WaitingJob], WaitingJob],
    ) -> None:
        if not hasattr(client, "actions"):
            raise InvalidOption(
                f"{client.label} is read-only; leave write=True out, or pass a Client"
            )
        self._client = client
        self._selected = selected
        self._acted = acted
        self._shown = shown
        self._plan: Plan | None = None
        self._worker: threading.Thread | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._last = self._newest()
        self._make()
        self.box = widgets.VBox(
            [
                widgets.HBox([self._retry, self._delete, self._undo]),
                self._preview,
                widgets.HBox([self._typed, self._pace, self._confirm, self._cancel]),
                widgets.HBox([self._progress, self._halt]),
                self._message,
            ]
        )
        self._hide()

    def _newest(self) -> Operation | None:
        """Return the newest action of a notebook, which can be undone also by a later view."""
        try:
            operations = self._client.actions.operations()
        except WorkkitError:
            return None
        return next((each for each in operations if each.by == _BY and each.place == DEAD), None)

    def _make(self) -> None:
        self._retry = widgets.Button(description="Retry ...", icon="play")
        self._delete = widgets.Button(description="Delete ...", icon="trash")
        self._undo = widgets.Button(
            description="Undo", icon="undo", layout=widgets.Layout(width="auto")
        )
        self._preview = widgets.HTML()
        self._typed = widgets.Text(layout=widgets.Layout(width="360px"))
        self._typed.style.description_width = "initial"
        self._pace = widgets.Dropdown(
            options=_PACES,
            tooltip="a pace retries one job, then ten, then so many, and stops if a fifth fails",
            layout=widgets.Layout(width="140px"),
        )
        self._confirm = widgets.Button(layout=widgets.Layout(width="220px"))
        self._cancel = widgets.Button(description="Cancel")
        self._progress = widgets.IntProgress(layout=widgets.Layout(width="420px"))
        self._halt = widgets.Button(description="Stop", icon="stop")
        self._message = widgets.HTML()
        self._retry.on_click(lambda _: self.preview("retry"))
        self._delete.on_click(lambda _: self.preview("delete"))
        self._undo.on_click(lambda _: self.undo())
        self._confirm.on_click(lambda _: self.confirm())
        self._cancel.on_click(lambda _: self._hide())
        self._halt.on_click(lambda _: self._stop.set())
        self._typed.observe(lambda _: self._allow(), "value")

    def show(self) -> None:
        """Show the number of selected jobs on the buttons, and close the preview of other jobs."""
        count = len(self._selected())
        self._retry.description, self._delete.description = (
            f"Retry {count:,} ...",
            f"Delete {count:,} ...",
        )
        busy = self._worker is not None
        self._retry.disabled = self._delete.disabled = busy or not count
        self._undo.layout.display = None if self._last is not None else "none"
        if self._last is not None:
            what = f"{self._last.verb} of {counted(self._last.undoable, 'job')}"
            self._undo.description = f"Undo {what}"
            self._undo.tooltip = f"{what} at {html.clock_time(self._last.at, seconds=True)} UTC"
        if self._plan is not None and not busy:
            self._hide()

    def _hide(self) -> None:
        self._plan = None
        self._preview.value = ""
        for part in (
            self._typed,
            self._pace,
            self._confirm,
            self._cancel,
            self._progress,
            self._halt,
        ):
            part.layout.display = "none"

    # Preview and confirm.

    def preview(self, verb: Any) -> None:
        """Pin the selected jobs, and show the effects of the action."""
        self._message.value = ""
        try:
            plan = self._client.actions.plan_for(verb, DEAD, self._selected())
        except WorkkitError as error:
            self._message.value = html.notice(str(error))
            return
        self._plan = plan
        self._preview.value = _plan_page(plan, self._shown, self._client.now_s())
        self._confirm.description = f"{verb.capitalize()} {counted(plan.count, 'job')}"
        self._confirm.button_style = _STYLES[verb]
        self._typed.value = ""
        self._typed.description = f"type {plan.count} to delete:"
        self._typed.layout.display = None if verb == "delete" else "none"
        self._pace.layout.display = None if verb == "retry" else "none"
        self._confirm.layout.display = self._cancel.layout.display = None
        self._allow()

    def _allow(self) -> None:
        """Enable the confirmation of a deletion after the user has typed its number of jobs."""
        plan = self._plan
        wrong = plan is not None and plan.verb == "delete" and self._typed.value != str(plan.count)
        self._confirm.disabled = wrong

    def confirm(self) -> None:
        """Act on the jobs of the preview, in a thread, so that the kernel stays free."""
        plan = self._plan
        if plan is None or self._confirm.disabled or self._worker is not None:
            return
        self._hide()
        self._progress.max, self._progress.value = max(plan.count, 1), 0
        self._progress.layout.display = self._halt.layout.display = None
        self._stop.clear()
        pace = self._pace.value if plan.verb == "retry" else 0
        self._start(lambda: self._apply(plan, Throttle(per_s=pace) if pace else None))

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except WorkkitError as error:
                self._message.value = html.notice(str(error))
            finally:
                self._worker = None
                self._hide()
                self._acted()

        self._worker = self._thread = threading.Thread(
            target=run, name="workkit-notebook", daemon=True
        )
        self.show()
        self._worker.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the confirmed action has ended. For programs."""
        thread = self._thread  # `_worker` is already None while the jobs are read again
        if thread is not None:
            thread.join(timeout_s)

    def _apply(self, plan: Plan, throttle: Throttle | None) -> None:
        outcome = self._client.actions.apply(
            plan, by=_BY, throttle=throttle, report=self._report, stop=self._stop
        )
        self._last = self._newest()
        self._message.value = html.muted(_result_text(plan, outcome))

    def _report(self, progress: BulkProgress) -> None:
        self._progress.max = max(progress.total, 1)
        self._progress.value = progress.done

    def undo(self) -> None:
        """Undo the last action."""
        last = self._last
        if last is None or self._worker is not None:
            return

        def bring_back() -> None:
            undone = self._client.actions.undo(last.operation_id)
            self._last = self._newest()
            begun = f"; {undone.gone_on:,} had begun" if undone.gone_on else ""
            self._message.value = html.muted(f"brought back {counted(undone.back, 'job')}{begun}")

        self._start(bring_back)


def _plan_page(plan: Plan, shown: Callable[[WaitingJob], WaitingJob], now_s: float) -> str:
    queues = ", ".join(f"{count:,} {name or '(no name)'}" for name, count in plan.queues.items())
    effects = "".join(f"<li>{html.escape(effect)}</li>" for effect in plan.effects())
    sample = "<br>".join(html.escape(job_row(shown(record), now_s)) for record in plan.sample)
    rest = plan.count - len(plan.sample)
    more = f"<br>{html.muted(f'and {rest:,} more')}" if rest else ""
    return (
        f"<b>{plan.verb.capitalize()} {counted(plan.count, 'dead job')}: {html.escape(queues)}</b>"
        f'<ul style="margin: 0">{effects}</ul>'
        f'<div style="font-family: monospace; font-size: 12px">{sample}{more}</div>'
    )


def _result_text(plan: Plan, outcome: BulkOutcome) -> str:
    word = {"retry": "retried", "delete": "deleted"}[plan.verb]
    parts = [f"{word} {counted(outcome.done, 'job')}"]
    if outcome.gone:
        parts.append(f"{outcome.gone:,} were gone already")
    if outcome.refused:
        parts.append(f"{outcome.refused:,} could not be {word}")
    if outcome.left:
        parts.append(f"{outcome.left:,} not reached: {outcome.stopped}")
    return "; ".join(parts)
