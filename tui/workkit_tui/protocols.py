"""The application as its screens know it.

Screens know this protocol, and the application knows the screens, so that no two modules import
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from textual.screen import Screen

from workkit.admin.notices.conditions import Condition
from workkit.admin.reader import Reader
from workkit.core.clock import Clock
from workkit.core.masks import Masks
from workkit.core.records import Overview
from workkit_tui.feed import View
from workkit_tui.model.copies import Copy
from workkit_tui.model.following import Following
from workkit_tui.model.hour import Hour
from workkit_tui.model.job_page import JobPage
from workkit_tui.past import Past
from workkit_tui.places import Places
from workkit_tui.remembered import Remembered
from workkit_tui.settings import Settings

if TYPE_CHECKING:
    from workkit.admin.actions import Actions

__all__ = ["ConsoleApp", "TabLabel"]


class TabLabel(Protocol):
    """A tab for the bar and the help."""

    @property
    def name(self) -> str:
        """Its name in code."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def key(self) -> str:
        """The key that goes there."""
        ...


class ConsoleApp(Protocol):
    """The application, as its screens know it.

    Attributes:
        reader: Reads the namespace.
        actions: Acts on it; None where nothing can be changed, as in a snapshot.
        settings: The choices of the user.
        masks: Hides secrets.
        view: The newest view; None before the first one.
        remembered: Saved views and chosen columns.
        hour: The series of the last hour; None before they were read, and where nothing is
            remembered.
        marked: The job that another one will be compared with; None for none.
        trouble: Why the last reading failed; "" if it did not.
        clock: Tells the time.
    """

    clock: Clock
    reader: Reader
    actions: Actions | None
    settings: Settings
    masks: Masks
    view: View | None
    hour: Hour | None
    marked: JobPage | None
    remembered: Remembered
    trouble: str

    @property
    def is_running(self) -> bool:
        """Whether it runs and is not about to end."""
        ...

    @property
    def past(self) -> Past | None:
        """Where in the past the screen is; None in the present."""
        ...

    @property
    def places(self) -> Places | None:
        """The namespaces that the console looks at; None for a single one."""
        ...

    def go_to_time(self, text: str) -> None:
        """Go to a time of the past as it was typed, or to "now"; see `find_time`."""
        ...

    @property
    def tabs(self) -> Sequence[TabLabel]:
        """The tabs, in their order."""
        ...

    def badges(self, seen: Overview) -> Mapping[str, str]:
        """Return the number beside each tab: name → text, "" for none."""
        ...

    def tab_named(self, name: str) -> TabLabel:
        """Return a tab by its name."""
        ...

    @property
    def conditions(self) -> Sequence[Condition]:
        """The conditions of which the user is told."""
        ...

    def watch_for(self, conditions: Sequence[Condition]) -> None:
        """Tell of conditions from now on, instead of those before."""
        ...

    def call_from_thread(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something on the thread of the application, and wait for it."""
        ...

    def may_act(self) -> bool:
        """Tell whether something may be changed now; if not, show why."""
        ...

    def pause(self, name: str, *, wanted: bool) -> None:
        """Pause a queue, or resume it."""
        ...

    def follow(self, placed: Any) -> bool:
        """Follow a job until it ends; tell whether that is possible, and if not, show why."""
        ...

    def unfollow(self, job_id: str) -> None:
        """Follow a job no longer."""
        ...

    def following(self, job_id: str) -> Following | None:
        """Return how a job is or was followed; None if it was not."""
        ...

    def copy(self, copy: Copy) -> None:
        """Copy a text to the clipboard of the user's terminal or browser, and say so."""
        ...

    def open_screen(self, screen: Screen[None]) -> None:
        """Open a screen on top; Escape comes back."""
        ...

    def action_tab(self, name: str) -> None:
        """Go to a tab."""
        ...

    def action_refresh_now(self) -> None:
        """Read a view at once."""
        ...

    def state_words(self) -> tuple[str, str]:
        """Return how fresh the screen is, in words, and the name of a colour."""
        ...
