"""Acts: who did what, and whether that record is whole."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult

from workkit.admin.acts import words
from workkit.admin.acts.act import Act, ActsReader
from workkit.admin.reader import Reader
from workkit.core.records import Overview
from workkit.core.text import clean, counted, stamp
from workkit.errors import WorkkitError
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key, bindings, copying
from workkit_tui.model.copies import Copy
from workkit_tui.model.listing import narrowed
from workkit_tui.model.words import clock
from workkit_tui.remembered import SavedView
from workkit_tui.screens.base import ListScreen
from workkit_tui.screens.box import BoxScreen
from workkit_tui.widgets.table import Row, Table, TableColumn

__all__ = ["ActScreen", "ActsScreen", "VerifyingScreen"]

#: So many acts are shown; `workkit audit-log` shows all.
_MOST: Final = 500
_COLUMNS: Final = (
    TableColumn("When", 12, right=True),
    TableColumn("By", 14, grows=1),
    TableColumn("Act", 7),
    TableColumn("Jobs", 7, right=True),
    TableColumn("On", 11, grows=1),
    TableColumn("Details", 16, grows=4),
)
_COLORS: Final = {"delete": "warn", "forget": "bad", "repair": "accent", "edit": "accent"}


class ActsScreen(ListScreen):
    """What people and programs have done."""

    TAB = "acts"
    TITLE_SHOWN = "Acts"
    KEYS: ClassVar = (
        Key(("enter",), "open", "details", "Show everything that is known of the act"),
        Key(("slash",), "filter", "filter", "Show the acts that contain these words"),
        Key(("v",), "verify", "verify", "Tell whether entries of the record were changed or are "
            "missing"),
        Key(("e",), "app.export", "export", "Write the list to a file"),
        copying("the line of the act"),
        *MOVING,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._all: list[Act] = []
        self._rows: list[Act] = []
        self._words = ""
        self._now_s = 0.0

    def body(self) -> ComposeResult:
        """Build the table."""
        yield Table(_COLUMNS, self._row, name="acts")

    def gather(self, reader: Reader, seen: Overview) -> list[Act]:
        """Read the newest acts."""
        del seen
        return list(reader.acts(limit=_MOST)) if isinstance(reader, ActsReader) else []

    def show(self, view: View) -> None:
        """Draw the acts, the newest first; the cursor stays on its act."""
        at = self.table.cursor
        number = self._rows[at].number if 0 < at < len(self._rows) else 0
        self._now_s = view.seen.taken_at
        self._all = view.gathered or []
        self._rows = narrowed(self._all, self._words, lambda act: " ".join(self._cells(act)))
        where = next((at for at, act in enumerate(self._rows) if act.number == number), None)
        self.table.total = len(self._rows)
        if where is not None:
            self.table.cursor = where
        self.table.empty = self._why_empty()
        self.table.refresh_rows()
        said = f"{len(self._rows)} of " if self._words else ""
        newest = "the newest " if len(self._all) == _MOST else ""
        self.head(
            (f"{said}{newest}{counted(len(self._all), 'act')}", "secondary"),
            (f" · /{self._words}" if self._words else "", "primary"),
        )

    def _why_empty(self) -> str:
        if self._words:
            return "no act matches the filter"
        if not self.console.reader.live:
            return "a snapshot has no acts"
        return "nobody has done anything with workkit yet"

    def _cells(self, act: Act) -> list[str]:
        texts = (act.by, act.verb, words.jobs(act), words.subject(act), words.details(act))
        return [clean(self.console.masks.text(text)) for text in texts]

    def _row(self, at: int) -> Row | None:
        if at >= len(self._rows):
            return None
        act = self._rows[at]
        by, verb, count, subject, details = self._cells(act)
        return Row(
            [
                clock(act.at_ms / 1_000, self._now_s),
                by or "-",
                (verb, _COLORS.get(act.verb, "")),
                count or "-",
                subject or "-",
                (details, "" if act.ended_ms else "warn"),
            ],
            dim=bool(act.undone_by),
        )

    # Keys.

    @property
    def current(self) -> Act | None:
        """The act under the cursor."""
        at = self.table.cursor
        return self._rows[at] if at < len(self._rows) else None

    def copies(self) -> list[Copy]:
        """Return the line of the act under the cursor."""
        if self.current is None:
            return []
        when = stamp(self.current.at_ms / 1_000)
        return [Copy("the act", " ".join([when, *filter(None, self._cells(self.current))]))]

    def action_open(self) -> None:
        """Show all of an act."""
        if self.current is not None:
            self.app.push_screen(ActScreen(self.current))

    def action_verify(self) -> None:
        """Verify the record."""
        if self.console.reader.live:
            self.app.push_screen(VerifyingScreen())

    def action_filter(self) -> None:
        """Ask for words."""
        self.prompt.ask("/", self._narrow, value=self._words, hint="words; -word excludes")

    def _narrow(self, text: str) -> None:
        self._words = text
        self.close_prompt()
        self.table.cursor = 0
        if self.console.view is not None:
            self.show(self.console.view)

    def saved(self) -> SavedView:
        """Return the words."""
        return SavedView(self.kind, filter=self._words)

    def restore(self, view: SavedView) -> None:
        """Show the acts with some words."""
        self._words = view.filter

    def action_back(self) -> None:
        """Leave the prompt, then the filter."""
        if not self.prompt.open and self._words:
            self._narrow("")
        else:
            super().action_back()

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of the list."""
        return "acts", list(self._rows)


