"""Errors: dead and retrying jobs, grouped by what went wrong."""

from __future__ import annotations

from threading import Event
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from workkit.admin.actions import Throttle, Verb
from workkit.admin.grouping import ErrorGroup, group_errors
from workkit.admin.query import Query
from workkit.core.records import Place
from workkit.core.text import clean, counted
from workkit.errors import ServerError
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, PAGER, Key, copying
from workkit_tui.model.completion import query_words
from workkit_tui.model.copies import Copy, cleaned_lines
from workkit_tui.model.words import ago, count
from workkit_tui.remembered import SavedView
from workkit_tui.screens.base import ListScreen
from workkit_tui.screens.dead import DeadScreen
from workkit_tui.screens.plan import PlanScreen, Wanted
from workkit_tui.screens.retry import RetryScreen
from workkit_tui.screens.traceback import traceback
from workkit_tui.widgets.spark import blocks
from workkit_tui.widgets.table import Row, Table, TableColumn
from workkit_tui.widgets.words import Words

__all__ = ["ErrorsScreen"]

_TREND: Final = 12
#: Up to this many jobs are counted in less than a second, so they are counted after each change. If
#: there are more, the screen shows the age of the count.
_CHEAP: Final = 20_000
#: The spans of a trend: the title of its column, and seconds.
_SPANS: Final = (("Trend, hour", 3_600), ("Trend, day", 86_400))
#: Terminals from this height show details of the group under the cursor, lines.
_TALL: Final = 34
_NAMED: Final = 6
_LINE_CHARS: Final = 2_000


def _columns(span: int) -> list[TableColumn]:
    """Return the columns; the title of one is the span of the trend."""
    return [
        TableColumn("Jobs", 7, right=True),
        TableColumn(_SPANS[span][0], _TREND, name="Trend"),
        TableColumn("Last", 8, right=True),
        TableColumn("First", 8, right=True, needs=96),
        TableColumn("Error", 30, grows=4),
        TableColumn("Where", 14, grows=1, needs=120),
        TableColumn("Queues", 14, grows=1, needs=84),
    ]


