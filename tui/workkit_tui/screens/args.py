"""Boxes in which args are typed: in the user's editor, or in a text area without a terminal.

Then they show what would be done, ask, and do it. A text that could not be used is kept, and is
there again the next time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final, Literal

from rich.text import Text
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from workkit.admin.actions import Actions
from workkit.core.editor import EditedText
from workkit.core.signatures import Signature
from workkit.core.text import clean
from workkit.errors import ArgsMismatch, NotEdited, WorkkitError
from workkit_tui.keys import Key, bindings
from workkit_tui.screens.box import BoxScreen
from workkit_tui.widgets.words import Words

__all__ = ["ArgsArea", "ArgsScreen", "NamesArea", "doubtful"]

#: A name that is being typed: behind a brace, a comma or the margin, and an open quote.
_NAME: Final = re.compile(r'(?:^|[{,])\s*"(?P<typed>[^"\\]*)$')

ArgsStage = Literal["editing", "planning", "showing", "asking", "failed", "applying", "done"]


class NamesArea(TextArea):
    """A text area for JSON in which Tab completes the name that is being typed.

    Args:
        names: The names.
        text: The text to begin with.
    """

    BINDINGS = [Binding("tab", "complete", show=False)]  # noqa: RUF012 - as Textual declares it

    def __init__(self, names: Sequence[str], text: str) -> None:
        super().__init__(text, id="args-area", tab_behavior="focus", soft_wrap=True)
        self._names = names

    def action_complete(self) -> None:
        """Write the rest of a name, and the colon behind it."""
        row, column = self.cursor_location
        found = _NAME.search(self.get_text_range((row, 0), (row, column)))
        if found is None:
            return
        typed = found["typed"]
        fitting = [each for each in self._names if each.startswith(typed)]
        fitting = [each for each in fitting if f'"{each}":' not in self.text]
        if fitting:
            start = (row, column - len(typed))
            self.replace(f'{fitting[0]}": ', start, self.cursor_location)
            self.move_cursor((row, start[1] + len(fitting[0]) + 3))


class ArgsArea(ModalScreen[str | None]):
    """A text area for JSON; returns its text, or None if the user gives up.

    Args:
        title: The first line.
        text: The text.
        signature: What the task takes, if that is known; Tab completes the names of its args.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("ctrl+s", "f2"), "use", "", "Use the text"),
            Key(("escape",), "give_up", "", "Give up"),
        )
    )

    def __init__(self, title: str, text: str, signature: Signature | None = None) -> None:
        super().__init__()
        self._signature = signature
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Build the area."""
        with Vertical(classes="box"):
            yield Words("", id="box-title", classes="title")
            yield Words("", id="args-takes")
            names = self._signature.names if self._signature else []
            area = NamesArea(names, self._text)
            area.styles.height = 13 if names else 16
            yield area
            yield Words("", id="box-keys", classes="keys")

    def on_mount(self) -> None:
        """Write the lines around the area."""
        self.query_one("#box-title", Words).update(Text(clean(self._title)))
        takes = self.query_one("#args-takes", Words)
        takes.display = self._signature is not None
        takes.styles.max_height = 2
        tab = ""
        if self._signature is not None:
            takes.update(Text(f"takes {clean(self._signature.takes)}"))
            tab = "tab completes a name   "
        self.query_one("#box-keys", Words).update(Text(f"{tab}^s uses the text   esc gives up"))
        self.query_one(TextArea).focus()

    def action_use(self) -> None:
        """Return the text."""
        self.dismiss(self.query_one(TextArea).text)

    def action_give_up(self) -> None:
        """Return nothing."""
        self.dismiss(None)


class ArgsScreen(BoxScreen):
    """Takes args, shows what they would do, asks, and does it.

    Args:
        title: The first line of the box.
        about: What the args are for; an unused text is kept under it.
        text: The text to begin with.
        editable: Whether the editor is opened at all; if not, the plan says why.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "n", "q"), "cancel", "", "Cancel, or close"),
            Key(("y", "enter"), "go", "", "Go ahead, or close"),
            Key(("e",), "again", "", "Edit it again"),
            Key(("u",), "undo", "", "Undo"),
            Key(("i",), "insist", "", "Use args that do not fit the signature"),
        )
    )
    #: What args were for → a text that was not used yet.
    kept: ClassVar[dict[str, str]] = {}

    def __init__(self, title: str, about: str, text: str, *, editable: bool = True) -> None:
        super().__init__()
        self.stage: ArgsStage = "editing"
        self.plan: Any = None
        self.insist = False
        self.signature: Signature | None = None
        self._refused = False
        self._title = title
        self._about = about
        self._original = text
        self._text: str = self.kept.get(about, text)
        self._editable = editable

    # For subclasses.

    def read_signature(self) -> Signature | None:
        """Return what the task takes, if pools publish it; called on a thread.

        Raises:
            WorkkitError: It cannot be read.
        """
        return None

    def make_plan(self, text: str | bytes) -> Any:
        """Return what would be done; called on a thread.

        Raises:
            WorkkitError: The text cannot be used.
        """
        raise NotImplementedError

    def describe(self, plan: Any) -> Text:
        """Say what would be done."""
        raise NotImplementedError

    def carry_out(self, plan: Any) -> str:
        """Do it; called on a thread. Return what `applied` needs."""
        raise NotImplementedError

    def applied(self, result: str) -> None:
        """Say what was done."""
        raise NotImplementedError

    @property
    def actions(self) -> Actions:
        """What changes the namespace."""
        actions = self.console.actions
        assert actions is not None  # noqa: S101 - the box opens only where something may be changed
        return actions

    # Editing.

    def on_mount(self) -> None:
        """Read what the task takes, if that is not known, and open the editor."""
        is_unknown = self._editable and self.signature is None
        self.say(self._title, "", "", busy=is_unknown)
        if is_unknown:
            self.work(self._learn)
        else:
            self.call_after_refresh(self._edit)

    def _learn(self) -> None:
        try:
            self.signature = self.read_signature()
        except WorkkitError:
            self.signature = None  # the banner shows the trouble, and the plan checks the args
        self.later(self.call_after_refresh, self._edit)

    def _edit(self) -> None:
        self.stage = "editing"
        self.insist = False
        if not self._editable:
            self._used(self._text)
            return
        area = ArgsArea(self._title, self._text, self.signature)
        if self.app.is_web or self.app.is_headless:
            self.app.push_screen(area, self._used)
            return
        try:
            with self.app.suspend():
                edited = self._in_editor()
        except SuspendNotSupported:
            self.app.push_screen(area, self._used)
        except (NotEdited, OSError) as error:
            self._fail(str(error))
        else:
            self._used(edited)

    def _in_editor(self) -> str:
        takes = self.signature.takes if self.signature is not None else ""
        file = EditedText(self._about, self._text, takes)
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
            self.kept[self._about] = text

    def _used(self, text: str | None) -> None:
        if text is None:
            self.dismiss(result=False)
            return
        self._keep(text)
        self._replan()

    def _replan(self) -> None:
        self.stage = "planning"
        self.say(self._title, "", "", busy=True)
        self.work(self._make_plan)

    # Planning.

    def _make_plan(self) -> None:
        try:
            plan = self.make_plan(_encoded(self._text))
        except ArgsMismatch as error:
            self.later(self._mismatched, str(error))
        except WorkkitError as error:
            self.later(self._fail, str(error))
        else:
            self.later(self._planned, plan)

    def _mismatched(self, reason: str) -> None:
        self._fail(reason, insist="i uses them as they are   ")
        self._refused = True

    def _planned(self, plan: Any) -> None:
        self.plan, self.stage = plan, "showing"
        self._ask()
        self.when_seen(self._may_answer)

    def _may_answer(self) -> None:
        if self.stage == "showing":
            self.stage = "asking"
            self._ask()

    def _ask(self) -> None:
        yes = "y goes ahead   " if self.stage == "asking" else ""
        keys = f"{yes}e edits again   esc cancels"
        self.say(f"{self._title}?", self.describe(self.plan), keys)

    def _fail(self, reason: str, insist: str = "") -> None:
        self.stage = "failed"
        self._refused = False
        kept = "Your text is kept.\n" if self._text != self._original else ""
        keys = f"e edits again   {insist}esc closes" if self._editable else "esc closes"
        self.say("Nothing was changed", f"{clean(reason)}\n{kept}", keys)

    # Applying.

    def action_go(self) -> None:
        """Use the args, or close."""
        if self.stage in {"done", "failed"}:
            self.action_cancel()
        elif self.stage == "asking" and self.console.may_act():
            self.stage = "applying"
            self.say(self._title, "", "", busy=True)
            self.work(self._apply)

    def _apply(self) -> None:
        try:
            result = self.carry_out(self.plan)
        except WorkkitError as error:
            self.later(self._fail, str(error))
            return
        self.later(self._applied, result)

    def _applied(self, result: str) -> None:
        self.stage = "done"
        self.kept.pop(self._about, None)
        self.applied(result)

    # Keys.

    def action_again(self) -> None:
        """Edit it again."""
        if self._editable and self.stage in {"asking", "showing", "failed"}:
            self._edit()

    def action_insist(self) -> None:
        """Use args that do not fit the signature."""
        if self.stage == "failed" and self._refused:
            self.insist = True
            self._replan()

    def action_undo(self) -> None:
        """Undo what was done, if that is possible."""

    def action_cancel(self) -> None:
        """Give up, or close."""
        if self.stage != "applying":
            self.dismiss(result=self.stage == "done")


def doubtful(doubts: Sequence[str], style: str) -> Text:
    """Return the doubts of a plan, a line each."""
    text = Text()
    for each in doubts:
        text.append(f"\n▲ {clean(each)}", style)
    return text


def _encoded(text: str) -> str | bytes:
    """Return the bytes of a file that was no text, or else the text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text