class ActScreen(BoxScreen):
    """Shows all of an act.

    Args:
        act: The act.
    """

    BINDINGS = bindings(  # type: ignore[assignment]
        (Key(("escape", "enter", "q"), "cancel", "", "Close"),)
    )

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def on_mount(self) -> None:
        """Write the box."""
        act = self._act
        ids = ", ".join(act.ids[:5]) + (f" … ({len(act.ids)} ids)" if len(act.ids) > 5 else "")  # noqa: PLR2004
        ended = stamp(act.ended_ms / 1_000) if act.ended_ms else "not recorded"
        undone = f"{act.undone_by}, {stamp(act.undone_ms / 1_000)}" if act.undone_by else ""
        lines = (
            ("by", act.by), ("with", act.program), ("began", stamp(act.at_ms / 1_000)),
            ("ended", ended), ("on", words.subject(act)), ("jobs", words.jobs(act)),
            ("picked by", act.query), ("ids", ids), ("digest", act.digest),
            ("before", act.before), ("after", act.after), ("note", act.note),
            ("operation", act.operation_id), ("of operation", act.undoes), ("undone by", undone),
        )  # fmt: skip
        shown = (f"{name:<13}{self._hidden(text)}" for name, text in lines if text)
        self.say(f"{act.verb}, entry {act.number}", "\n".join(shown), "esc closes")

    def _hidden(self, text: str) -> str:
        return clean(self.console.masks.text(text))

    def action_cancel(self) -> None:
        """Close."""
        self.dismiss(result=False)


class VerifyingScreen(BoxScreen):
    """Verifies the record of acts."""

    BINDINGS = bindings(  # type: ignore[assignment]
        (Key(("escape", "enter", "q"), "cancel", "", "Close"),)
    )

    def on_mount(self) -> None:
        """Begin."""
        self.say("Verifying the record of acts …", "", "esc closes", busy=True)
        self.work(self._verify)

    def _verify(self) -> None:
        reader = self.console.reader
        assert isinstance(reader, ActsReader)  # noqa: S101 - the box opens only on a server
        try:
            verdict = reader.verify_acts()
        except WorkkitError as error:
            self.later(self.say, "It was not verified", clean(str(error)), "esc closes")
            return
        kept = counted(verdict.kept, "entry is", "entries are")
        title = "The record is whole" if verdict.whole else "The record is not whole"
        trimmed = f"{counted(verdict.trimmed, 'older one was', 'older ones were')} trimmed"
        lines = [f"{kept} in it", trimmed if verdict.trimmed else "", *verdict.sentences()]
        self.later(self.say, title, _cleaned(lines), "esc closes")

    def action_cancel(self) -> None:
        """Close."""
        self.dismiss(result=False)


def _cleaned(lines: list[str]) -> str:
    """Return lines, those that are empty left out, harmless for a terminal."""
    return "\n".join(clean(line) for line in lines if line)
