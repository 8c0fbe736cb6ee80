"""The application: one reader, one feed, and the screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from textual.app import App, SystemCommand
from textual.color import Color
from textual.screen import Screen
from textual.worker import get_current_worker

from workkit.admin.reader import Reader
from workkit.core.clock import Clock, SystemClock
from workkit.core.masks import Masks
from workkit.core.records import Overview
from workkit.core.text import age, clean
from workkit.errors import InvalidOption, ServerError, WorkkitError
from workkit_tui.exporting import Exporter
from workkit_tui.feed import Feed, View
from workkit_tui.jumps import Jumps
from workkit_tui.model.job_page import JobPage
from workkit_tui.notifying import NotifyingApp
from workkit_tui.palette import KeyCommands
from workkit_tui.past import Past
from workkit_tui.places import Places
from workkit_tui.remembered import Remembered
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.help import HelpScreen
from workkit_tui.settings import Settings
from workkit_tui.tabs import PLACES, TABS, Tab
from workkit_tui.themes import THEMES
from workkit_tui.travelling import TravellingApp

if TYPE_CHECKING:
    from workkit.admin.actions import Actions
    from workkit.recording import Recording

__all__ = ["Console"]

_TICK_S: Final = 0.2
_FASTEST_S: Final = 0.2
_SLOWEST_S: Final = 60.0


class Console(NotifyingApp, TravellingApp):
    """The console.

    Args:
        reader: Reads the namespace.
        actions: Changes the namespace; None if it cannot be changed, as in a snapshot.
        pause: Pauses (True) or resumes a queue by its name; None as above.
        settings: The choices of the user.
        clock: Tells the time.
        recording: The recording that `reader` is a moment of; None to show the present.
        at_s: The time of that moment, epoch seconds.
        places: All namespaces, if there are several; to change to another one, it ends with its
            index.
    """

    CSS_PATH = "console.tcss"
    TITLE = "workkit"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = App.COMMANDS | {KeyCommands}

    def __init__(
        self,
        reader: Reader,
        *,
        actions: Actions | None = None,
        pause: Callable[[str, bool], object] | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        recording: Recording | None = None,
        at_s: float | None = None,
        places: Places | None = None,
    ) -> None:
        super().__init__()
        self.reader = reader
        self.places = places
        #: The tabs, in their order.
        self.tabs: Sequence[Tab] = TABS if places is None else (PLACES, *TABS)
        self.actions = actions
        self.pause_queue = pause
        self.settings = settings or Settings()
        if actions is not None:
            actions.logic.log.hide_also((*self.settings.masks, *self.settings.masks_also))
        self.masks = Masks((*self.settings.masks, *self.settings.masks_also))
        path = Path(self.settings.file) if self.settings.file else None
        self.remembered = Remembered(path)
        self.clock = clock or SystemClock()
        self.feed = Feed(reader, self.settings.refresh_s)
        self.view: View | None = None
        self.marked: JobPage | None = None
        self.trouble = ""
        self.frozen = False
        self._looking = False
        self._next_look_s = 0.0
        self._looked_s: float | None = None
        #: How many readings have ended, failed ones included.
        self.looks = 0
        self.begin_travel(recording, at_s)

    def hidden(self, text: str) -> str:
        """Return a text without secrets."""
        return self.masks.text(text)

    def get_css_variables(self) -> dict[str, str]:
        """Add colours that are mixed from those of the theme."""
        variables = super().get_css_variables()
        back = Color.parse(variables["background"])
        for name, source, share in (
            ("row-cursor", "primary", 0.12),  # text on it keeps its contrast
            ("series", "primary", 0.8),
            ("series-alarm", "error", 0.8),
        ):
            variables[name] = back.blend(Color.parse(variables[source]), share).hex
        return variables

    # Start and end.

    def on_mount(self) -> None:
        """Open the first tab and begin to read."""
        self.remembered.writable = not self.is_web  # known only now; the file is on the server
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme
        for tab in self.tabs:
            self.install_screen(tab.screen(), tab.name)
            self.bind(tab.key, f"tab('{tab.name}')", description=tab.title, show=False)
        self.push_screen(self.tabs[bool(self.places and self.places.chosen)].name)
        self.set_interval(_TICK_S, self._tick)
        if trouble := self.remembered.trouble:
            said = f"No saved views and columns: {trouble}. The file is left as it is."
            self.notify(said, severity="error", timeout=20)

    def on_unmount(self) -> None:
        """Close the connections."""
        self.feed.close()
        self.end_travel()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer the tabs in addition to Textual's own commands."""
        yield from super().get_system_commands(screen)
        for tab in self.tabs:
            go = partial(self.action_tab, tab.name)
            yield SystemCommand(tab.title, f"Go to the tab (key {tab.key})", go)

    def tab_named(self, name: str) -> Tab:
        """Return a tab by its name."""
        return next(tab for tab in self.tabs if tab.name == name)

    def badges(self, seen: Overview) -> Mapping[str, str]:
        """Return the number beside each tab: name → text, "" for none."""
        return {tab.name: tab.screen.badge(seen) for tab in self.tabs}

    # Reading.

    def _tick(self) -> None:
        now_s = self.clock.read().monotonic_s
        if self.past is not None and not self.past.advance():
            self._return()
            self._next_look_s = 0.0
        if not self._looking and not self.frozen and now_s >= self._next_look_s:
            self.look_now()
        self._say_state()

    def look_now(self) -> None:
        """Start to read a view, unless one is being read."""
        if self._looking:
            self._next_look_s = 0.0
            return
        self._looking = True
        screen = self.console_screen
        if self.past is not None:
            self.past.columns = max(self.size.width - 2, 1)
        self.run_worker(lambda: self._look(screen), thread=True, group="feed", exit_on_error=True)

    def _look(self, screen: ConsoleScreen | None) -> None:
        """Read a view, on a thread."""

        def gather(reader: Reader, seen: Overview) -> Any:
            return screen.gather(reader, seen) if screen is not None else None

        worker, past = get_current_worker(), self.past
        view, trouble = None, ""
        try:
            view = past.look(gather) if past is not None else self.feed.look(gather)
        except (ServerError, InvalidOption) as error:
            trouble = str(error)
        if not worker.is_cancelled and self.is_running:
            self.call_from_thread(self._looked, screen, view, trouble, past)
        if past is None and view is not None:
            self.remember(view)
        elif past is None:
            self.remember_trouble(trouble)

    def _looked(
        self, screen: ConsoleScreen | None, view: View | None, trouble: str, past: Past | None
    ) -> None:
        self._looking = False
        self.looks += 1
        now_s = self.clock.read().monotonic_s
        if past is not self.past:
            self._next_look_s = 0.0  # it has moved meanwhile, so this is not what is shown
            return
        if past is not None:
            self.reader, trouble = past.moment or self.reader, trouble or past.trouble
        wait_s = (past or self.feed).wait_s if view else max(self.feed.refresh_s, 1.0)
        self._next_look_s = now_s + wait_s if self._next_look_s else 0.0
        if self._next_look_s == 0.0:
            self._next_look_s = now_s
        self.trouble = trouble
        if view is not None:
            self.view, self._looked_s = view, now_s
            self.tell_of(view)
            self._show(screen)
        self._say_state()

    def _show(self, screen: ConsoleScreen | None) -> None:
        """Pass the view to its screen if that screen is still current."""
        present = self.console_screen
        if self.view is not None and present is not None:
            if present is screen:
                present.take(self.view)
                if present.WANTS_HOUR:
                    self.read_hour(self.view)
            else:
                present.take_common(self.view)

    def _say_state(self) -> None:
        screen = self.console_screen
        if screen is not None and screen.is_mounted:
            screen.say_state()

    @property
    def console_screen(self) -> ConsoleScreen | None:
        """The current screen; if a box is open, the screen behind it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                return screen
        return None

    @property
    def age_s(self) -> float | None:
        """The age of the shown data, seconds; None before the first view."""
        if self._looked_s is None:
            return None
        return self.clock.read().monotonic_s - self._looked_s

    # Changes.

    def may_act(self) -> bool:
        """Tell whether something may be changed now; if not, show why."""
        if self.past is not None:
            self._refuse("a change")
        elif self.actions is None:
            self.notify("This is a snapshot; nothing can be changed in it.", severity="warning")
        elif self.settings.read_only:
            self.notify("This console is read-only.", severity="warning")
        elif self.trouble:
            reason = f"Redis cannot be reached, so nothing can be changed: {clean(self.trouble)}"
            self.notify(reason, severity="error")
        elif self.view is None:
            self.notify("Nothing has been read yet.", severity="warning")
        else:
            return True
        return False

    def pause(self, name: str, *, wanted: bool) -> None:
        """Pause or resume a queue, and show that. If nothing may be changed, show why.

        Args:
            name: The name of the queue.
            wanted: Whether it is to be paused.
        """
        if self.may_act():
            self.run_worker(lambda: self._pause(name, wanted), thread=True, group="pause")

    def _pause(self, name: str, wanted: bool) -> None:
        assert self.pause_queue is not None  # noqa: S101 - may_act has told so
        trouble = ""
        try:
            self.pause_queue(name, wanted)
        except WorkkitError as error:
            trouble = clean(str(error))
        if self.is_running:
            self.call_from_thread(self._paused, name, wanted, trouble)

    def _paused(self, name: str, wanted: bool, trouble: str) -> None:
        did = "is paused; running jobs continue" if wanted else "is resumed"
        severity: Any = "error" if trouble else "information"
        self.notify(trouble or f"Queue {clean(name)} {did}.", severity=severity)
        self.action_refresh_now()

    # Actions of all screens.

    def action_tab(self, name: str) -> None:
        """Go to a tab."""
        self.feed.wake()
        while len(self.screen_stack) > 2:  # noqa: PLR2004 - Textual's own, and the tab
            self.pop_screen()
        here = self.screen_stack[-1]
        if here is not self.get_screen(name):
            if isinstance(here, ConsoleScreen):
                here.leave()
            self.switch_screen(name)
        if self.view is not None:
            self.call_later(self._show_common)
        self._next_look_s = 0.0

    def _show_common(self) -> None:
        screen = self.console_screen
        if screen is not None and self.view is not None:
            screen.take_common(self.view)

    def open_screen(self, screen: Screen[None]) -> None:
        """Open a screen on top; Escape comes back."""
        self.feed.wake()
        self.push_screen(screen)
        self.call_later(self._show_common)
        self._next_look_s = 0.0

    def action_next_tab(self, by: int) -> None:
        """Go to a neighbouring tab."""
        names = [tab.name for tab in self.tabs]
        screen = self.console_screen
        here = names.index(screen.TAB) if screen is not None and screen.TAB in names else 0
        self.action_tab(names[(here + by) % len(names)])

    def action_refresh_now(self) -> None:
        """Read a view at once."""
        self.feed.wake()
        self._next_look_s = 0.0
        self.look_now()

    def action_faster(self, factor: float) -> None:
        """Read more often, or less; a recording plays faster, or slower."""
        if self.past is not None:
            speed = self.past.faster(1 if factor < 1 else -1)
            self.notify(f"Plays {speed} times as fast as it was.")
            self._moved()
            return
        wanted = min(max(self.feed.refresh_s * factor, _FASTEST_S), _SLOWEST_S)
        self.feed.refresh_s = wanted
        self.feed.wake()
        self._next_look_s = 0.0
        self.notify(f"Refreshes every {wanted:g} s while something changes.")

    def action_freeze(self) -> None:
        """Freeze the screen, or resume; play a recording, or stop."""
        if self.past is not None:
            self.play_or_stop()
            return
        self.frozen = not self.frozen
        self._next_look_s = 0.0
        self._say_state()

    def action_next_theme(self) -> None:
        """Try the next theme."""
        names = sorted(self.available_themes, key=lambda name: (not name.startswith("work"), name))
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.notify(f"Theme {self.theme}")

    def action_help(self) -> None:
        """Explain the keys of the screen."""
        screen = self.console_screen
        if screen is not None and screen is self.screen:
            self.push_screen(HelpScreen(screen.TITLE_SHOWN, screen.all_keys(), self.tabs))

    def action_jump(self) -> None:
        """Ask where to go."""
        screen = self.console_screen
        if screen is not None and screen is self.screen:
            Jumps(screen).ask()

    def action_export(self) -> None:
        """Ask for a file, and write the list to it."""
        screen = self.console_screen
        if screen is not None and screen is self.screen:
            Exporter(screen).ask()

    def state_words(self) -> tuple[str, str]:
        """Return how fresh the screen is, in words, and the name of a colour."""
        if self.past is not None:
            return self.past.words, "warning"
        if self.frozen:
            return "frozen; z resumes", "warning"
        if self.trouble:
            seen = "never" if self.age_s is None else f"{age(self.age_s)} ago"
            return f"last seen {seen}", "error"
        if not self.reader.live:
            return "snapshot", "warning"
        return f"every {self.feed.refresh_s:g} s", "success"
