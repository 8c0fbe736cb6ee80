"""Overview: figures, series and concerns of the namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from workkit.admin.attention import Concern, Kind
from workkit.admin.explain import is_silent
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.trends import Flows
from workkit.core.records import Overview, Queue
from workkit.core.text import age, clean, counted, took
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key, copying
from workkit_tui.model.busy import busy_workers, unreported_workers
from workkit_tui.model.copies import Copy
from workkit_tui.model.listing import trouble_word
from workkit_tui.model.words import ago, count, error_text, per_s, short, until
from workkit_tui.remembered import SavedView
from workkit_tui.screens.base import ConsoleScreen, ListScreen
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.widgets.spark import Spark
from workkit_tui.widgets.table import Row, Table, TableColumn
from workkit_tui.widgets.words import Words

__all__ = ["OverviewScreen"]

#: Terminals from this height show queues and failures as well, lines.
_TALL: Final = 34
_MOST: Final = 100
_FIGURES: Final = ("Queued", "Running", "Scheduled", "Retrying", "Dead")
_QUEUES: Final = (
    TableColumn("Queue", 14, grows=1),
    TableColumn("Waiting", 8, right=True),
    TableColumn("Oldest", 8, right=True, needs=66),
    TableColumn("Running", 8, right=True, needs=66),
    TableColumn("In/s", 6, right=True),
    TableColumn("Out/s", 6, right=True),
)
_FAILURES: Final = (
    TableColumn("Ago", 7, right=True),
    TableColumn("Name", 12, grows=1),
    TableColumn("Outcome", 9),
    TableColumn("Error", 10, grows=3),
)
#: The tab that helps with a concern.
_TABS: Final[Mapping[Kind, str]] = {
    "queue-broken": "queues",
    "queue-unserved": "queues",
    "queue-paused": "queues",
    "queue-slow": "queues",
    "queue-failing": "errors",
    "pool-silent": "workers",
    "pool-abandoning": "workers",
    "pools-gone": "workers",
    "scheduled-late": "scheduled",
    "retry-late": "retry",
    "failing": "errors",
    "dying": "dead",
}
_SIGNS: Final = {"bad": "✖", "warn": "▲", "info": "·"}


class OverviewScreen(ListScreen):
    """The first screen."""

    TAB = "overview"
    TITLE_SHOWN = "Overview"
    WANTS_HOUR = True
    KEYS: ClassVar = (
        Key(
            ("enter",), "open", "open", "Go to the screen that helps with the line under the cursor"
        ),
        Key(("s",), "span", "4 min/hour", "Show the series of four minutes, or of an hour"),
        copying("the line under the cursor"),
        *MOVING,
    )

    def __init__(self) -> None:
        super().__init__()
        self._concerns: list[Concern] = []
        self._busiest: list[Queue] = []
        self._failures: list[HistoryRecord] = []
        self._view: View | None = None
        self._flows = Flows()
        self._by_hour = False

    def on_resize(self) -> None:
        """Show more where there is room for it."""
        tall = self.size.height >= _TALL
        self.query_one("#more").display = tall
        self.query_one("#figures").set_class(tall, "apart")

    def body(self) -> ComposeResult:
        """Build figures, series and concerns."""
        with Horizontal(id="figures"):
            for title in _FIGURES:
                yield Words("", id=f"figure-{title.lower()}")
        with Horizontal(id="sparks"):
            yield Spark("Done", id="spark-done")
            yield Spark("Failed", id="spark-failed")
            yield Spark("Waiting", note="jobs", id="spark-queued")
            yield Spark("Wait", note="median", id="spark-wait")
            yield Spark("Run", note="median", id="spark-run")
        yield Words("", classes="heading", id="attention")
        yield Table(
            [TableColumn("", 1), TableColumn("", 10, grows=1)],
            self._row,
            name="concerns",
            head=False,
        )
        with Horizontal(id="more"):
            with Vertical():
                yield Words("Busiest queues", classes="heading")
                yield Table(_QUEUES, self._queue_row, name="busiest")
            with Vertical():
                yield Words("Latest failures", classes="heading")
                yield Table(_FAILURES, self._failure_row, name="failures")

    def _row(self, at: int) -> Row | None:
        if at >= len(self._concerns):
            return None
        concern = self._concerns[at]
        return Row([(_SIGNS[concern.level], concern.level), concern.text])

    def _queue_row(self, at: int) -> Row | None:
        if at >= len(self._busiest) or self._view is None:
            return None
        queue = self._busiest[at]
        flow = self._flows.of(queue)
        return Row(
            [
                clean(queue.job_name), count(queue.count),
                age(queue.latency) if queue.count else "-", count(queue.running),
                per_s(flow.in_per_s), per_s(flow.out_per_s),
            ]
        )  # fmt: skip

    def _failure_row(self, at: int) -> Row | None:
        if at >= len(self._failures) or self._view is None:
            return None
        record = self._failures[at]
        ended = ago(record.finished_ms / 1_000, self._view.seen.taken_at)
        color = "bad" if record.outcome == "dead" else "warn"
        return Row(
            [
                ended,
                clean(record.name),
                (record.outcome, color),
                error_text(record.error, self.console.masks),
            ]
        )

    def _show_more(self, view: View) -> None:
        """Draw the parts for tall terminals."""
        self._view = view
        if not self.query_one("#more").display:
            return
        self._flows = view.trends.flows()
        out_per_s = self._flows.out_per_s
        moving = [q for q in view.seen.queues if q.count or q.running or q.job_name in out_per_s]
        moving.sort(key=lambda q: (-out_per_s.get(q.job_name, 0), -q.count, q.job_name))
        self._busiest = moving[:_MOST]
        self._failures = list(view.trends.failures)
        _, busiest, failures = self.query(Table)
        busiest.total, failures.total = len(self._busiest), len(self._failures)
        busiest.empty, failures.empty = "nothing waits or runs", "nothing has failed recently"
        busiest.refresh_rows()
        failures.refresh_rows()

    def gather(self, reader: Reader, seen: Overview) -> dict[str, int]:
        """Read how many workers of each pool are busy; those of Go pools are read one by one."""
        asked = unreported_workers(seen.pools)
        observed = reader.worker_observations(asked) if asked else []
        return busy_workers(seen.pools, asked, observed)

    def show(self, view: View) -> None:
        """Draw everything."""
        self._show_more(view)
        seen = view.seen
        self._figure("Queued", seen.queued)
        self._figure("Running", seen.running)
        self._figure("Scheduled", seen.scheduled, until(seen.next_scheduled_at, seen.taken_at))
        self._figure("Retrying", seen.retry, until(seen.next_retry_at, seen.taken_at))
        self._figure("Dead", seen.dead, bad=seen.dead > 0)
        self._show_series(view)
        self._concerns = view.concerns
        self.table.total = len(self._concerns)
        self.table.refresh_rows()
        bad = sum(concern.level == "bad" for concern in self._concerns)
        if self._concerns:
            color = self._color("error" if bad else "warning")
            text = Text.assemble("Needs attention  ", (f"{len(self._concerns)}", f"bold {color}"))
        else:
            text = Text("✔ Nothing needs attention", self._color("success"))
        self.write("#attention", text)
        living = [pool for pool in seen.pools if not is_silent(pool, seen.taken_at)]
        busy = sum(view.gathered.get(pool.worker_pool_id, 0) for pool in living)
        workers = sum(pool.concurrency for pool in living)
        self.head(
            (f"{counted(len(seen.queues), 'queue')} · ", "secondary"),
            (f"{len(living)} of {counted(len(seen.pools), 'pool')} alive · ", "secondary"),
            (f"{count(busy)} of {counted(workers, 'worker')} busy", "secondary"),
        )

    def _figure(self, title: str, number: int, note: str = "-", *, bad: bool = False) -> None:
        """Draw a number below its title; the note is left out where it does not fit."""
        figure, quiet = self.query_one(f"#figure-{title.lower()}", Words), self._color("secondary")
        number_color = self._color("error" if bad else "foreground")
        text = Text.assemble((f"{title}\n", quiet), (count(number), f"bold {number_color}"))
        if note != "-" and len(count(number)) + 1 + len(note) <= figure.content_size.width:
            text.append(f" {note}", quiet)
        self.write(f"#{figure.id}", text)

    def _show_series(self, view: View) -> None:
        """Draw the series, of the hour if that is wanted, with their newest values."""
        trends = view.trends
        hour = self.console.hour if self._by_hour else None
        series = hour or trends
        failed = trends.failed_per_s or 0
        self._spark("done", series.done, _rate(trends.done_per_s))
        self._spark("failed", series.failed, _rate(trends.failed_per_s), alarm=failed > 0)
        self._spark("queued", series.queued, short(view.seen.queued))
        for name, recent, shown in (
            ("wait", trends.wait_ms, series.wait_ms), ("run", trends.run_ms, series.run_ms),
        ):  # fmt: skip
            known = [span for span in recent if span]
            self._spark(name, shown, took(round(known[-1])) if known else "-")
        for spark in self.query(Spark):
            spark.span = " (1h)" if hour is not None else ""

    def show_hour(self) -> None:
        """Draw the series of the hour."""
        if self._by_hour and self.console.view is not None:
            self._show_series(self.console.view)

    def action_span(self) -> None:
        """Show series of another span."""
        self._by_hour = not self._by_hour
        if self._by_hour and self.console.hour is None:
            self.notify("Nothing is remembered of the last hour.", severity="warning")
        if self.console.view is not None:
            self._show_series(self.console.view)

    def saved(self) -> SavedView:
        """Return the span of the series."""
        return SavedView(self.kind, sort="hour" if self._by_hour else "")

    def restore(self, view: SavedView) -> None:
        """Show the series of a span."""
        self._by_hour = view.sort == "hour"

    def _spark(self, name: str, points: object, value: str, *, alarm: bool = False) -> None:
        spark = self.query_one(f"#spark-{name}", Spark)
        spark.points = tuple(points)  # type: ignore[arg-type]
        spark.value, spark.alarm = value, alarm

    def copies(self) -> list[Copy]:
        """Return the line under the cursor."""
        found = self._concerns[self.table.cursor : self.table.cursor + 1]
        return [Copy("the line", clean(concern.text)) for concern in found]

    def action_open(self) -> None:
        """Go to the screen that helps with a concern."""
        if self.table.cursor >= len(self._concerns):
            return
        concern = self._concerns[self.table.cursor]
        if concern.kind.startswith("queue-") and not concern.about:  # it stands for several
            queues = self.app.get_screen("queues")
            assert isinstance(queues, ConsoleScreen)  # noqa: S101 - it is a tab
            queues.restore(SavedView("queues", filter=trouble_word(concern.kind), sort="Oldest"))
            self.console.action_tab("queues")
            return
        tab = _TABS[concern.kind]
        self.console.action_tab(tab)
        if tab == "queues" and concern.about:
            self.console.open_screen(QueueScreen(concern.about))


def _rate(per_second: float | None) -> str:
    return "-" if per_second is None else f"{per_s(per_second)}/s"
