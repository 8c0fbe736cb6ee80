"""`:` goes to a tab, a queue, a job, a time or a saved view."""

from __future__ import annotations

from workkit.admin.notices.conditions import read_condition
from workkit.core.records import Found
from workkit.core.text import clean, counted
from workkit.errors import InvalidOption, InvalidQuery, ServerError
from workkit.recording.times import is_time
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.viewing import VIEW_WORDS, Viewing

__all__ = ["Jumps"]

_NOTIFY = "notify"


class Jumps:
    """Goes to the tab, queue, job or time that was typed after the colon.

    Args:
        screen: The screen that it is typed on.
    """

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._console = screen.console

    def ask(self) -> None:
        """Ask where to go."""
        self._screen.prompt.ask(
            ":",
            self._go,
            hint="a tab, queue, job's id or time; save NAME, view NAME, notify CONDITION",
            names=self._names(),
        )

    def _names(self) -> list[str]:
        """Return what tab completes a line to."""
        console = self._console
        views = list(console.remembered.views)
        queues = [queue.job_name for queue in console.view.seen.queues] if console.view else []
        return [
            *(tab.title.lower() for tab in console.tabs),
            *(f"view {name}" for name in views),
            *(f"forget {name}" for name in views),
            *(name for name in queues if name.isprintable()),
            "save ", f"{_NOTIFY} ",
        ]  # fmt: skip

    def _go(self, text: str) -> None:
        console, app = self._console, self._screen.app
        word, _, rest = text.partition(" ")
        if word == _NOTIFY:
            self._notify(text, rest.strip())
            return
        if word in VIEW_WORDS:
            Viewing(self._screen).do(word, rest.strip())
            return
        self._screen.close_prompt()
        if not text:
            return
        if text in {"q", "quit", "exit"}:
            app.exit()
            return
        if is_time(text):
            self._travel(text)
            return
        tabs = [tab for tab in console.tabs if tab.title.lower().startswith(text.lower())]
        if tabs:
            console.action_tab(tabs[0].name)
            return
        names = [queue.job_name for queue in console.view.seen.queues] if console.view else []
        fitting = [name for name in names if name == text] or [
            name for name in names if name.startswith(text)
        ]
        if fitting:
            console.open_screen(QueueScreen(fitting[0]))
            return
        app.notify(f"Searching for job {clean(text)} …")
        app.run_worker(lambda: self._find(text), thread=True, group="find", exclusive=True)

    def _travel(self, text: str) -> None:
        try:
            self._console.go_to_time(text)
        except InvalidOption as error:
            self._screen.app.notify(clean(str(error)), severity="warning")

    def _notify(self, text: str, condition: str) -> None:
        """Watch for a condition too; without one, say which there are; with "off", for none."""
        console, app = self._console, self._screen.app
        known = list(console.conditions)
        if condition == "off":
            console.watch_for([])
            app.notify(f"{counted(len(known), 'condition')} dropped.")
        elif not condition:
            said = "; ".join(map(str, known)) or "nothing yet, such as :notify dead.rate>5/min"
            app.notify(f"Told of: {said}")
        elif not console.reader.live:
            raise ValueError("a snapshot does not change")
        else:
            try:
                new = read_condition(condition)
            except InvalidQuery as error:
                at = text.index(condition) + error.at
                raise InvalidQuery(text, at, error.reason) from None
            console.watch_for([*known, new])
            app.notify(f"A bell tells when {new}. :notify off ends it.")
            console.action_refresh_now()
        self._screen.close_prompt()

    def _find(self, job_id: str) -> None:
        found, trouble = None, ""
        try:
            found = self._console.reader.find(job_id)
        except ServerError as error:
            trouble = str(error)
        if self._console.is_running:
            self._console.call_from_thread(self._found, job_id, found, trouble)

    def _found(self, job_id: str, found: Found | None, trouble: str) -> None:
        app = self._screen.app
        if trouble:
            app.notify(clean(trouble), severity="error")
        elif found is None:
            app.notify(f"No tab, queue or job is called {clean(job_id)}.", severity="warning")
        else:
            self._console.open_screen(JobScreen(found))
