"""Overview: how it goes, and what needs attention."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from workkit.records import Queue
from workkit.steps.history import HistoryRecord
from workkit.text import age, clean
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key
from workkit_tui.model.attention import Concern
from workkit_tui.model.trends import Flow
from workkit_tui.model.words import ago, count, per_s, until
from workkit_tui.screens.base import ListScreen
from workkit_tui.widgets.spark import Spark
from workkit_tui.widgets.table import Column, Row, Table

__all__ = ["OverviewScreen"]

#: Terminals with so many lines show queues and failures as well.
_TALL: Final = 34
_MOST: Final = 100
_STILL: Final = Flow()
_QUEUES: Final = (
    Column("Queue", 14, grows=1),
    Column("Waiting", 8, right=True),
    Column("Oldest", 8, right=True, needs=66),
    Column("Running", 8, right=True, needs=66),
    Column("In/s", 6, right=True),
    Column("Out/s", 6, right=True),
)
_FAILURES: Final = (
    Column("Ago", 7, right=True),
    Column("Name", 12, grows=1),
    Column("Outcome", 9),
    Column("Error", 10, grows=3),
)
_SIGNS: Final = {"bad": "✖", "warn": "▲", "info": "·"}


class OverviewScreen(ListScreen):
    """The first screen."""

    TAB = "overview"
    TITLE_SHOWN = "Overview"
    KEYS: ClassVar = (
        Key(("enter",), "open", "go there", "Go where the concern under the cursor is mended"),
        *MOVING,
    )

    def __init__(self) -> None:
        super().__init__()
        self._concerns: list[Concern] = []
        self._busiest: list[Queue] = []
        self._failures: list[HistoryRecord] = []
        self._view: View | None = None
        self._flows: dict[str, Flow] = {}

    def on_resize(self) -> None:
        """Show more where there is room for it."""
        self.query_one("#more").display = self.size.height >= _TALL

    def body(self) -> ComposeResult:
        """Build figures, series and concerns."""
        yield Static("", id="figures")
        with Horizontal(id="sparks"):
            yield Spark("Done", unit="/s", id="spark-done")
            yield Spark("Failed", unit="/s", id="spark-failed")
            yield Spark("Waiting", unit="jobs", id="spark-queued")
            yield Spark("Wait", id="spark-wait")
        yield Static("", classes="heading", id="attention")
        yield Table(
            [Column("", 1), Column("", 10, grows=1)], self._row, name="concerns", head=False
        )
        with Horizontal(id="more"):
            with Vertical():
                yield Static("Busiest queues", classes="heading")
                yield Table(_QUEUES, self._queue_row, name="busiest")
            with Vertical():
                yield Static("Latest failures", classes="heading")
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
        flow = self._flows.get(queue.job_name, Flow())
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
        return Row([ended, clean(record.name), (record.outcome, color), clean(record.error)])

    def _show_more(self, view: View) -> None:
        """Draw what is seen in tall terminals only."""
        self._view = view
        if not self.query_one("#more").display:
            return
        flows = self._flows = view.trends.flows(view.seen.queues)
        self._busiest = sorted(
            view.seen.queues,
            key=lambda q: (-(flows.get(q.job_name, _STILL).out_per_s or 0), -q.count, q.job_name),
        )[:_MOST]
        self._failures = list(view.trends.failures)
        _, busiest, failures = self.query(Table)
        busiest.total, failures.total = len(self._busiest), len(self._failures)
        failures.empty = "nothing has failed lately"
        busiest.refresh_rows()
        failures.refresh_rows()

    def show(self, view: View) -> None:
        """Draw everything."""
        self._show_more(view)
        seen, trends = view.seen, view.trends
        self.query_one("#figures", Static).update(self._figures(view))
        self._spark("done", trends.done, per_s(trends.done_per_s))
        failed = trends.failed_per_s or 0
        self._spark("failed", trends.failed, per_s(trends.failed_per_s), alarm=failed > 0)
        self._spark("queued", trends.queued, count(seen.queued))
        waits = [wait for wait in trends.wait_ms if wait]
        self._spark("wait", trends.wait_ms, _ms(waits[-1]) if waits else "-")
        self._concerns = view.concerns
        self.table.total = len(self._concerns)
        self.table.refresh_rows()
        bad = sum(concern.level == "bad" for concern in self._concerns)
        heading = self.query_one("#attention", Static)
        if self._concerns:
            color = self._color("error" if bad else "warning")
            text = Text.assemble("Needs attention  ", (f"{len(self._concerns)}", f"bold {color}"))
        else:
            text = Text("✔ Nothing needs attention", self._color("success"))
        heading.update(text)
        alive = sum(view.seen.taken_at - pool.heartbeat_at <= 12 for pool in seen.pools)  # noqa: PLR2004
        busy = sum(pool.totals.get("busy", 0) for pool in seen.pools)
        workers = sum(pool.concurrency for pool in seen.pools)
        self.head(
            (f"{self.plural(len(seen.queues), 'queue')} · ", "secondary"),
            (f"{alive} of {self.plural(len(seen.pools), 'pool')} alive · ", "secondary"),
            (f"{count(busy)} of {self.plural(workers, 'worker')} busy", "secondary"),
        )

    def _figures(self, view: View) -> Grid:
        seen = view.seen
        grid = Grid.grid(expand=True)
        cells = (
            ("Queued", seen.queued, ""),
            ("Running", seen.running, ""),
            ("Scheduled", seen.scheduled, until(seen.next_scheduled_at, seen.taken_at)),
            ("Retrying", seen.retry, until(seen.next_retry_at, seen.taken_at)),
            ("Dead", seen.dead, ""),
        )
        upper, lower = [], []
        for title, number, note in cells:
            grid.add_column(ratio=1, no_wrap=True)
            shade = "error" if title == "Dead" and number else "foreground"
            over = Text(count(number), f"bold {self._color(shade)}")
            if note not in {"", "-"}:
                over.append(f" {note}", f"not bold {self._color('secondary')}")
            upper.append(over)
            lower.append(Text(title, self._color("secondary")))
        grid.add_row(*upper)
        grid.add_row(*lower)
        return grid

    def _spark(self, name: str, points: object, value: str, *, alarm: bool = False) -> None:
        spark = self.query_one(f"#spark-{name}", Spark)
        spark.points = tuple(points)  # type: ignore[arg-type]
        spark.value, spark.alarm = value, alarm

    def action_open(self) -> None:
        """Go where a concern is mended."""
        if self.table.cursor >= len(self._concerns):
            return
        concern = self._concerns[self.table.cursor]
        if concern.about:
            from workkit_tui.screens.queue import QueueScreen

            self.console.action_tab("queues")
            self.console.open_screen(QueueScreen(concern.about))
        else:
            self.console.action_tab(concern.goes_to)


def _ms(milliseconds: float) -> str:
    """Return a short span, such as 12 ms, 1.5 s or 3m 2s."""
    if milliseconds < 1_000:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1_000:.1f} s" if milliseconds < 60_000 else age(milliseconds / 1_000)  # noqa: PLR2004
