"""The base of all screens that list the jobs of a place, which may have any number of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from threading import Event
from typing import ClassVar

from textual.app import ComposeResult
from textual.worker import get_current_worker

from workkit.admin.actions import Throttle, Verb
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Overview, Page, Place
from workkit.core.text import clean, counted
from workkit.errors import ServerError
from workkit_tui.export import MOST
from workkit_tui.feed import View
from workkit_tui.keys import JOB_KEYS, Key
from workkit_tui.model.completion import query_words
from workkit_tui.model.job_page import JobPage
from workkit_tui.model.pages import PAGE, Matches, Pages, Rows
from workkit_tui.model.words import count
from workkit_tui.remembered import SavedView
from workkit_tui.screens.editing import EditScreen
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.job_cursor import JobCursorScreen
from workkit_tui.screens.plan import PlanScreen, Wanted
from workkit_tui.widgets.table import Row, Table, TableColumn

__all__ = ["JobsScreen"]


class JobsScreen(JobCursorScreen):
    """Lists the jobs of a place, page by page, or only those that match a query.

    Class attributes:
        COLUMNS: Those of the table.
        FROM_END: Whether the list begins at the end of the place.
    """

    COLUMNS: ClassVar[Sequence[TableColumn]] = ()
    FROM_END: ClassVar[bool] = False
    KEYS: ClassVar[tuple[Key, ...]] = JOB_KEYS

    def __init__(self, place: Place, query: str = "", about: str = "") -> None:
        super().__init__()
        self.place = place
        #: The meaning of the query in words, if another screen has made it.
        self._about = about
        self._reverse = self.FROM_END
        self._pages = Pages(place, reverse=self._reverse)
        self._matches: Matches | None = None
        self._query = Query(query)
        self._marked: dict[bytes, WaitingJob] = {}
        self._all = False
        self._walking: Event | None = None
        #: The visible rows, for the thread that reads them.
        self._sight = (0, 50)
        self.now_s = self._walked_s = 0.0

    # For subclasses.

    def cells(self, record: WaitingJob) -> Row:
        """Draw a job."""
        raise NotImplementedError

    def order_words(self) -> str:
        """Say in which order the jobs are."""
        raise NotImplementedError

    # Building.

    def body(self) -> ComposeResult:
        """Build the table."""
        yield Table([TableColumn("", 1), *self.COLUMNS], self._row, name="jobs")

    def on_mount(self) -> None:
        """Begin the walk if there is a query from the start."""
        super().on_mount()
        if self._query:
            self._start_walk()

    @property
    def rows(self) -> Rows:
        """The rows of the list."""
        return self._matches if self._matches is not None else self._pages

    def _row(self, at: int) -> Row | None:
        record = self.rows.get(at)
        if record is None:
            return None
        row = self.cells(record)
        marked = self._all or record.job.raw in self._marked
        sign = ("●", "accent") if marked else ""
        return Row([sign, *row.cells], dim=row.dim, marked=marked, loud=row.loud)

    # Views.

    def gather(self, reader: Reader, seen: Overview) -> list[tuple[int, Page[WaitingJob]]]:
        """Read the visible pages."""
        del seen
        if self._matches is not None:
            return []
        wanted = self._pages.keep_only(*self._sight)
        return [(number, self._read(reader, number)) for number in wanted]

    def _read(self, reader: Reader, number: int) -> Page[WaitingJob]:
        return reader.jobs(self.place, number * PAGE, PAGE, reverse=self._reverse)

    def show(self, view: View) -> None:
        """Draw the pages; the cursor stays on its job if the job is still visible."""
        self.now_s = view.seen.taken_at
        if self._query and self._walked_s != self._moment_s:
            self._start_walk()  # another time of a recording has other jobs
        at, here = self.table.cursor, self.rows.get(self.table.cursor)
        for number, page in view.gathered or []:
            self._pages.put(number, page)
        self._redraw()
        if here is not None and at:
            found = self.rows.find(here.job.raw, at)
            if found is not None and found != at:
                self.table.cursor = found

    def _redraw(self) -> None:
        table = self.table
        table.total = self.rows.total
        if self._matches is not None:
            table.empty = "nothing matches" if self._matches.complete else "looking …"
        else:
            table.empty = "there are no jobs here" if self._pages.known else "reading …"
        table.refresh_rows()
        self._say()

    def _say(self) -> None:
        matches = self._matches
        picked = f"{count(len(self._marked))} marked" if self._marked else ""
        if self._all:
            picked = "all are marked"
        if matches is None:
            jobs = counted(self._pages.total, "job") if self._pages.known else "reading …"
            said = f"{jobs} · {self.order_words()}"
            self.head((f"{picked} · " if picked else "", "primary"), (said, "secondary"))
            return
        kept = f", the first {count(matches.total)} are listed"
        more = kept if matches.total < matches.matched else ""
        read = "" if matches.complete else f" · {count(matches.seen)} of {count(matches.of)} read"
        self.head(
            (f"{picked} · " if picked else "", "primary"),
            (clean(self._about) or f"/{clean(self._query.text)}", "primary"),
            (f" · {counted(matches.matched, 'match', 'matches')}{more}",
             "foreground"),
            (read, "warning"),
        )  # fmt: skip

    def on_table_seen(self, event: Table.Seen) -> None:
        """Read the pages that have become visible."""
        event.stop()
        self._say()
        self._sight = self.table.first, self.table.first + self.table.room
        missing = self._pages.missing(*self._sight)
        if self._matches is None and missing:
            self.run_worker(
                lambda: self._fetch(missing), thread=True, group="pages", exclusive=True
            )

    def _fetch(self, numbers: list[int]) -> None:
        worker = get_current_worker()
        try:
            read = [(number, self._read(self.console.reader, number)) for number in numbers]
        except ServerError:
            return  # the banner shows the trouble
        if not worker.is_cancelled and self.console.is_running:
            self.console.call_from_thread(self._fetched, read)

    def _fetched(self, read: list[tuple[int, Page[WaitingJob]]]) -> None:
        for number, page in read:
            self._pages.put(number, page)
        self._redraw()

    # Filtering.

    def action_filter(self) -> None:
        """Ask for a query."""
        self.prompt.ask(
            "/", self._filter, value=self._query.text, hint="queue:mail error:timeout fails:>3",
            words=query_words(self.console.view.seen.queues if self.console.view else []),
        )  # fmt: skip

    def _filter(self, text: str) -> None:
        self._query, self._about = Query(text), ""
        self.close_prompt()
        self.action_unmark()
        self.table.cursor = 0
        self._stop_walk()
        if self._query:
            self._start_walk()
        else:
            self._matches = None
            self._redraw()
            self.console.action_refresh_now()

    def saved(self) -> SavedView:
        """Return the place, the filter and the order."""
        turned = self._reverse != self.FROM_END
        return SavedView(self.kind, self.place.queue, self._query.text, reverse=turned)

    def restore(self, view: SavedView) -> None:
        """Show a filter and an order."""
        query = Query(view.filter)
        self._turn(view.reverse != self.FROM_END)
        if self.is_built:
            self._filter(query.text)
        else:
            self._query = query

    @property
    def _moment_s(self) -> float:
        """The time of a recording, epoch seconds; 0 in the present."""
        return self.now_s if self.console.past is not None else 0.0

    def _start_walk(self) -> None:
        self._matches = Matches()
        self._walked_s = self._moment_s
        stop = self._walking = Event()
        self._redraw()
        self.run_worker(
            lambda: self._walk(self._query, stop), thread=True, group="walk", exclusive=True
        )

    def _stop_walk(self) -> None:
        if self._walking is not None:
            self._walking.set()
            self._walking = None

    def _walk(self, query: Query, stop: Event) -> None:
        """Walk the place and deliver the matches, on a thread."""
        reader, app = self.console.reader, self.console
        try:
            for batch in reader.walk(self.place, reverse=self._reverse):
                picked = list(query.pick(batch.jobs, reader.now_s()))
                if stop.is_set() or not app.is_running:
                    return
                app.call_from_thread(self._matched, stop, picked, batch.seen, batch.total)
        except ServerError as error:
            app.call_from_thread(self.notify, clean(str(error)), severity="error")
            return
        if not stop.is_set() and app.is_running:
            app.call_from_thread(self._walked, stop)

    def _matched(self, stop: Event, picked: list[WaitingJob], seen: int, total: int) -> None:
        if self._matches is not None and stop is self._walking:
            self._matches.add(picked, seen, total)
            self._redraw()

    def _walked(self, stop: Event) -> None:
        if self._matches is not None and stop is self._walking:
            self._matches.complete = True
            self._redraw()

    def on_unmount(self) -> None:
        """End the walk with the screen."""
        self._stop_walk()

    def action_back(self) -> None:
        """Leave the prompt, the marks, the filter, then the screen."""
        if self.prompt.open:
            self.close_prompt()
        elif self._marked or self._all:
            self.action_unmark()
        elif self._query and len(self.app.screen_stack) <= 2:  # noqa: PLR2004 - a tab
            self._filter("")
        else:
            super().action_back()

    # Marks.

    @property
    def current(self) -> WaitingJob | None:
        """The job under the cursor."""
        return self.rows.get(self.table.cursor)

    def action_mark(self) -> None:
        """Mark the job under the cursor, or take its mark away."""
        record = self.current
        if record is not None:
            self._all = False
            if self._marked.pop(record.job.raw, None) is None:
                self._marked[record.job.raw] = record
            self.table.move(1)
            self._redraw()

    def action_mark_all(self) -> None:
        """Mark all that match, read or not."""
        self._all = not self._all
        self._marked.clear()
        self._redraw()

    def leave(self) -> None:
        """Remove the mark of all jobs on leaving the tab: in the meantime, jobs come and go."""
        if self._all:
            self.action_unmark()

    def action_unmark(self) -> None:
        """Remove all marks."""
        self._marked.clear()
        self._all = False
        self._redraw()

    # Acting.

    def job_screen(self) -> JobScreen | None:
        """Return a screen of the job under the cursor."""
        return JobScreen(self.current, self.place) if self.current is not None else None

    @property
    def page(self) -> JobPage | None:
        """What is known of the job under the cursor."""
        return JobPage(self.current) if self.current is not None else None

    def action_retry(self) -> None:
        """Retry jobs."""
        self._act("retry", None)

    def action_careful(self) -> None:
        """Retry jobs with care."""
        self._act("retry", Throttle())

    def action_delete(self) -> None:
        """Delete jobs."""
        self._act("delete", None)

    def action_edit(self) -> None:
        """Change the args of the job under the cursor."""
        if self.current is not None and self.console.may_act():
            self.app.push_screen(EditScreen(self.place, self.current), self._acted)

    def _act(self, verb: Verb, throttle: Throttle | None) -> None:
        console = self.console
        if not console.may_act():
            return
        if self._all:
            wanted = Wanted(verb, self.place, self._query, None, throttle)
        elif self._marked:
            wanted = Wanted(verb, self.place, Query(""), list(self._marked.values()), throttle)
        elif self.current is not None:
            wanted = Wanted(verb, self.place, Query(""), [self.current], throttle)
        else:
            return
        self.app.push_screen(PlanScreen(wanted), self._acted)

    def _acted(self, done: object) -> None:
        """Refresh after a change."""
        if not done:
            return
        self.action_unmark()
        if self._matches is not None:
            self._stop_walk()
            self._start_walk()
        self.console.action_refresh_now()

    def action_order(self) -> None:
        """Reverse the order."""
        self._turn(not self._reverse)
        self.table.cursor = 0
        if self._matches is not None:
            self._stop_walk()
            self._start_walk()
        self.console.action_refresh_now()

    def _turn(self, reverse: bool) -> None:
        self._reverse = reverse
        self._pages = Pages(self.place, reverse=reverse)

    def exported(self) -> tuple[str, Iterable[WaitingJob]]:
        """Return the name and the marked records, or all records of the list.

        They are read while they are iterated, on the thread that iterates.
        """
        marked = list(self._marked.values())
        return self.place.queue or self.place.kind, marked or self._all_listed(self._query)

    def _all_listed(self, query: Query) -> Iterator[WaitingJob]:
        reader = self.console.reader
        walk = reader.walk(self.place, reverse=self._reverse)
        picked = (r for batch in walk for r in query.pick(batch.jobs, reader.now_s()))
        yield from islice(picked, MOST)
