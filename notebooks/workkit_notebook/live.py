"""The live view: throughput, latency, queues and workers, refreshed by a thread."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from workkit.admin.steps.history import HistoryQuery, HistoryRecord
from workkit.core.options import shown
from workkit.core.outcomes import with_flag
from workkit.core.records import Overview, WorkerObservation
from workkit.core.text import age, clean, clip, counted, took
from workkit.errors import InvalidOption, WorkkitError
from workkit.frames.sources import Source, as_reader
from workkit_notebook import html
from workkit_notebook.cells import close_parts, replace_former
from workkit_notebook.extra import widgets

__all__ = ["Live"]

_EVERY: Final = HistoryQuery(None, None, None, None, None)
#: The number of readings in a plot.
_READINGS: Final = 60
#: Latencies are computed from at most this many of the newest executions.
_SAMPLE: Final = 5_000
_ROWS: Final = 15
_LEAST_EVERY_S: Final = 0.01
_MOST_EVERY_S: Final = 86_400
_FAILED: Final = with_flag("failed")


class Live(widgets.VBox):  # type: ignore[misc]
    """Shows the present state of a namespace. A thread refreshes it, so the kernel stays free.

    The thread starts when the view is shown. It ends when the cell is cleared or runs again, or
    with `close`.

    Args:
        client: A `Client`, any other reader, or the path of a snapshot.
        every_s: The interval of refreshing, from 0.01 to 86,400 seconds.

    Raises:
        InvalidOption: An argument is not valid.
        ServerError: Redis did not answer or refused.
    """

    #: Whether the view has its parts; `close` may come before, if an argument was refused.
    _made = False

    def __init__(self, client: Source, *, every_s: float = 2.0) -> None:
        number = isinstance(every_s, (int, float)) and not isinstance(every_s, bool)
        if not number or not _LEAST_EVERY_S <= every_s <= _MOST_EVERY_S:
            raise InvalidOption(
                f"every_s must be from 0.01 to 86,400 seconds, not {shown(every_s)}"
            )
        self._reader = as_reader(client)
        self._every_s = every_s
        self._made = True
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_id = ""
        self._counts: deque[tuple[float, int, int]] = deque(maxlen=_READINGS)
        self._newest: deque[HistoryRecord] = deque(maxlen=_SAMPLE)
        self._page = widgets.HTML()
        super().__init__([self._page], layout=widgets.Layout(width="100%", max_width="980px"))
        self.add_class("workkit-live")
        self._begin_history()
        self.refresh()
        # If this is a number, the page counts the visible views in it. The thread ends at 0.
        self._view_count = 0
        self.observe(self._viewed, "_view_count")
        replace_former(self)

    def _begin_history(self) -> None:
        """Read the newest executions for the latencies. Rates count only later executions."""
        self._last_id = self._reader.history_extent().last_id
        newest = list(self._reader.history(limit=_SAMPLE // 10))
        self._newest.extend(reversed(newest))

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _viewed(self, change: Any) -> None:
        if change["new"]:
            self._start()
        else:
            self._ended.set()

    def _start(self) -> None:
        if self.running and not self._ended.is_set():
            return
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._ended,), name="workkit-live", daemon=True
        )
        self._thread.start()

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self._every_s):
            self.refresh()

    def close(self) -> None:
        """End the thread, and remove the view from the page."""
        if self._made:
            self._ended.set()
        close_parts(self)
        super().close()

    def refresh(self) -> None:
        """Read the namespace once, and show it."""
        try:
            overview, workers = self._reader.overview(), self._reader.worker_observations()
            self._read_history(overview.taken_at)
        except WorkkitError as error:
            self._page.value = html.notice(str(error))
            return
        self._page.value = self._text(overview, workers)

    def _read_history(self, now_s: float) -> None:
        done = failed = 0
        for batch in self._reader.packed_history(after=self._last_id):
            for entry in batch:
                records = list(_EVERY.pick([entry]))[::-1]
                done += len(records)
                failed += sum(record.outcome in _FAILED for record in records)
                self._newest.extend(records)
                self._last_id = entry.entry_id
        self._counts.append((now_s, done, failed))

    def _text(self, overview: Overview, workers: Sequence[WorkerObservation]) -> str:
        head = (
            f"<b>{html.escape(self._reader.label)}</b> "
            + html.muted(f"at {html.clock_time(overview.taken_at, seconds=True)} UTC")
            + "<br>"
            + f"{overview.queued:,} queued, {overview.running:,} running, "
            + f"{overview.scheduled:,} scheduled, {overview.retry:,} to retry, "
            + f"{overview.dead:,} dead"
        )
        rates = self._rates()
        rate = rates[-1] if rates else 0.0
        plot = html.sparkline(rates, "executions a second", width=360, height=40)
        busy = [worker for worker in workers if worker.is_busy]
        return (
            f"{head}<br>{plot} {rate:,.0f} executions/s{self._failures()}<br>"
            f"{self._latencies()}{_queues(overview)}{_workers(busy, overview.taken_at)}"
        )

    def _rates(self) -> list[float]:
        counts = list(self._counts)
        return [
            done / max(at - before, 0.001)
            for (before, _, _), (at, done, _) in itertools.pairwise(counts)
        ]

    def _failures(self) -> str:
        failed = sum(failed for _, _, failed in self._counts)
        return html.notice(f", {failed:,} failed since the view was opened") if failed else ""

    def _latencies(self) -> str:
        ran = [record for record in self._newest if record.started_ms]
        names = sorted({record.name for record in ran})[:_ROWS]
        rows = []
        for name in names:
            mine = [record for record in ran if record.name == name]
            waits = [r.wait_ms for r in mine if r.wait_ms is not None]
            runs = [r.finished_ms - r.started_ms for r in mine]
            quantiles = [
                took(_quantile(values, q)) if values else "-"
                for values in (waits, runs)
                for q in (0.5, 0.99)
            ]
            rows.append((html.escape(name), f"{len(mine):,}", *quantiles))
        head = ("newest executions", "", "wait p50", "wait p99", "run p50", "run p99")
        return html.table(head, rows, "nothing has run yet")

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and its page for readers without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = self._page.value
        return bundle


def _quantile(values: Sequence[int], share: float) -> int:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _queues(overview: Overview) -> str:
    queues = sorted(overview.queues, key=lambda queue: (-queue.count, queue.job_name))[:_ROWS]
    rows = [
        (
            html.escape(queue.job_name),
            f"{queue.count:,}",
            age(queue.latency) if queue.count else "-",
            f"{queue.running:,}"
            + (f" of {queue.max_concurrency}" if queue.max_concurrency else ""),
            "paused" if queue.paused else "broken" if queue.broken else "",
        )
        for queue in queues
    ]
    return html.table(("queue", "jobs", "oldest", "running", ""), rows, "no queues")


def _workers(busy: Sequence[WorkerObservation], now_s: float) -> str:
    rows = [
        (
            html.escape(worker.job_name),
            f"<code>{html.escape(worker.job_id)}</code>",
            age(now_s - worker.started_at),
            html.escape(clip(clean(worker.checkin), 60)),
        )
        for worker in sorted(busy, key=lambda worker: worker.started_at)[:_ROWS]
    ]
    head = (counted(len(busy), "busy worker"), "job", "for", "check-in")
    return html.table(head, rows, "no worker is busy")
