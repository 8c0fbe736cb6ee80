"""The lines above and below each screen: tabs, state, trouble and keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual import events
from textual.reactive import reactive
from textual.widget import Widget

from workkit.core.text import clip, width
from workkit_tui.keys import Key
from workkit_tui.protocols import TabLabel

__all__ = ["Banner", "Footer", "Status", "TabBar"]

#: The longest title of a tab, and the shortest to which one is cut, columns.
_LONGEST: Final = 12
_SHORTEST: Final = 4


class Status(Widget):
    """The top line: the namespace, its rates, and how fresh the data is."""

    left: reactive[Text] = reactive(Text(), layout=False)
    right: reactive[Text] = reactive(Text(), layout=False)

    def render(self) -> Text:
        """Draw both sides; the left one is cut first."""
        right = self.right.copy()
        room = self.size.width - right.cell_len - 1
        left = self.left.copy()
        left.truncate(max(room, 0), overflow="ellipsis")
        gap = max(self.size.width - left.cell_len - right.cell_len, 0)
        return Text.assemble(left, " " * gap, right, no_wrap=True)


class TabBar(Widget):
    """The tabs with their keys, and how much is in them."""

    tabs: reactive[tuple[TabLabel, ...]] = reactive(tuple)
    current = reactive("")
    counts: reactive[dict[str, str]] = reactive(dict)

    def render(self) -> Text:
        """Draw all tabs. If there is no room, leave out the counts, shorten the titles, drop them.

        The title of the current tab is never left out.
        """
        text, _ = self._fitting()
        text.truncate(self.size.width)
        return text

    def _fitting(self) -> tuple[Text, list[tuple[int, str]]]:
        """Draw as much as there is room for; return also where each tab ends."""
        drawn = self._draw(names=_LONGEST, counts=True)
        for names in range(_LONGEST, _SHORTEST - 1, -1):
            if drawn[0].cell_len <= self.size.width:
                return drawn
            drawn = self._draw(names=names, counts=False)
        if drawn[0].cell_len <= self.size.width:
            return drawn
        return self._draw(names=0, counts=False)

    def _draw(self, *, names: int, counts: bool) -> tuple[Text, list[tuple[int, str]]]:
        """Draw all tabs with at most `names` columns of their titles."""
        text, ends = Text(no_wrap=True), []
        for tab in self.tabs:
            here = tab.name == self.current
            label = self._style("tab-bar--current" if here else "tab-bar--other")
            number = self._style("tab-bar--current" if here else "tab-bar--number")
            amount = self._style("tab-bar--current" if here else "tab-bar--count")
            edge = " " if counts else ""
            text.append(f"{edge}{tab.key}", number)
            if names or here:
                text.append(f" {clip(tab.title, names or _LONGEST)}", label)
            if counts and (count := self.counts.get(tab.name, "")):
                text.append(f" {count}", amount)
            text.append(edge, label)
            ends.append((text.cell_len, tab.name))
            if not counts and tab is not self.tabs[-1]:
                text.append(" ")
        return text, ends

    def _style(self, name: str) -> str:
        return str(self.get_component_rich_style(name, partial=True))

    COMPONENT_CLASSES = {  # noqa: RUF012 - as Textual declares it
        "tab-bar--current", "tab-bar--other", "tab-bar--number", "tab-bar--count",
    }  # fmt: skip

    async def on_click(self, event: events.Click) -> None:
        """Go to the screen that was clicked."""
        for end, name in self._fitting()[1]:
            if event.x < end:
                await self.run_action(f"app.tab('{name}')")
                return


class Banner(Widget):
    """The trouble with the shown data; hidden while there is none."""

    text = reactive("", layout=False)

    def watch_text(self) -> None:
        """Show it only if it has a text."""
        self.display = bool(self.text)

    def render(self) -> Text:
        """Draw it on one line."""
        return Text(clip(f" {self.text}", self.size.width), no_wrap=True)


class Footer(Widget):
    """The keys of a screen, as many as there is room for."""

    keys: reactive[tuple[Key, ...]] = reactive(tuple)
    note = reactive("")

    COMPONENT_CLASSES = {"footer--key", "footer--label", "footer--note"}  # noqa: RUF012 - Textual

    def render(self) -> Text:
        """Draw keys from the left; the last ones, help and quit, are never left out."""
        labelled = [key for key in self.keys if key.label]
        kept = self._fitting(labelled)
        text = Text(no_wrap=True)
        for key in kept:
            text.append(f" {key.shown} ", self._style("footer--key"))
            text.append(f"{key.label} ", self._style("footer--label"))
        if self.note:
            room = self.size.width - text.cell_len - width(self.note) - 1
            if room > 0:
                text.append(" " * room)
                text.append(self.note, self._style("footer--note"))
        return text

    def _fitting(self, keys: Sequence[Key]) -> list[Key]:
        room = self.size.width - (width(self.note) + 2 if self.note else 0)
        always, others = list(keys[-2:]), list(keys[:-2])

        def broad(chosen: Sequence[Key]) -> int:
            return sum(width(key.shown) + width(key.label) + 3 for key in chosen)

        while others and broad([*others, *always]) > room:
            others.pop()
        return [*others, *always]

    def _style(self, name: str) -> str:
        return str(self.get_component_rich_style(name, partial=True))
