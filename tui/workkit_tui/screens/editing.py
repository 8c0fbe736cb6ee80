"""Edits the args of a job: in the user's editor, or in a text area where there is no terminal.

Then a box shows what is different, asks, applies it, and offers to undo it. A text that could not
be used is kept, and is there again when the job is edited the next time.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import ClassVar, Final, Literal

from rich.text import Text
from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from workkit.admin.actions import Actions, Edit
from workkit.admin.actions.new_args import args_text, changed_paths, difference
from workkit.admin.steps.walk import WaitingJob
from workkit.core import job as wire
from workkit.core.editor import EditedText
from workkit.core.records import Place
from workkit.core.text import clean, clip
from workkit.errors import InvalidArgs, NotEdited, WorkkitError
from workkit_tui.keys import Key, bindings
from workkit_tui.screens.box import BoxScreen
from workkit_tui.screens.undoing import UndoingScreen
from workkit_tui.themes import color
from workkit_tui.widgets.words import Words

__all__ = ["ArgsArea", "EditScreen"]

EditStage = Literal["editing", "planning", "showing", "asking", "failed", "applying", "done"]

#: So many lines of a difference are shown.
_LINES: Final = 30
_COLORS: Final = {"-": "error", "+": "success", "@": "secondary"}


class ArgsArea(ModalScreen[str | None]):
    """A text area for JSON; returns its text, or None if the user gives up.

    Args:
        title: The first line.
        text: The text.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("ctrl+s", "f2"), "use", "", "Use the text"),
            Key(("escape",), "give_up", "", "Give up"),
        )
    )

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Build the area."""
        with Vertical(classes="box"):
            yield Words("", id="box-title", classes="title")
            area = TextArea(self._text, id="args-area", tab_behavior="focus", soft_wrap=True)
            area.styles.height = 16
            yield area
            yield Words("", id="box-keys", classes="keys")

    def on_mount(self) -> None:
        """Write the lines around the area."""
        self.query_one("#box-title", Words).update(Text(clean(self._title)))
        self.query_one("#box-keys", Words).update(Text("^s uses the text   esc gives up"))
        self.query_one(TextArea).focus()

    def action_use(self) -> None:
        """Return the text."""
        self.dismiss(self.query_one(TextArea).text)

    def action_give_up(self) -> None:
        """Return nothing."""
        self.dismiss(None)


class EditScreen(BoxScreen):
    """Edits a job.

    Args:
        place: Where it is.
        record: The job.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "n", "q"), "cancel", "", "Cancel, or close"),
            Key(("y", "enter"), "go", "", "Go ahead, or close"),
            Key(("e",), "again", "", "Edit it again"),
            Key(("u",), "undo", "", "Undo"),
        )
    )
    #: Job id → a text that was not used yet.
    kept: ClassVar[dict[str, str]] = {}

    def __init__(self, place: Place, record: WaitingJob) -> None:
        super().__init__()
        self._place = place
        self._record = record
        self.stage: EditStage = "editing"
        self.plan: Edit | None = None
        self._operation_id = ""
        raw = record.job.raw
        text = "null" if record.job.undecodable else args_text(wire.args_json(raw) or b"null")
        self._text: str = self.kept.get(record.job.id, text)
        self._original = text

    @property
    def _actions(self) -> Actions:
        actions = self.console.actions
        assert actions is not None  # noqa: S101 - the box opens only where something may be changed
        return actions

    # Editing.

    def on_mount(self) -> None:
        """Open the editor when the box is there."""
        self.say(self._title, "", "", busy=False)
        self.call_after_refresh(self._edit)

    @property
    def _title(self) -> str:
        job = self._record.job
        return f"Edit {job.name} {job.id}"

    def _edit(self) -> None:
        self.stage = "editing"
        if self._record.job.undecodable:
            self._used("null")  # the plan says why it cannot be edited
            return
        if self.app.is_web or self.app.is_headless:
            self.app.push_screen(ArgsArea(self._title, self._text), self._used)
            return
        try:
            with self.app.suspend():
                edited = self._in_editor()
        except SuspendNotSupported:
            self.app.push_screen(ArgsArea(self._title, self._text), self._used)
        except (NotEdited, OSError) as error:
            self._fail(str(error), again=True)
        else:
            self._used(edited)

    def _in_editor(self) -> str:
        file = EditedText(self._record.job.id, self._text)
        try:
            return file.edit().decode("utf-8", "surrogateescape")
        except NotEdited:
            with suppress(NotEdited):  # an editor may fail after it has written the file
                self._keep(file.read().decode("utf-8", "surrogateescape"))
            raise
        finally:
            file.drop()

    def _keep(self, text: str) -> None:
        """Keep a text until it was used."""
        self._text = text
        if text != self._original:
            self.kept[self._record.job.id] = text

    def _used(self, text: str | None) -> None:
        if text is None:
            self.dismiss(result=False)
            return
        self._keep(text)
        self.stage = "planning"
        self.say(self._title, "", "", busy=True)
        self.work(self._make_plan)

    # Planning.

    def _make_plan(self) -> None:
        try:
            plan = self._actions.plan_edit(self._place, self._record, _encoded(self._text))
        except (InvalidArgs, NotEdited) as error:
            self.later(self._fail, str(error), not self._record.job.undecodable)
        except WorkkitError as error:
            self.later(self._fail, str(error), True)
        else:
            self.later(self._planned, plan)

    def _planned(self, plan: Edit) -> None:
        self.plan, self.stage = plan, "showing"
        self._ask(plan)
        self.when_seen(self._may_answer)

    def _may_answer(self) -> None:
        if self.stage == "showing" and self.plan is not None:
            self.stage = "asking"
            self._ask(self.plan)

    def _ask(self, plan: Edit) -> None:
        yes = "y goes ahead   " if self.stage == "asking" else ""
        self.say(f"{self._title}?", self._describe(plan), f"{yes}e edits again   esc cancels")

    def _describe(self, plan: Edit) -> Text:
        masks, text = self.console.masks, Text()
        hidden = [masks.hide(job.args) for job in (self._record.job, plan.job)]
        lines = difference(*(json.dumps(each).encode() for each in hidden))
        for line in lines[:_LINES]:
            meaning = _COLORS.get(line[:1], "foreground")
            text.append(f"{clip(clean(line), self.broad)}\n", color(self.app, meaning))
        if len(lines) > _LINES:
            text.append(f"and {len(lines) - _LINES} more lines\n", color(self.app, "secondary"))
        paths = changed_paths(self._record.job.args, plan.job.args)
        text.append(f"\nchanges {clean(paths) or 'how the args are written'}")
        for effect in plan.effects:
            text.append(f"\n▲ it {clean(effect)}", color(self.app, "warning"))
        text.append(
            "\nIt can be undone for a day, unless the job has started.",
            color(self.app, "secondary"),
        )
        return text

    def _fail(self, reason: str, again: bool) -> None:
        self.stage = "failed"
        kept = "Your text is kept.\n" if self._text != self._original else ""
        keys = "e edits again   esc closes" if again else "esc closes"
        self.say("It was not edited", f"{clean(reason)}\n{kept}", keys)

    # Applying.

    def action_go(self) -> None:
        """Use the new args, or close."""
        if self.stage in {"done", "failed"}:
            self.action_cancel()
        elif self.stage == "asking" and self.console.may_act():
            self.stage = "applying"
            self.say(self._title, "", "", busy=True)
            self.work(self._apply)

    def _apply(self) -> None:
        assert self.plan is not None  # noqa: S101 - it was asked about
        try:
            operation_id = self._actions.apply_edit(self.plan, by=self.console.settings.by)
        except WorkkitError as error:
            self.later(self._fail, str(error), True)
            return
        self.later(self._applied, operation_id)

    def _applied(self, operation_id: str) -> None:
        self.stage, self._operation_id = "done", operation_id
        self.kept.pop(self._record.job.id, None)
        runs = "It runs again." if self._place.kind == "dead" else f"It stays in {self._place}."
        tab = self.console.tab_named("undo")
        undo = f"undo with u, or later on tab {tab.title}, key {tab.key} ({operation_id})"
        self.say("The job is edited", f"{runs}\n{undo}", "u undoes it   esc closes")

    # Keys.

    def action_again(self) -> None:
        """Edit it again."""
        if self.stage in {"asking", "showing", "failed"}:
            self._edit()

    def action_undo(self) -> None:
        """Undo the edit."""
        if self.stage == "done":
            self.app.push_screen(
                UndoingScreen(self._operation_id), lambda _: self.dismiss(result=True)
            )

    def action_cancel(self) -> None:
        """Give up, or close."""
        if self.stage != "applying":
            self.dismiss(result=self.stage == "done")


def _encoded(text: str) -> str | bytes:
    """Return the bytes of a file that was no text, or else the text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text
