"""`:save NAME` keeps what a screen shows, `:view NAME` shows it again, `:forget NAME` drops it."""

from __future__ import annotations

from typing import Final

from workkit.core.text import clean
from workkit.errors import InvalidOption, InvalidQuery
from workkit_tui.remembered import SavedView
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.queue import QueueScreen

__all__ = ["VIEW_WORDS", "Viewing"]

#: The first words of the commands.
VIEW_WORDS: Final = ("save", "view", "forget")


class Viewing:
    """Carries out the commands about saved views.

    Args:
        screen: The screen that they are typed on.
    """

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._console = screen.console

    def do(self, word: str, name: str) -> None:
        """Carry out a command.

        Args:
            word: One of `VIEW_WORDS`.
            name: The name of the view; "" to list all.

        Raises:
            ValueError: It cannot be done; the message says why.
        """
        try:
            if not name:
                self._list()
            elif word == "save":
                self._save(name)
            elif word == "forget":
                self._console.remembered.forget_view(name)
                self._say(f"View {name} is forgotten.")
            else:
                self._show(self._console.remembered.view(name))
        except InvalidOption as error:
            raise ValueError(str(error)) from None
        self._screen.close_prompt()

    def _say(self, text: str) -> None:
        self._screen.app.notify(clean(text))

    def _list(self) -> None:
        names = ", ".join(self._console.remembered.views)
        self._say(f"Views: {names}" if names else "No view is saved yet; :save NAME saves one.")

    def _save(self, name: str) -> None:
        view = self._screen.saved()
        if view is None:
            raise ValueError("the page of one job is not a view; views are lists")
        remembered = self._console.remembered
        replaced = remembered.save_view(name, view)
        again = ", instead of the one before" if replaced else ""
        where = f" in {remembered.where}" if remembered.where else " until the console ends"
        self._say(f"View {name} is saved{where}{again}.")

    def _show(self, view: SavedView) -> None:
        console = self._console
        if view.screen == "queue":
            try:
                screen = QueueScreen(view.queue, view.filter)
            except (InvalidOption, InvalidQuery) as error:
                raise ValueError(f"the view cannot be shown: {error}") from None
            console.action_tab("queues")
            screen.restore(view)
            console.open_screen(screen)
            return
        tabs = {tab.name for tab in console.tabs}
        if view.screen not in tabs:
            raise ValueError(f"the view is of a screen that is not here: {view.screen}")
        screen_of_tab = self._screen.app.get_screen(view.screen)
        assert isinstance(screen_of_tab, ConsoleScreen)  # noqa: S101 - tabs have no others
        try:
            screen_of_tab.restore(view)
        except InvalidQuery as error:
            raise ValueError(f"the view cannot be shown: {error.reason}") from None
        console.action_tab(view.screen)
