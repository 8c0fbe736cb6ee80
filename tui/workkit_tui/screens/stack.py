"""A box with the stack of a running handler, which its pool is asked for."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from workkit.admin.actions import Actions
from workkit.core.stacks import RunningStack
from workkit.core.text import age, clean, clip
from workkit.errors import WorkkitError
from workkit_tui.keys import Key, bindings
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.box import BoxScreen
from workkit_tui.themes import color

__all__ = ["StackScreen", "open_stack"]

#: Lines of the box around the stack.
_AROUND: Final = 12


def open_stack(screen: ConsoleScreen, job_id: str, name: str) -> None:
    """Ask for the stack of a handler, unless this console may not write its request."""
    if screen.console.may_act():
        actions = screen.console.actions
        assert actions is not None  # noqa: S101 - something may be changed
        screen.app.push_screen(StackScreen(actions, job_id, name))


class StackScreen(BoxScreen):
    """Asks for the stack of a handler, and shows it.

    Args:
        actions: Asks the pool.
        job_id: The job.
        name: Its name.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (
            Key(("escape", "q", "enter"), "close", "", "Close"),
            Key(("s", "r"), "again", "", "Ask again"),
        )
    )

    def __init__(self, actions: Actions, job_id: str, name: str) -> None:
        super().__init__()
        self._actions = actions
        self._job_id = job_id
        self._title = f"Stack of {name} {job_id}"
        self._asking = False

    def on_mount(self) -> None:
        """Ask at once."""
        self.action_again()

    def action_again(self) -> None:
        """Ask the pool."""
        if not self._asking:
            self._asking = True
            said = "The pool answers with its next heartbeat …"
            self.say(self._title, said, "esc closes", busy=True)
            self.work(self._ask)

    def _ask(self) -> None:
        try:
            found = self._actions.stack(self._job_id, stop=self.stop)
        except WorkkitError as error:
            self.later(self._failed, str(error))
        else:
            self.later(self._found, found)

    def _failed(self, reason: str) -> None:
        self._told(Text(clean(reason), color(self.app, "warning")))

    def _found(self, found: RunningStack) -> None:
        self._told(self._drawn(found))

    def _told(self, text: Text) -> None:
        self._asking = False
        self.say(self._title, text, "s asks again   esc closes")

    def _drawn(self, found: RunningStack) -> Text:
        """Draw as many lines as fit, the innermost ones, and tell how long it ran."""
        ran = age((found.taken_ms - found.started_ms) / 1_000)
        quiet, text = color(self.app, "secondary"), Text()
        text.append(f"It ran for {ran} then, in a {found.kind}. The innermost call is last.\n")
        lines = found.lines
        fits = max(self.app.size.height - _AROUND, 4)
        if len(lines) > fits:
            text.append(f"  ... {len(lines) - fits} lines above; workkit stack shows all", quiet)
        for line in lines[-fits:]:
            shown = clip(clean(self.console.masks.text(line)), self.broad)
            text.append(f"\n{shown}", quiet if line.startswith("    ") else "")
        return text

    def action_close(self) -> None:
        """Stop asking, and close."""
        self.stop.set()
        self.dismiss(result=False)
