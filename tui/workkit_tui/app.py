"""The application: one reader, one feed, and the screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from textual.app import App, SystemCommand
from textual.color import Color
from textual.command import Hit, Hits, Provider
from textual.screen import Screen
from textual.worker import get_current_worker

from workkit.admin.reader import Reader
from workkit.core.clock import Clock, SystemClock
from workkit.core.records import Overview
from workkit.core.text import age, clean, counted
from workkit.errors import ServerError, WorkkitError
from workkit_tui.feed import Feed, View
from workkit_tui.keys import TABS
from workkit_tui.model.masks import Masks
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.settings import Settings
from workkit_tui.themes import THEMES

if TYPE_CHECKING:
    from workkit.admin.actions import Actions

__all__ = ["Console", "KeyCommands"]

_TICK_S: Final = 0.2
_FASTEST_S: Final = 0.2
_SLOWEST_S: Final = 60.0


class KeyCommands(Provider):
    """Offers the keys of the present screen in the command palette."""

    async def search(self, query: str) -> Hits:
        """Yield the keys whose help fits."""
        screen = self.screen
        matcher = self.matcher(query)
        if isinstance(screen, ConsoleScreen):
            for key in screen.all_keys():
                if (score := matcher.match(key.help)) > 0:
                    run = screen.runner(key)
                    yield Hit(score, matcher.highlight(key.help), run, help=key.all_shown)


class Console(App[None]):
    """The console.

    Args:
        reader: What is looked at.
        actions: Acts on it; None if it cannot be acted on, as a snapshot.
        pause: Pauses (True) or unpauses a queue by its name; None as above.
        settings: What the user chose.
        clock: Where times come from.
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
    ) -> None:
        super().__init__()
        self.reader = reader
        self.actions = actions
        self.pause_queue = pause
        self.settings = settings or Settings()
        self.masks = Masks(self.settings.masks)
        self.clock = clock or SystemClock()
        self.feed = Feed(reader, self.settings.refresh_s)
        self.view: View | None = None
        self.trouble = ""
        self.frozen = False
        self._looking = False
        self._next_look_s = 0.0
        self._looked_s: float | None = None
        #: How many looks have ended, well or not.
        self.looks = 0

    def get_css_variables(self) -> dict[str, str]:
        """Add colours that are mixed from those of the theme."""
        variables = super().get_css_variables()
        back = Color.parse(variables["background"])
        for name, source, share in (
            ("row-cursor", "primary", 0.28),
            ("series", "primary", 0.7),
            ("series-alarm", "error", 0.7),
        ):
            variables[name] = back.blend(Color.parse(variables[source]), share).hex
        return variables

    # StartChecks.

    def on_mount(self) -> None:
        """Open the first screen and begin to look."""
        for theme in THEMES:
            self.register_theme(theme)
        with suppress(Exception):  # an unknown theme is no reason not to start
            self.theme = self.settings.theme
        from workkit_tui.screens import TAB_SCREENS

        for name, make in TAB_SCREENS.items():
            self.install_screen(make(), name)
        self.push_screen(TABS[0][0])
        self.set_interval(_TICK_S, self._tick)

    def on_unmount(self) -> None:
        """Let go of the server."""
        self.feed.close()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer screens by name beside Textual's own commands."""
        yield from super().get_system_commands(screen)
        for at, (name, title) in enumerate(TABS, 1):
            yield SystemCommand(
                title, f"Go to the screen (key {at})", lambda name=name: self.action_tab(name)
            )

    # Looking.

    def _tick(self) -> None:
        now_s = self.clock.read().monotonic_s
        if not self._looking and not self.frozen and now_s >= self._next_look_s:
            self.look_now()
        self._say_state()

    def look_now(self) -> None:
        """Look, unless that is under way."""
        if self._looking:
            self._next_look_s = 0.0
            return
        self._looking = True
        screen = self.console_screen
        self.run_worker(lambda: self._look(screen), thread=True, group="feed", exit_on_error=True)

    def _look(self, screen: ConsoleScreen | None) -> None:
        """Read a view, on a thread."""

        def gather(reader: Reader, seen: Overview) -> Any:
            return screen.gather(reader, seen) if screen is not None else None

        worker = get_current_worker()
        view, trouble = None, ""
        try:
            view = self.feed.look(gather)
        except ServerError as error:
            trouble = str(error)
        if not worker.is_cancelled and self.is_running:
            self.call_from_thread(self._looked, screen, view, trouble)

    def _looked(self, screen: ConsoleScreen | None, view: View | None, trouble: str) -> None:
        self._looking = False
        self.looks += 1
        now_s = self.clock.read().monotonic_s
        wait_s = self.feed.wait_s if view else max(self.feed.refresh_s, 1.0)
        self._next_look_s = now_s + wait_s if self._next_look_s else 0.0
        if self._next_look_s == 0.0:
            self._next_look_s = now_s
        self.trouble = trouble
        if view is not None:
            self.view, self._looked_s = view, now_s
            self._show(screen)
        self._say_state()

    def _show(self, screen: ConsoleScreen | None) -> None:
        """Hand the view to its screen, if that is still there."""
        present = self.console_screen
        if self.view is not None and present is not None:
            if present is screen:
                present.take(self.view)
            else:
                present.take_common(self.view)

    def _say_state(self) -> None:
        screen = self.console_screen
        if screen is not None and screen.is_mounted:
            screen.say_state()

    @property
    def console_screen(self) -> ConsoleScreen | None:
        """The screen that is seen, or that is behind a question."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                return screen
        return None

    @property
    def age_s(self) -> float | None:
        """How old what is on the screen is, seconds; None before the first look."""
        if self._looked_s is None:
            return None
        return self.clock.read().monotonic_s - self._looked_s

    # What may be done.

    def may_act(self) -> bool:
        """Tell whether acts are allowed now; says why not."""
        if self.actions is None:
            self.notify("This is a snapshot; nothing can be changed in it.", severity="warning")
        elif self.settings.read_only:
            self.notify("This console is read-only.", severity="warning")
        elif self.trouble:
            reason = f"Not while Redis is out of reach: {clean(self.trouble)}"
            self.notify(reason, severity="error")
        elif self.view is None:
            self.notify("Nothing has been read yet.", severity="warning")
        else:
            return True
        return False

    def pause(self, name: str, *, wanted: bool) -> None:
        """Pause a queue, or let it go on, and say so; refuses where nothing may be done.

        Args:
            name: The queue's.
            wanted: Whether it is to be paused.
        """
        if self.may_act():
            self.run_worker(lambda: self._pause(name, wanted), thread=True, group="pause")

    def _pause(self, name: str, wanted: bool) -> None:
        assert self.pause_queue is not None  # noqa: S101 - it may be acted
        trouble = ""
        try:
            self.pause_queue(name, wanted)
        except WorkkitError as error:
            trouble = clean(str(error))
        if self.is_running:
            self.call_from_thread(self._paused, name, wanted, trouble)

    def _paused(self, name: str, wanted: bool, trouble: str) -> None:
        did = "is paused; what runs goes on" if wanted else "goes on"
        severity: Any = "error" if trouble else "information"
        self.notify(trouble or f"Queue {clean(name)} {did}.", severity=severity)
        self.action_refresh_now()

    # Actions of all screens.

    def action_tab(self, name: str) -> None:
        """Go to a screen with a number."""
        self.feed.wake()
        while len(self.screen_stack) > 2:  # noqa: PLR2004 - Textual's own, and the tab
            self.pop_screen()
        if self.screen_stack[-1] is not self.get_screen(name):
            self.switch_screen(name)
        if self.view is not None:
            self.call_later(self._show_common)
        self._next_look_s = 0.0

    def _show_common(self) -> None:
        screen = self.console_screen
        if screen is not None and self.view is not None:
            screen.take_common(self.view)

    def open_screen(self, screen: ConsoleScreen) -> None:
        """Go deeper; Escape comes back."""
        self.feed.wake()
        self.push_screen(screen)
        self.call_later(self._show_common)
        self._next_look_s = 0.0

    def action_next_tab(self, by: int) -> None:
        """Go to a neighbour of the screen."""
        names = [name for name, _ in TABS]
        screen = self.console_screen
        here = names.index(screen.TAB) if screen is not None and screen.TAB in names else 0
        self.action_tab(names[(here + by) % len(names)])

    def action_refresh_now(self) -> None:
        """Look at once."""
        self.feed.wake()
        self._next_look_s = 0.0
        self.look_now()

    def action_faster(self, factor: float) -> None:
        """Look more, or less, often."""
        wanted = min(max(self.feed.refresh_s * factor, _FASTEST_S), _SLOWEST_S)
        self.feed.refresh_s = wanted
        self.feed.wake()
        self._next_look_s = 0.0
        self.notify(f"Looks every {wanted:g} s while something happens.")

    def action_freeze(self) -> None:
        """Hold what is on the screen, or go on."""
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
        from workkit_tui.screens.help import HelpScreen

        screen = self.console_screen
        if screen is not None and screen is self.screen:
            self.push_screen(HelpScreen(screen.TITLE_SHOWN, screen.all_keys()))

    def action_jump(self) -> None:
        """Ask where to go."""
        from workkit_tui.jumps import Jumps

        screen = self.console_screen
        if screen is not None and screen is self.screen:
            Jumps(self).ask(screen)

    def action_export(self) -> None:
        """Ask for a file, and write what is listed to it."""
        screen = self.console_screen
        exported = getattr(screen, "exported", None)
        if screen is None or exported is None or screen is not self.screen:
            return
        name, _ = exported()
        from workkit_tui.export import FORMATS

        hint = f"a file that ends in {', '.join(FORMATS)}"
        screen.prompt.ask(
            "Write to", self._write, value=f"workkit-{name.replace('/', '_')}.csv", hint=hint
        )

    def _write(self, text: str) -> None:
        from pathlib import Path

        from workkit_tui.export import MOST, check, write

        screen: Any = self.console_screen
        _, records = screen.exported()
        check(Path(text))
        screen.close_prompt()

        def work() -> None:
            try:
                written = write(Path(text), records, self.masks)
            except (ServerError, ValueError) as error:
                self._say_later(clean(str(error)), "error")
            else:
                more = "; it is full, workkit export writes the rest" if written == MOST else ""
                said = f"Wrote {counted(written, 'record')} to {clean(text)}{more}"
                self._say_later(said, "warning" if more else "information")

        self.run_worker(work, thread=True, group="export")

    def _say_later(self, text: str, severity: Any) -> None:
        """Say something from a thread."""
        if self.is_running:
            self.call_from_thread(self.notify, text, severity=severity)

    def state_words(self) -> tuple[str, str]:
        """Return how fresh the screen is, in words, and the name of a colour."""
        if self.frozen:
            return "held, z goes on", "warning"
        if self.trouble:
            seen = "never" if self.age_s is None else f"{age(self.age_s)} ago"
            return f"last seen {seen}", "error"
        if not self.reader.live:
            return "snapshot", "warning"
        return f"every {self.feed.refresh_s:g} s", "success"
