"""Cron: the entries, their next slots, and how the last slot ended."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Final

from textual.app import ComposeResult

from workkit.admin.reader import Reader
from workkit.core.records import CronEntry, Overview
from workkit.core.text import clean, counted
from workkit.cron import parse
from workkit.cron.words import in_words
from workkit.errors import InvalidSpec
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key, copying
from workkit_tui.model.copies import Copy
from workkit_tui.model.words import ago, clock, until
from workkit_tui.screens.base import ListScreen
from workkit_tui.screens.scheduled import ScheduledScreen
from workkit_tui.widgets.table import Row, Table, TableColumn

__all__ = ["CronScreen"]

#: Pools declare their entries twice a minute. An entry that was not declared for this long is
#: retired, seconds.
_RETIRED_S: Final = 90
_COLUMNS: Final = (
    TableColumn("Job", 14, grows=1),
    TableColumn("Spec", 25, grows=1),
    TableColumn("In words", 22, grows=2, needs=118),
    TableColumn("Next", 11, right=True),
    TableColumn("At", 12, right=True, needs=86),
    TableColumn("Then", 42, grows=1, needs=156),
    TableColumn("Last", 8, right=True),
    TableColumn("State", 9),
    TableColumn("Declared", 9, right=True, needs=96),
)
_COLORS: Final = {
    "failed": "bad", "started": "accent", "done": "good", "queued": "accent", "returned": "accent",
}  # fmt: skip


@lru_cache(maxsize=10_000)
def _words(spec: str) -> str:
    """Say when a spec is due, in the zone of this machine if it names none."""
    try:
        return in_words(parse(spec))
    except InvalidSpec:
        return "not a valid spec"


class CronScreen(ListScreen):
    """All cron entries that pools have declared."""

    TAB = "cron"
    TITLE_SHOWN = "Cron"
    KEYS: ClassVar = (
        Key(("enter",), "open", "slots", "Show the scheduled jobs of the entry"),
        Key(("e",), "app.export", "export", "Write the list to a file"),
        copying("the spec of the entry"),
        *MOVING,
    )

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[CronEntry] = []
        self._now_s = 0.0

    def body(self) -> ComposeResult:
        """Build the table."""
        yield Table(_COLUMNS, self._row, name="cron")

    def gather(self, reader: Reader, seen: Overview) -> list[CronEntry]:
        """Read the entries."""
        del seen
        return reader.cron()

    def show(self, view: View) -> None:
        """Draw the entries, the next one first."""
        self._now_s = view.seen.taken_at
        entries: list[CronEntry] = view.gathered or []
        self._entries = sorted(
            entries, key=lambda e: (self._is_retired(e), e.next_slots[:1] or (2**60,), e.job_name)
        )
        self.table.total = len(self._entries)
        self.table.empty = "no pool has declared a cron job"
        self.table.refresh_rows()
        retired = sum(map(self._is_retired, self._entries))
        self.head(
            (counted(len(self._entries) - retired, "cron job"), "secondary"),
            (f" · {retired} retired" if retired else "", "secondary"),
        )

    def _is_retired(self, entry: CronEntry) -> bool:
        return self._now_s - entry.seen_at > _RETIRED_S

    def _row(self, at: int) -> Row | None:
        if at >= len(self._entries):
            return None
        entry = self._entries[at]
        retired = self._is_retired(entry)
        upcoming = entry.next_slots if not retired else ()
        return Row(
            [
                clean(entry.job_name),
                clean(entry.spec),
                clean(_words(entry.spec)),
                until(upcoming[0], self._now_s) if upcoming else "-",
                clock(upcoming[0], self._now_s) if upcoming else "-",
                ", ".join(clock(slot, self._now_s) for slot in upcoming[1:4]),
                ago(entry.last_slot or 0, self._now_s),
                (entry.last_state, _COLORS.get(entry.last_state, "")) if entry.last_state else "-",
                "retired" if retired else ago(entry.seen_at, self._now_s),
            ],
            dim=retired,
        )

    def copies(self) -> list[Copy]:
        """Return the spec of the entry under the cursor."""
        found = self._entries[self.table.cursor : self.table.cursor + 1]
        return [Copy("the spec", clean(entry.spec)) for entry in found]

    def action_open(self) -> None:
        """Show the scheduled jobs of the entry."""
        if self.table.cursor < len(self._entries):
            name = self._entries[self.table.cursor].job_name.replace("\\", "\\\\")
            quoted = name.replace('"', '\\"')
            self.console.open_screen(ScheduledScreen(f'queue:"{quoted}" is:cron'))

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of the list."""
        return "cron", list(self._entries)
