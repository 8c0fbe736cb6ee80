"""The keys of the current screen in the command palette."""

from __future__ import annotations

from textual.command import Hit, Hits, Provider

from workkit_tui.screens.base import ConsoleScreen

__all__ = ["KeyCommands"]


class KeyCommands(Provider):
    """Offers the keys of the current screen in the command palette."""

    async def search(self, query: str) -> Hits:
        """Yield the keys whose help matches."""
        screen = self.screen
        matcher = self.matcher(query)
        if isinstance(screen, ConsoleScreen):
            for key in screen.all_keys():
                if (score := matcher.match(key.help)) > 0:
                    run = screen.runner(key)
                    yield Hit(score, matcher.highlight(key.help), run, help=key.all_shown)
