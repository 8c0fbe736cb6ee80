"""The view of dead jobs: groups, times, a filter, one job in full, and actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.core.text import counted
from workkit.errors import InvalidQuery, WorkkitError
from workkit.snapshot import SECRETS
from workkit_notebook import html
from workkit_notebook.acting import Acting
from workkit_notebook.cells import close_parts, close_tree, replace_former
from workkit_notebook.deadset import DeadSet, buckets, fingerprint_of
from workkit_notebook.extra import widgets
from workkit_notebook.pages import group_head, group_line, job_page, job_row, static_page

__all__ = ["DeadJobs"]

_BUCKETS: Final = 60
_GROUPS: Final = 12
_ROWS: Final = 500
_WIDE: Final = "980px"
#: A monospaced font, so that the columns of the list line up.
_STYLE: Final = (
    "<style>.workkit-jobs select, .workkit-jobs option { font-family: monospace; "
    "font-size: 12px }</style>"
)


class DeadJobs(widgets.VBox):  # type: ignore[misc]
    """Shows dead jobs. With `write=True`, it can retry and delete them.

    The user filters by groups of failures, by time, and by a query; see docs/query.md. An action
    changes exactly the jobs of its preview. It does not change jobs that died later, even if they
    match the filter.

    Args:
        client: A `Client`, or a reader such as a `Snapshot`.
        write: Allow retries and deletions.
        query: The filter at the start.
        most: Read at most this many of the newest dead jobs.
        redact: Names of args whose values are hidden wherever the view shows them, also in what
            a saved notebook keeps of it; () hides nothing. The filter sees all values.

    The view lives until `close`, or until its cell runs again.

    Raises:
        InvalidOption: `write` is True, but the reader is read-only.
        ServerError: Redis did not answer or refused.
    """

    def __init__(
        self,
        client: Reader,
        *,
        write: bool = False,
        query: str = "",
        most: int = 100_000,
        redact: Iterable[str] = SECRETS,
    ) -> None:
        self._reader = client
        self._dead = DeadSet(client, most, redact)
        self._dead.read()
        self._stale = False
        self._kinds: set[str] = set()
        self._rows: list[WaitingJob] = []
        self._quiet = False
        self._make(query)
        self._acting = (
            Acting(client, self.selected, self.refresh, self._dead.shown) if write else None
        )
        parts: list[Any] = [
            self._head,
            widgets.HBox([self._query, self._reload]),
            self._trouble,
            self._histogram,
            self._brush,
            self._span,
            self._group_box,
            self._count,
            self._list,
            self._detail,
        ]
        if self._acting is not None:
            parts.append(self._acting.box)
        super().__init__(parts, layout=widgets.Layout(width="100%", max_width=_WIDE))
        self.add_class("workkit-dead-jobs")
        self._fill_brush()
        self._show()
        replace_former(self)

    def _make(self, query: str) -> None:
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
        self._histogram = widgets.HTML()
        self._brush = widgets.SelectionRangeSlider(
            options=[("-", 0), ("-", 1)],
            index=(0, 1),
            readout=False,
            continuous_update=False,
            layout=widgets.Layout(width="736px", margin="0 0 0 -6px"),
        )
        self._span = widgets.HTML()
        self._group_box = widgets.VBox()
        self._count = widgets.HTML()
        self._list = widgets.SelectMultiple(rows=8, layout=wide)
        self._list.add_class("workkit-jobs")
        self._detail = widgets.HTML(layout=wide)
        self._query.observe(lambda _: self._show(), "value")
        self._brush.observe(lambda _: self._show(), "index")
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
        return self._rows

    def selected(self) -> list[WaitingJob]:
        """Return the jobs to act on: the jobs marked in the list, or all matching jobs.

        There are none while the filter is not valid, or after the jobs could not be read again.
        """
        if self._stale:
            return []
        marked = [self._rows[at] for at in self._list.index if at < len(self._rows)]
        return marked or self._rows

    def refresh(self) -> None:
        """Read the dead jobs again. Keeps the filter and the groups."""
        try:
            self._dead.read()
        except WorkkitError as error:
            self._stale = True
            self._trouble.value = html.notice(
                f"{error}; the list is old, and nothing can be done with it until it is read again"
            )
            self._show_job()
            return
        self._stale = False
        self._fill_brush()
        self._show()

    def close(self) -> None:
        """Remove the view from its page, and let go of the jobs and of all its widgets."""
        self._dead.records, self._rows = [], []
        close_parts(self)
        super().close()

    # Filling the widgets.

    def _fill_brush(self) -> None:
        start, end = self._dead.span
        width = (end - start + 1) / _BUCKETS
        edges = [start + at * width for at in range(_BUCKETS)] + [end]
        self._quiet = True
        self._brush.options = [(html.clock_time(edge), at) for at, edge in enumerate(edges)]
        self._brush.index = (0, _BUCKETS)
        self._edges = edges
        self._quiet = False

    def _show(self) -> None:
        if self._quiet:
            return
        try:
            query = Query(self._query.value)
        except InvalidQuery as error:
            self._trouble.value = f"<pre>{html.escape(error)}</pre>"
            self._rows = []  # what an older filter found must not be acted on
            self._show_times([], 0, _BUCKETS)
            self._show_groups([])
            self._show_rows()
            return
        self._trouble.value = ""
        low, high = self._brush.index
        # The whole slider means any time: a malformed payload may have a time out of its range.
        whole = (low, high) == (0, _BUCKETS)
        span = None if whole else (self._edges[low], self._edges[high])
        matching = self._dead.pick(query)
        self._show_times(matching, low, high)
        times = " to ".join(html.clock_time(self._edges[at], seconds=True) for at in (low, high))
        self._span.value = html.muted(f"died {times} UTC") if self._dead.records else ""
        in_span = matching if whole else self._dead.pick(query, span=span)
        self._show_groups(in_span)
        kinds = self._kinds
        self._rows = [r for r in in_span if not kinds or fingerprint_of(r) in kinds]
        self._show_rows()

    def _show_times(self, matching: list[WaitingJob], low: int, high: int) -> None:
        counts = buckets([r.at or 0 for r in matching], *self._dead.span, _BUCKETS)
        inside = [low <= at < max(high, low + 1) for at in range(_BUCKETS)]
        self._histogram.value = html.histogram(counts, inside, "dead jobs over time")

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
        about = html.muted(f"{self._reader.label}{access}{older}")
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
            groups, rows = self._dead.groups(self._rows), map(self._dead.shown, self._rows)
            data["text/html"] = static_page(self._head.value, groups, list(rows), self._dead.now_s)
        return bundle
