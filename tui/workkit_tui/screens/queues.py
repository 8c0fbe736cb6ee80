"""Queues: depth, age, rates and state of each queue."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult

from workkit.admin.attention import held_up, troubles
from workkit.admin.trends import Flows
from workkit.core.records import Overview, Queue
from workkit.core.text import age, clean, counted
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key, copying
from workkit_tui.model.copies import Copy
from workkit_tui.model.listing import TROUBLE_WORDS, Order, narrowed, ordered, trouble_word
from workkit_tui.model.words import brief, count, per_s, short
from workkit_tui.remembered import SavedView
from workkit_tui.screens.base import ListScreen
from workkit_tui.screens.enqueuing import ask_for_job
from workkit_tui.screens.queue import QueueScreen
from workkit_tui.widgets.spark import blocks, squeezed
from workkit_tui.widgets.table import Row, Table, TableColumn

__all__ = ["QueuesScreen"]

_IS: Final = "is:"
_SLOW_S: Final = 300
_TREND: Final = 20
_COLUMNS: Final = (
    TableColumn("Queue", 14, grows=2, sorts=True),
    TableColumn("Waiting", 9, right=True, sorts=True),
    TableColumn("Last hour", _TREND, grows=1, needs=158),
    TableColumn("Oldest", 8, right=True, sorts=True),
    TableColumn("Running", 9, right=True, sorts=True),
    TableColumn("In/s", 6, right=True, sorts=True, needs=84),
    TableColumn("Out/s", 6, right=True, sorts=True, needs=70),
    TableColumn("Drains in", 10, right=True, sorts=True, needs=96),
    TableColumn("Wait 50%", 8, right=True, needs=140),
    TableColumn("Wait 95%", 8, right=True, needs=118),
    TableColumn("Run 50%", 8, right=True, needs=140),
    TableColumn("Run 95%", 8, right=True, needs=118),
    TableColumn("Workers", 8, right=True, sorts=True, needs=110),
    TableColumn("State", 9),
)


class QueuesScreen(ListScreen):
    """All queues."""

    TAB = "queues"
    TITLE_SHOWN = "Queues"
    WANTS_HOUR = True
    KEYS: ClassVar = (
        Key(("enter",), "open", "jobs", "Open the queue and page through its jobs"),
        Key(("p",), "pause", "pause", "Pause the queue, or resume it", acts=True),
        Key(
            ("n",),
            "enqueue",
            "new job",
            "Enqueue a new job; its name is completed, its args begin "
            "with the names of another job's",
            acts=True,
        ),
        Key(
            ("slash",),
            "filter",
            "filter",
            "Show the queues whose names contain these "
            "words, or those of one trouble, such as is:unserved",
        ),
        Key(("s",), "sort", "sort", "Sort by the next column; a click on its head does the same"),
        Key(("i",), "invert", "", "Reverse the sort order"),
        Key(("e",), "app.export", "export", "Write the list to a file"),
        copying("the name of the queue"),
        *MOVING,
    )

    @classmethod
    def badge(cls, seen: Overview) -> str:
        """Return how many there are."""
        return short(seen.queued) if seen.queued else ""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Queue] = []
        self._view: View | None = None
        self._flows = Flows()
        self._words = ""
        self._orders: tuple[Order[Queue], ...] = (
            Order("Waiting", lambda queue: queue.count, falling=True),
            Order("Oldest", lambda queue: queue.latency, falling=True),
            Order("Running", lambda queue: queue.running, falling=True),
            Order("In/s", lambda queue: self._flows.of(queue).in_per_s or 0, falling=True),
            Order("Out/s", lambda queue: self._flows.of(queue).out_per_s or 0, falling=True),
            Order("Drains in", lambda queue: self._flows.of(queue).drain_s or 1e12, falling=True),
            Order("Workers", self._takers, falling=True),
            Order("Queue", lambda queue: queue.job_name),
        )
        self._order = self._orders[0]
        self._inverted = False

    def _takers(self, queue: Queue) -> int:
        """Return how many workers of live pools take jobs of a queue."""
        return self._view.takers.get(queue.job_name, 0) if self._view is not None else 0

    def body(self) -> ComposeResult:
        """Build the table."""
        yield Table(_COLUMNS, self._row, name="queues")

    def show(self, view: View) -> None:
        """Draw the queues; the cursor stays on its queue."""
        at = self.table.cursor
        name = self._rows[at].job_name if at < len(self._rows) else ""
        self._view, self._flows = view, view.trends.flows()
        self._arrange(view.seen.queues)
        where = next((at for at, q in enumerate(self._rows) if q.job_name == name), None)
        if where is not None and at:
            self.table.cursor = where
        paused = sum(queue.paused for queue in view.seen.queues)
        said = f"{len(self._rows)} of " if self._words else ""
        self.head(
            (f"{said}{counted(len(view.seen.queues), 'queue')}", "secondary"),
            (f" · {counted(view.seen.queued, 'job waits', 'jobs wait')}", "secondary"),
            (f" · {paused} paused" if paused else "", "warning"),
            (f" · /{self._words}" if self._words else "", "primary"),
        )

    def _arrange(self, queues: list[Queue]) -> None:
        troubles = self._troubles() if _IS in self._words else {}

        def text(queue: Queue) -> str:
            return " ".join([queue.job_name, *troubles.get(queue.job_name, ())])

        rows = narrowed(queues, self._words, text)
        by_name = sorted(rows, key=lambda queue: queue.job_name)
        self._rows = ordered(by_name, self._order, inverted=self._inverted)
        self.table.sorted_by, self.table.inverted = self._order.title, self._inverted
        self.table.total = len(self._rows)
        self.table.empty = "no queue matches the filter" if self._words else "no queue is known yet"
        self.table.refresh_rows()

    def _troubles(self) -> dict[str, list[str]]:
        """Return the words for the troubles of each queue, such as "is:paused"."""
        view = self._view
        if view is None:
            return {}
        found = troubles(view.seen, view.trends, view.takers)
        return {name: [trouble_word(kind) for kind in kinds] for name, kinds in found.items()}

    def _row(self, at: int) -> Row | None:
        if at >= len(self._rows) or self._view is None:
            return None
        queue = self._rows[at]
        flow = self._flows.of(queue)
        limit = f"/{queue.max_concurrency}" if queue.max_concurrency else ""
        late = queue.latency > _SLOW_S and queue.count
        state = held_up(queue, self._view.takers)
        moves = queue.count or queue.running or flow.out_per_s or flow.in_per_s
        return Row(
            [
                clean(queue.job_name),
                (count(queue.count), "bad" if state[0] == "no worker" else ""),
                (self._recent(queue), "series"),
                (age(queue.latency), "warn" if late else "") if queue.count else "-",
                (f"{count(queue.running)}{limit}", "warn" if state[0] == "full" else ""),
                per_s(flow.in_per_s),
                per_s(flow.out_per_s),
                age(flow.drain_s) if flow.drain_s is not None else "-",
                *self._spreads(queue),
                count(self._takers(queue)),
                state,
            ],
            dim=not moves,
        )

    def _spreads(self, queue: Queue) -> list[str]:
        """Return median and 95th percentile of the last waits, then of the last runs."""
        spread = self._view.trends.spread(queue.job_name) if self._view is not None else None
        pairs = (spread.wait_ms, spread.run_ms) if spread is not None else (None, None)
        return [brief(each) for pair in pairs for each in pair or (None, None)]

    def _recent(self, queue: Queue) -> str:
        """Draw the depths of the last hour."""
        room, hour = self.table.broad("Last hour"), self.console.hour
        depths = hour.depths(queue.job_name) if room and hour is not None else []
        return blocks(squeezed(depths, room), room)[0] if any(depths) else ""

    def show_hour(self) -> None:
        """Draw the depths of the last hour."""
        self.table.refresh_rows()

    # Keys.

    @property
    def current(self) -> Queue | None:
        """The queue under the cursor."""
        at = self.table.cursor
        return self._rows[at] if at < len(self._rows) else None

    def action_open(self) -> None:
        """Open the queue under the cursor."""
        if self.current is None:
            return
        if not self.current.job_name:  # another program has enqueued it
            self.notify("A queue without a name cannot be opened.", severity="warning")
            return
        self.console.open_screen(QueueScreen(self.current.job_name))

    def copies(self) -> list[Copy]:
        """Return the name of the queue under the cursor."""
        return [Copy("the queue's name", clean(self.current.job_name))] if self.current else []

    def action_pause(self) -> None:
        """Pause the queue under the cursor, or resume it."""
        if self.current is not None:
            self.console.pause(self.current.job_name, wanted=not self.current.paused)

    def action_enqueue(self) -> None:
        """Ask for a new job."""
        ask_for_job(self, self.current.job_name if self.current is not None else "")

    def action_filter(self) -> None:
        """Ask for words; is:paused and the like pick the queues of one trouble."""
        names = [queue.job_name for queue in self._rows if queue.job_name.isprintable()]
        self.prompt.ask(
            "/", self._narrow, value=self._words, words=[*TROUBLE_WORDS, *names],
            hint="words; -word excludes; is:unserved, is:slow, is:broken, is:failing",
        )  # fmt: skip

    def _narrow(self, words: str) -> None:
        self._words = words
        self.close_prompt()
        self.table.cursor = 0
        self._again()

    def saved(self) -> SavedView:
        """Return the words and the order."""
        order = self._order.title
        return SavedView(self.kind, filter=self._words, sort=order, reverse=self._inverted)

    def restore(self, view: SavedView) -> None:
        """Show the queues with some words, in an order."""
        self._words, self._inverted = view.filter, view.reverse
        known = (order for order in self._orders if order.title == view.sort)
        self._order = next(known, self._orders[0])
        if self.is_built:
            self._again()

    def action_back(self) -> None:
        """Leave the prompt, then the filter."""
        if not self.prompt.open and self._words:
            self._narrow("")
        else:
            super().action_back()

    def action_sort(self) -> None:
        """Sort by the next column."""
        at = self._orders.index(self._order)
        self._order, self._inverted = self._orders[(at + 1) % len(self._orders)], False
        self._again()

    def action_invert(self) -> None:
        """Reverse the sort order."""
        self._inverted = not self._inverted
        self._again()

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        """Sort by a column; a second click reverses the order."""
        if event.title == self._order.title:
            self._inverted = not self._inverted
        else:
            self._order = next(order for order in self._orders if order.title == event.title)
            self._inverted = False
        self._again()

    def _again(self) -> None:
        if self.console.view is not None:
            self.show(self.console.view)

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of the list."""
        return "queues", list(self._rows)
