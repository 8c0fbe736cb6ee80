"""Edits the args of a job: shows what is different, asks, applies it, and offers to undo it."""

from __future__ import annotations

import json
from typing import Any, Final

from rich.text import Text

from workkit.admin.actions import Edit
from workkit.admin.actions.new_args import args_text, changed_paths, difference
from workkit.admin.steps.walk import WaitingJob
from workkit.core import job as wire
from workkit.core.records import Place
from workkit.core.signatures import Signature
from workkit.core.text import clean, clip
from workkit_tui.screens.args import ArgsScreen, doubtful
from workkit_tui.screens.undoing import UndoingScreen
from workkit_tui.themes import color

__all__ = ["EditScreen"]

#: So many lines of a difference are shown.
_LINES: Final = 30
_COLORS: Final = {"-": "error", "+": "success", "@": "secondary"}


class EditScreen(ArgsScreen):
    """Edits a job.

    Args:
        place: Where it is.
        record: The job.
    """

    def __init__(self, place: Place, record: WaitingJob) -> None:
        job = record.job
        editable = job.undecodable is None
        text = args_text(wire.args_json(job.raw) or b"null") if editable else "null"
        super().__init__(f"Edit {job.name} {job.id}", job.id, text, editable=editable)
        self._place = place
        self._record = record
        self._operation_id = ""

    def read_signature(self) -> Signature | None:
        """Return what the task takes, if pools publish it."""
        return self.actions.signature(self._record.job.name)

    def make_plan(self, text: str | bytes) -> Edit:
        """Read the new args."""
        return self.actions.plan_edit(self._place, self._record, text, insist=self.insist)

    def describe(self, plan: Any) -> Text:
        """Show what is different, without secrets."""
        masks, text = self.console.masks, Text()
        hidden = [masks.hide(job.args) for job in (self._record.job, plan.job)]
        lines = difference(*(json.dumps(each, ensure_ascii=False).encode() for each in hidden))
        for line in lines[:_LINES]:
            meaning = _COLORS.get(line[:1], "foreground")
            text.append(f"{clip(clean(line), self.broad)}\n", color(self.app, meaning))
        quiet = color(self.app, "secondary")
        if len(lines) > _LINES:
            text.append(f"and {len(lines) - _LINES} more lines\n", quiet)
        paths = changed_paths(self._record.job.args, plan.job.args)
        text.append(f"\nchanges {clean(paths) or 'how the args are written'}")
        for effect in plan.effects:
            text.append(f"\n▲ it {clean(effect)}", color(self.app, "warning"))
        text.append_text(doubtful(plan.doubts, color(self.app, "warning")))
        return text.append("\nIt can be undone for a day, unless the job has started.", quiet)

    def carry_out(self, plan: Any) -> str:
        """Put the edited job into its place; return the id of the operation."""
        return self.actions.apply_edit(plan, by=self.console.settings.by)

    def applied(self, result: str) -> None:
        """Offer to undo it."""
        self._operation_id = result
        runs = "It runs again." if self._place.kind == "dead" else f"It stays in {self._place}."
        tab = self.console.tab_named("undo")
        undo = f"undo with u, or later on tab {tab.title}, key {tab.key} ({result})"
        self.say("The job is edited", f"{runs}\n{undo}", "u undoes it   esc closes")

    def action_undo(self) -> None:
        """Undo the edit."""
        if self.stage == "done":
            self.app.push_screen(
                UndoingScreen(self._operation_id), lambda _: self.dismiss(result=True)
            )
