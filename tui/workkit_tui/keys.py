"""Keys as data.

A screen lists its keys; footer, help and bindings are made from that list. Capital letters are for
actions that cannot be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from textual.binding import Binding

__all__ = [
    "COMMON",
    "COMPARE",
    "FOLLOW",
    "JOB_KEYS",
    "MOVING",
    "PAGER",
    "STACK",
    "Key",
    "bindings",
    "changed",
    "copying",
]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a screen.

    Attributes:
        keys: Textual's names of the keys to press; the first one is shown.
        action: The action that it calls.
        label: A word for the footer; "" to be in the help only.
        help: Its effect, in a sentence without a full stop.
        acts: Whether it changes something in Redis, so that read-only consoles refuse it.
    """

    keys: tuple[str, ...]
    action: str
    label: str
    help: str
    acts: bool = False

    @property
    def shown(self) -> str:
        """The key as people write it."""
        return _NAMES.get(self.keys[0], self.keys[0])

    @property
    def all_shown(self) -> str:
        """All its keys."""
        return " ".join(_NAMES.get(key, key) for key in self.keys)


_NAMES: Final = {
    "enter": "⏎", "escape": "esc", "slash": "/", "colon": ":", "question_mark": "?",
    "equals_sign": "=", "vertical_line": "|",
    "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "PgUp", "pagedown": "PgDn",
    "home": "Home", "end": "End", "plus": "+", "minus": "-", "tab": "⇥", "shift+tab": "⇤",
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{",
    "right_curly_bracket": "}", "backslash": "\\",
    "ctrl+d": "^d", "ctrl+u": "^u", "ctrl+f": "^f", "ctrl+b": "^b", "ctrl+r": "^r",
    "ctrl+t": "^t", "ctrl+p": "^p", "ctrl+c": "^c",
}  # fmt: skip


def copying(what: str) -> Key:
    """Return the key that copies what the cursor is on.

    Args:
        what: That, such as "the job's id".
    """
    return Key(("y",), "copy", "", f"Copy {what}")


#: Keys of every list of jobs, and of the page of a job.
FOLLOW: Final = Key(
    ("f",), "follow", "follow", "Follow the job until it ends, wherever it goes; a bell rings then"
)
COMPARE: Final = Key(
    ("equals_sign",), "compare", "", "Compare two jobs: mark the first, then show how the second "
    "differs",
)  # fmt: skip
PAGER: Final = Key(("v",), "pager", "", "Read all of it in your pager")
#: A key of the workers, and of the page of a job.
STACK: Final = Key(("s",), "stack", "stack", "Show where the handler of the running job is")
#: Keys of every list: of its columns, and those that move.
MOVING: Final = (
    Key(("j", "down"), "cursor_down", "", "Go down"),
    Key(("k", "up"), "cursor_up", "", "Go up"),
    Key(("ctrl+d", "ctrl+f", "pagedown"), "page_down", "", "A page down"),
    Key(("ctrl+u", "ctrl+b", "pageup"), "page_up", "", "A page up"),
    Key(("g", "home"), "cursor_first", "", "To the first row"),
    Key(("G", "end"), "cursor_last", "", "To the last row"),
    Key(("vertical_line",), "columns", "", "Choose the columns of the list, and their order"),
)

#: Keys of a list of jobs.
JOB_KEYS = (
    Key(("enter",), "open", "job", "Open the job: args, error, history, why it does not run"),
    Key(("space",), "mark", "mark", "Mark the job, and go down"),
    Key(("r",), "retry", "retry", "Retry the marked jobs, or the one under the cursor",
        acts=True),
    Key(("d",), "delete", "delete", "Delete the marked jobs, or the one under the cursor; undo "
        "brings them back", acts=True),
    Key(("c",), "edit", "edit", "Change the args of the job under the cursor; a dead one runs "
        "again", acts=True),
    Key(("slash",), "filter", "filter", "Show the jobs that match a query: queue:mail "
        "error:timeout fails:>3 age:<1h not args.tenant:acme"),
    Key(("a",), "mark_all", "all", "Mark all jobs of the list, or of the filter"),
    Key(("t",), "careful", "careful", "Retry with care: 1 job, then 10, then some a second; "
        "stops if too many fail", acts=True),
    Key(("e",), "app.export", "export", "Write the list to a file"),
    Key(("u",), "unmark", "", "Remove all marks"),
    Key(("o",), "order", "", "Reverse the order"),
    copying("the job's id; its page has a choice"),
    FOLLOW,
    COMPARE,
    PAGER,
    *MOVING,
)  # fmt: skip

#: Keys of every screen, in addition to those of the tabs.
COMMON: Final = (
    Key(("l", "right", "tab"), "app.next_tab(1)", "", "The next tab"),
    Key(("h", "left", "shift+tab"), "app.next_tab(-1)", "", "The previous tab"),
    Key(
        ("colon",),
        "app.jump",
        "",
        "Jump to a tab, a queue, a job or a time such as 03:12; save NAME, view NAME and forget "
        "NAME are about saved views; notify CONDITION tells with a bell",
    ),
    Key(("ctrl+r", "f5"), "app.present", "", "Refresh now; back to the present"),
    Key(("plus",), "app.faster(0.5)", "", "Refresh twice as often; play a recording faster"),
    Key(("minus",), "app.faster(2)", "", "Refresh half as often; play a recording slower"),
    Key(("z",), "app.freeze", "", "Freeze the screen, or resume; play a recording, or stop"),
    Key(("left_square_bracket",), "app.step_time(-1)", "", "Back in time: the reading before"),
    Key(("right_square_bracket",), "app.step_time(1)", "", "The next reading"),
    Key(("left_curly_bracket",), "app.move_time(-60)", "", "A minute back in time"),
    Key(("right_curly_bracket",), "app.move_time(60)", "", "A minute on"),
    Key(("backslash",), "app.zoom_time", "", "The strip of the past: all, an hour, ten minutes"),
    Key(("ctrl+t",), "app.next_theme", "", "The next theme"),
    Key(("escape", "backspace"), "back", "", "Back; leaves a filter first"),
    Key(("ctrl+p",), "app.command_palette", "", "All commands, by name"),
    Key(("question_mark", "f1"), "app.help", "help", "This help"),
    Key(("q", "ctrl+c"), "app.quit", "quit", "Quit"),
)


def bindings(keys: Iterable[Key]) -> list[Binding]:
    """Make Textual's bindings from keys."""
    return [
        Binding(name, key.action, key.label or key.help, show=False)
        for key in keys
        for name in key.keys
    ]


def changed(keys: Sequence[Key], *others: Key) -> tuple[Key, ...]:
    """Return the keys; each of the others replaces the key with the same action."""
    replaced = {key.action: key for key in others}
    return tuple(replaced.get(key.action, key) for key in keys)
