"""`:` goes to a screen, a queue or a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workkit.core.text import clean
from workkit.errors import ServerError
from workkit_tui.keys import TABS

if TYPE_CHECKING:
    from workkit.core.records import Found
    from workkit_tui.app import Console
    from workkit_tui.screens.base import ConsoleScreen

__all__ = ["Jumps"]


class Jumps:
    """Finds what was typed after the colon.

    Args:
        app: The console.
    """

    def __init__(self, app: Console) -> None:
        self._app = app

    def ask(self, screen: ConsoleScreen) -> None:
        """Ask on a screen where to go."""
        screen.prompt.ask(":", self._go, hint="a screen, a queue, or the id of a job")

    def _go(self, text: str) -> None:
        app = self._app
        screen = app.console_screen
        if screen is not None:
            screen.close_prompt()
        if not text:
            return
        if text in {"q", "quit", "exit"}:
            app.exit()
            return
        screens = [name for name, title in TABS if title.lower().startswith(text.lower())]
        if screens:
            app.action_tab(screens[0])
            return
        seen = app.view.seen if app.view else None
        names = [queue.job_name for queue in seen.queues] if seen else []
        fitting = [name for name in names if name == text] or [
            name for name in names if name.startswith(text)
        ]
        if fitting:
            from workkit_tui.screens.queue import QueueScreen

            app.open_screen(QueueScreen(fitting[0]))
            return
        app.notify(f"Looking for a job {clean(text)} …")
        app.run_worker(lambda: self._find(text), thread=True, group="find", exclusive=True)

    def _find(self, job_id: str) -> None:
        found, trouble = None, ""
        try:
            found = self._app.reader.find(job_id)
        except ServerError as error:
            trouble = str(error)
        if self._app.is_running:
            self._app.call_from_thread(self._found, job_id, found, trouble)

    def _found(self, job_id: str, found: Found | None, trouble: str) -> None:
        if trouble:
            self._app.notify(clean(trouble), severity="error")
        elif found is None:
            self._app.notify(
                f"No screen, queue or waiting job is called {clean(job_id)}.", severity="warning"
            )
        else:
            from workkit_tui.screens.job import JobScreen

            self._app.open_screen(JobScreen(found))