class ErrorsScreen(ListScreen):
    """Groups of failures; they are counted in the background, page by page."""

    TAB = "errors"
    TITLE_SHOWN = "Errors"
    KEYS: ClassVar = (
        Key(("enter",), "open", "jobs", "Open the group: its jobs"),
        Key(("r",), "retry", "retry", "Retry the dead jobs of the group", acts=True),
        Key(("t",), "careful", "careful", "The same with care: 1 job, then 10, then some a "
            "second; stops if too many fail", acts=True),
        Key(("d",), "delete", "delete", "Delete the dead jobs of the group; undo brings them back",
            acts=True),
        Key(("slash",), "filter", "filter", "Group only the jobs that match a query"),
        Key(("s",), "span", "hour/day", "Show the trend of the last hour, or of the last day"),
        Key(("c",), "again", "count", "Count again"),
        Key(("e",), "app.export", "export", "Write the list to a file"),
        copying("the newest error of the group"),
        PAGER,
        *MOVING,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._groups: list[ErrorGroup] = []
        self._query = Query("")
        self._span = 0
        self._walking: Event | None = None
        self._seen = self._total = 0
        #: How large the sets were when they were counted, and whether that has changed since.
        self._sizes: tuple[float, ...] = ()
        self._changed = False
        self._told = Text()
        self._counted_s = self._now_s = 0.0

    def body(self) -> ComposeResult:
        """Build the table, and the details of one group."""
        yield Table(_columns(self._span), self._row, name="errors")
        with VerticalScroll(id="group"):
            yield Words("", id="group-text")

    def on_resize(self) -> None:
        """Show details of a group on tall terminals."""
        self.query_one("#group").display = self.size.height >= _TALL

    def on_table_seen(self, event: Table.Seen) -> None:
        """Show details of the group under the cursor."""
        event.stop()
        self._tell()

    def on_unmount(self) -> None:
        """End the count with the screen."""
        self._stop()

    def show(self, view: View) -> None:
        """Count once, and again when the sets have changed and a count is cheap."""
        self._now_s = view.seen.taken_at
        sizes = self._sizes_of(view)
        self._changed = sizes != self._sizes
        cheap = (sum(sizes[:2]) <= _CHEAP or sizes[2] > 0) and self._walking is None
        if self._counted_s == 0 or (cheap and self._changed):
            self.action_again()
        self._redraw()

    def _sizes_of(self, view: View) -> tuple[float, ...]:
        """Return what has to be equal for a count to hold; of a recording, also the time."""
        moment_s = view.seen.taken_at if self.console.past is not None else 0.0
        return view.seen.dead, view.seen.retry, moment_s

    # Counting.

    def action_again(self) -> None:
        """Count again."""
        self._stop()
        stop = self._walking = Event()
        self._counted_s = self._now_s or 1.0
        view = self.console.view
        if view is not None:
            self._sizes, self._changed = self._sizes_of(view), False
        query = self._query
        self.run_worker(lambda: self._count(query, stop), thread=True, group="walk", exclusive=True)

    def _stop(self) -> None:
        if self._walking is not None:
            self._walking.set()
            self._walking = None

    def _count(self, query: Query, stop: Event) -> None:
        reader, app = self.console.reader, self.console
        try:
            for at, found in enumerate(group_errors(reader, query)):
                if stop.is_set() or not app.is_running:
                    return
                ended = found.seen >= found.total
                if at % 5 == 0 or ended:
                    groups = found.groups.groups()
                    app.call_from_thread(self._counted, stop, groups, found.seen, found.total)
        except ServerError as error:
            app.call_from_thread(self.notify, clean(str(error)), severity="error")
        if not stop.is_set() and app.is_running:
            app.call_from_thread(self._ended, stop)

    def _counted(self, stop: Event, groups: list[ErrorGroup], seen: int, total: int) -> None:
        if stop is self._walking:
            here = self.current
            self._groups, self._seen, self._total = groups, seen, total
            self._redraw()
            if here is not None and self.table.cursor:
                names = [group.fingerprint for group in groups]
                if here.fingerprint in names:
                    self.table.cursor = names.index(here.fingerprint)

    def _ended(self, stop: Event) -> None:
        if stop is self._walking:
            self._walking = None
            self._redraw()

    # Drawing.

    def _redraw(self) -> None:
        table = self.table
        table.total = len(self._groups)
        table.empty = "counting …" if self._walking else "no job is dead or waits for a retry"
        table.refresh_rows()
        self._tell()
        jobs = sum(group.count for group in self._groups)
        busy = self._walking is not None
        past = self.console.past is not None and not busy and not self._query
        lacking = max(int(sum(self._sizes[:2])) - jobs, 0) if past else 0
        old = f" · counted {ago(self._counted_s, self._now_s)} ago; c counts again"
        self.head(
            (f"{counted(len(self._groups), 'kind')} of failure in ", "secondary"),
            (counted(jobs, "job"), "secondary"),
            (f" · {count(self._seen)} of {count(self._total)} read" if busy else "", "warning"),
            (f" · {count(lacking)} more jobs were not recorded" if lacking else "", "warning"),
            (old if self._changed and not busy else "", "warning"),
            (f" · /{clean(self._query.text)}" if self._query else "", "primary"),
        )

    def _row(self, at: int) -> Row | None:
        if at >= len(self._groups):
            return None
        group = self._groups[at]
        trend = group.trend(self._now_s, _TREND, _SPANS[self._span][1])
        kind = f"{group.type}: " if group.type and group.message else group.type
        rising = sum(trend[-3:]) > sum(trend[:-3])
        return Row(
            [
                count(group.count),
                (blocks(trend, _TREND)[0], "bad" if rising else "accent"),
                ago(group.last_at, self._now_s),
                ago(group.first_at, self._now_s),
                clean(self.console.masks.text(f"{kind}{group.message}"[:_LINE_CHARS])),
                clean(group.frame),
                clean(" ".join(group.queues)),
            ]
        )

    def _tell(self) -> None:
        """Show where the jobs of a group are, and their newest error."""
        group, text = self.current, Text()
        if group is not None and self.query_one("#group").display:
            dead, waiting = (group.places.get(name, 0) for name in ("dead", "retry"))
            names = [f"{clean(name)} {count(n)}" for name, n in group.queues.items()]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            where = f"{count(dead)} dead, {count(waiting)} waiting for a retry"
            text.append(
                f"{where} · {', '.join(names[:_NAMED])}{more}\n\n", self._color("secondary")
            )
            job = group.sample.job
            text.append_text(traceback(self.app, self.console.masks.text(job.last_err, job.args)))
        if text != self._told:
            self._told = text
            self.query_one("#group-text", Words).update(text)

    # Keys.

    @property
    def current(self) -> ErrorGroup | None:
        """The group under the cursor."""
        at = self.table.cursor
        return self._groups[at] if at < len(self._groups) else None

    def _picks(self, group: ErrorGroup) -> Query:
        """Return the query that picks the jobs of a group, within the filter."""
        own = f"fingerprint:{group.fingerprint}" if group.fingerprint else "not error:*"
        return Query(f"({self._query.text}) {own}" if self._query else own)

    def long_text(self) -> Copy | None:
        """Return the newest error of the group under the cursor."""
        return next(iter(self.copies()), None)

    def copies(self) -> list[Copy]:
        """Return the newest error of the group under the cursor."""
        if self.current is None:
            return []
        job = self.current.sample.job
        return [Copy("the error", cleaned_lines(self.console.masks.text(job.last_err, job.args)))]

    def action_open(self) -> None:
        """Open the jobs of a group, in the set that has most of them."""
        group = self.current
        if group is None:
            return
        query = self._picks(group).text
        mostly_dead = group.places.get("dead", 0) >= group.places.get("retry", 0)
        about = f"{group.type}: {group.message}" if group.type else group.message
        about = self.console.masks.text(about[:_LINE_CHARS])
        screen = DeadScreen(query, about) if mostly_dead else RetryScreen(query, about)
        self.console.open_screen(screen)

    def action_retry(self) -> None:
        """Retry the dead jobs of a group."""
        self._act("retry", None)

    def action_careful(self) -> None:
        """Retry them with care."""
        self._act("retry", Throttle())

    def action_delete(self) -> None:
        """Delete the dead jobs of a group."""
        self._act("delete", None)

    def _act(self, verb: Verb, throttle: Throttle | None) -> None:
        group = self.current
        if group is None or not self.console.may_act():
            return
        place = Place("dead") if group.places.get("dead") else Place("retry")
        wanted = Wanted(verb, place, self._picks(group), None, throttle)
        self.app.push_screen(PlanScreen(wanted), self._acted)

    def _acted(self, done: object) -> None:
        if done:
            self.action_again()
            self.console.action_refresh_now()

    def action_span(self) -> None:
        """Show the trend of another span."""
        self._span = (self._span + 1) % len(_SPANS)
        self.table.columns = _columns(self._span)
        self._redraw()

    def action_filter(self) -> None:
        """Ask for a query."""
        self.prompt.ask(
            "/", self._filter, value=self._query.text, hint="queue:mail fails:>3 died:<1h",
            words=query_words(self.console.view.seen.queues if self.console.view else []),
        )  # fmt: skip

    def _filter(self, text: str) -> None:
        self._query = Query(text)
        self.close_prompt()
        self._groups = []
        self.action_again()
        self._redraw()

    def saved(self) -> SavedView:
        """Return the filter and the span of the trend."""
        return SavedView(self.kind, filter=self._query.text, sort=_SPANS[self._span][0])

    def restore(self, view: SavedView) -> None:
        """Group the jobs of a filter, with a span of the trend."""
        query = Query(view.filter)
        titles = [title for title, _ in _SPANS]
        self._span = titles.index(view.sort) if view.sort in titles else 0
        if self.is_built:
            self.table.columns = _columns(self._span)
            self._filter(query.text)
        else:
            self._query = query

    def action_back(self) -> None:
        """Leave the prompt, then the filter."""
        if not self.prompt.open and self._query:
            self._filter("")
        else:
            super().action_back()

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of the list."""
        return "errors", list(self._groups)
