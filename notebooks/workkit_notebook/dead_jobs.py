"""The view of dead jobs: groups, times, a filter, one job in full, and actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from workkit.admin.query import Query
from workkit.admin.steps.walk import WaitingJob
from workkit.core.options import check_flag, shown
from workkit.core.text import counted
from workkit.errors import InvalidOption, InvalidQuery, WorkkitError
from workkit.frames.checks import check_count
from workkit.frames.jobs import frame_of
from workkit.frames.sources import Source, as_reader
from workkit.snapshot import SECRETS
from workkit_notebook import html
from workkit_notebook.acting import Acting
from workkit_notebook.apart import Apart, differences
from workkit_notebook.brushes import choice
from workkit_notebook.cells import close_parts, close_tree, replace_former
from workkit_notebook.deadset import Buckets, DeadSet
from workkit_notebook.extra import widgets
from workkit_notebook.facets import with_term
from workkit_notebook.later import Later
from workkit_notebook.pages import (
    STATIC_ROWS,
    group_head,
    group_line,
    job_page,
    job_row,
    static_page,
)

__all__ = ["DeadJobs"]

_BUCKETS: Final = 60
_GROUPS: Final = 12
_ROWS: Final = 500
#: Minutes would not tell the bars of a shorter time apart.
_SHORT_S: Final = 3_600
_WIDE: Final = "980px"
#: More jobs than this are read and filtered on a thread, so that the kernel stays free.
_AT_ONCE: Final = 5_000
#: A monospaced font, so that the columns of the list line up.
_STYLE: Final = (
    "<style>.workkit-jobs select, .workkit-jobs option { font-family: monospace; "
    "font-size: 12px }</style>"
)


class DeadJobs(widgets.VBox):  # type: ignore[misc]
    """Shows dead jobs. With `write=True`, it can retry and delete them.

    The user filters by groups of failures, by time, by values of args, and by a query; see
    docs/query.md. Many jobs are read and filtered on a thread; what asks for them waits. An action
    changes exactly the jobs of its preview. It does not change jobs that died later, even if they
    match the filter.

    Args:
        client: A `Client`, another reader such as a `Snapshot`, or the path of a snapshot.
        write: Allow retries and deletions.
        query: The filter at the start.
        most: Read at most this many of the newest dead jobs.
        redact: Names of args whose values are hidden wherever the view shows them, also in what
            a saved notebook keeps of it; () hides nothing. The filter sees all values.
        brush: Choose times by dragging in the histogram. False, or without the library anywidget:
            with a slider, for pages that cannot show the histogram.

    The view lives until `close`, or until its cell runs again.

    Raises:
        InvalidOption: An argument is not valid, or `write` is True, but the reader is read-only.
        ServerError: Redis did not answer or refused.
    """

    #: Whether the view has its parts; `close` may come before, if an argument was refused.
    _made = False

    def __init__(
        self,
        client: Source,
        *,
        write: bool = False,
        query: str = "",
        most: int = 100_000,
        redact: Iterable[str] = SECRETS,
        brush: bool = True,
    ) -> None:
        check_count("most", most, 1)
        check_flag("write", write)
        check_flag("brush", brush)
        if not isinstance(query, str):
            raise InvalidOption(f"query must be a text, not {shown(query)}")
        self._reader = client = as_reader(client)
        self._dead = DeadSet(client, most, redact)
        self._later = Later("workkit-dead-jobs")
        self._closed = self._reading = self._quiet = False
        self._stale = ""  # why the list is old, as HTML
        self._kinds: set[str] = set()
        self._rows: list[WaitingJob] = []
        self._make(query, brush=brush)
        self._apart = Apart(client, self._dead, self.selected, self.narrow)
        self._acting = (
            Acting(client, self.selected, self.refresh, self._dead.shown) if write else None
        )
        self._made = True
        parts: list[Any] = [
            self._head,
            widgets.HBox([self._query, self._reload]),
            self._trouble,
            *self._brush.parts,
            self._span,
            self._group_box,
            self._apart.box,
            self._count,
            self._list,
            self._detail,
        ]
        if self._acting is not None:
            parts.append(self._acting.box)
        super().__init__(parts, layout=widgets.Layout(width="100%", max_width=_WIDE))
        self.add_class("workkit-dead-jobs")
        self._fill_brush()
        self._read()
        replace_former(self)

    def _make(self, query: str, *, brush: bool) -> None:
        """Make the widgets and connect their events."""
        wide = widgets.Layout(width="calc(100% - 6px)")
        self._head = widgets.HTML()
        self._query = widgets.Text(
            query,
            placeholder="queue:mail error:Timeout fails:>3 died:<1h",
            description="filter",
            continuous_update=False,
            layout=widgets.Layout(flex="1 1 auto", width="auto"),
        )
        self._query.style.description_width = "40px"
        self._reload = widgets.Button(
            description="Read again", icon="refresh", layout=widgets.Layout(flex="0 0 auto")
        )
        self._trouble = widgets.HTML()
        self._brush = choice(brush=brush)
        self._span = widgets.HTML()
        self._group_box = widgets.VBox()
        self._count = widgets.HTML()
        self._list = widgets.SelectMultiple(rows=8, layout=wide)
        self._list.add_class("workkit-jobs")
        self._detail = widgets.HTML(layout=wide)
        self._query.observe(lambda _: self._show(), "value")
        self._brush.observe(self._show)
        self._list.observe(lambda _: self._show_job(), "index")
        self._reload.on_click(lambda _: self.refresh())

    # The state of the view, for programs.

    @property
    def query(self) -> str:
        """The filter. Setting it updates the view."""
        return str(self._query.value)

    @query.setter
    def query(self, text: str) -> None:
        self._query.value = text

    @property
    def jobs(self) -> list[WaitingJob]:
        """The jobs that match the filter, the time span and the groups, the newest first."""
        self.wait()
        return self._rows

    @property
    def frame(self) -> Any:
        """The same jobs as a DataFrame with the columns of `frames.dead_jobs`, secrets included."""
        return frame_of(self.jobs, "dead")

    def narrow(self, term: str) -> None:
        """Add a term to the filter, such as "args.tenant:acme"."""
        self.query = with_term(self.query, term)

    def differs(self) -> Any:
        """Compare the selected jobs with the done jobs of the same names in history.

        Returns:
            A DataFrame as from `frames.compare`, secrets included.

        Raises:
            ServerError: Redis did not answer or refused.
        """
        return differences(self._reader, self.selected())

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the jobs have been read and filtered. For programs."""
        self._later.wait(timeout_s)

    def selected(self) -> list[WaitingJob]:
        """Return the jobs to act on: the jobs marked in the list, or all matching jobs.

        There are none while the filter is not valid, or after the jobs could not be read again.
        """
        self.wait()
        if self._stale:
            return []
        marked = [self._rows[at] for at in self._list.index if at < len(self._rows)]
        return marked or self._rows

    def refresh(self) -> None:
        """Read the dead jobs again. Keeps the filter and the groups."""
        self.wait()
        try:
            self._read()
        except WorkkitError as error:
            self._unread(error)

    def _read(self) -> None:
        """Read the jobs: some at once, and if there are many, the others on a thread."""
        reading = self._dead.reading()
        for done, total in reading:
            if done >= _AT_ONCE and done < total:
                self._tell_progress(done, total)
                self._reading = True
                self._later.run(lambda: self._read_on(reading))
                return
        self._stale = ""
        self._fill_brush()
        self._show_now()

    def _read_on(self, reading: Iterator[tuple[int, int]]) -> None:
        try:
            for done, total in reading:
                if self._closed:
                    return
                self._tell_progress(done, total)
        except WorkkitError as error:
            self._unread(error)
            return
        finally:
            self._reading = False
        self._stale = ""
        self._fill_brush()
        self._show_now()

    def _tell_progress(self, done: int, total: int) -> None:
        self._head.value = html.muted(f"reading dead jobs: {done:,} of {total:,} ...")

    def _unread(self, error: WorkkitError) -> None:
        self._stale = self._trouble.value = html.notice(
            f"{error}; the list is old, and nothing can be done with it until it is read again"
        )
        self._apart.show([])
        self._show_job()

    def close(self) -> None:
        """Remove the view from its page, and let go of the jobs and of all its widgets."""
        if not self._made:
            super().close()
            return
        self._closed = True
        for later in (self._later, self._apart.later):
            later.drop()
            later.wait()
        self._dead.clear()
        self._rows = []
        close_parts(self)
        super().close()

    # Filling the widgets.

    def _fill_brush(self) -> None:
        self._buckets = Buckets(*self._dead.span, _BUCKETS)
        self._edges = self._buckets.edges
        self._quiet = True
        short = self._edges[-1] - self._edges[0] < _SHORT_S
        self._brush.fill([html.clock_time(edge, seconds=short) for edge in self._edges])
        self._quiet = False

    def _show(self) -> None:
        """Filter the jobs, on a thread if there are many."""
        if self._quiet or self._closed:
            return
        if self._reading:
            return  # the filter is read when all jobs are
        if not self._later.busy and len(self._dead.records) <= _AT_ONCE:
            self._show_now()
            return
        self._count.value = html.muted("filtering ...")
        self._later.run(self._show_now)

    def _show_now(self) -> None:
        if self._closed:
            return
        try:
            query = Query(self._query.value)
        except InvalidQuery as error:
            self._trouble.value = f"<pre>{html.block(error)}</pre>"
            self._rows = []  # what an older filter found must not be acted on
            self._show_times([])
            self._show_groups([])
            self._apart.show([])
            self._show_rows()
            return
        self._trouble.value = self._stale
        low, high = self._brush.index
        # The whole span means any time: a malformed payload may have a time out of its range.
        whole = (low, high) == (0, _BUCKETS)
        matching = self._dead.pick(query)
        self._show_times(matching)
        times = " to ".join(html.clock_time(self._edges[at], seconds=True) for at in (low, high))
        self._span.value = html.muted(f"died {times} UTC") if self._dead.records else ""
        in_span = matching
        if not whole:
            in_span = [r for r in matching if self._buckets.within(r.at or 0, low, high)]
        if self._later.superseded:
            return  # the newer filter shows the rest
        self._show_groups(in_span)
        kinds, kind_of = self._kinds, self._dead.kind_of
        rows = [r for r in in_span if not kinds or kind_of(r) in kinds]
        self._apart.show([] if self._stale else rows)
        self._rows = rows
        self._show_rows()

    def _show_times(self, matching: list[WaitingJob]) -> None:
        self._brush.show(self._buckets.counts(record.at or 0 for record in matching))

    def _show_groups(self, records: list[WaitingJob]) -> None:
        groups = self._dead.groups(records)
        if records:
            self._kinds &= {group.fingerprint for group in groups}
        rows: list[Any] = [group_head()] if groups else []
        for group in groups[:_GROUPS]:
            mark = widgets.Checkbox(
                group.fingerprint in self._kinds,
                indent=False,
                layout=widgets.Layout(width="28px", margin="0"),
            )
            mark.tooltip = f"only {group.fingerprint}"
            mark.observe(self._toggler(group.fingerprint), "value")
            rows.append(widgets.HBox([mark, group_line(group, self._dead.now_s)]))
        if len(groups) > _GROUPS:
            rows.append(
                widgets.HTML(html.muted(f"and {counted(len(groups) - _GROUPS, 'further group')}"))
            )
        former, self._group_box.children = self._group_box.children, rows
        for widget in former:
            close_tree(widget)

    def _toggler(self, kind: str) -> Any:
        def toggle(change: Any) -> None:
            (self._kinds.add if change["new"] else self._kinds.discard)(kind)
            self._show()

        return toggle

    def _show_rows(self) -> None:
        dead, rows = self._dead, self._rows
        held = len(dead.records)
        older = f"; shows the newest {held:,} of {dead.total:,}" if held < dead.total else ""
        access = "" if self._acting is not None else "; read-only"
        # Ages are counted from here, and a saved page is read much later.
        as_of = f", as of {html.clock_time(dead.now_s, seconds=True)} UTC"
        about = html.muted(f"{self._reader.label}{as_of}{access}{older}")
        self._head.value = f"{_STYLE}<b>{counted(dead.total, 'dead job')}</b> {about}"
        shown = f", the newest {_ROWS} are listed" if len(rows) > _ROWS else ""
        self._count.value = html.muted(f"{len(rows):,} match{shown}; mark one to see it in full")
        self._list.options = [job_row(dead.shown(row), dead.now_s) for row in rows[:_ROWS]]
        self._list.index = ()
        self._show_job()
        if self._acting is not None:
            self._acting.show()

    def _show_job(self) -> None:
        marked = [self._rows[at] for at in self._list.index if at < len(self._rows)]
        one = self._dead.shown(marked[0]) if len(marked) == 1 else None
        self._detail.value = job_page(one, self._dead.now_s) if one is not None else ""
        if self._acting is not None:
            self._acting.show()

    # Without a kernel.

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and a static page for readers without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = self._static_page()
        return bundle

    def _static_page(self) -> str:
        if self._reading:  # a page that waited would block the kernel
            return html.muted(
                "The dead jobs were still being read when this page was made. Call wait() before "
                "the view is shown, if the page is to have them."
            )
        self.wait()
        rows, dead = self._rows, self._dead
        shown = [dead.shown(row) for row in rows[:STATIC_ROWS]]
        sought = html.muted(f"filter: {self.query}") if self.query else ""
        head = [self._head.value, self._trouble.value, sought, self._span.value]
        return static_page(head, dead.groups(rows), shown, len(rows), dead)
