"""Workers: the pools, and the jobs that their workers run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.text import Text
from textual.app import ComposeResult

from workkit.admin.explain import is_silent, pool_name
from workkit.admin.reader import Reader
from workkit.admin.trends import FAILED_TOTALS
from workkit.core.records import Overview, WorkerObservation, WorkerPoolHeartbeat
from workkit.core.text import clean, counted
from workkit_tui.feed import View
from workkit_tui.keys import COMPARE, FOLLOW, MOVING, PAGER, STACK, Key, copying
from workkit_tui.model.busy import busy_workers, unreported_workers
from workkit_tui.model.copies import Copy
from workkit_tui.model.job_page import JobPage
from workkit_tui.model.listing import narrowed
from workkit_tui.model.words import ago, args_text, count
from workkit_tui.remembered import SavedView
from workkit_tui.screens.job import JobScreen
from workkit_tui.screens.job_cursor import JobCursorScreen
from workkit_tui.screens.stack import open_stack
from workkit_tui.widgets.table import Row, Table, TableColumn
from workkit_tui.widgets.words import Words

__all__ = ["WorkersScreen"]

_POOLS: Final = (
    TableColumn("Pool", 28, grows=2),
    TableColumn("Busy", 7, right=True),
    TableColumn("Beat", 7, right=True),
    TableColumn("Up", 8, right=True),
    TableColumn("Done", 8, right=True, needs=100),
    TableColumn("Failed", 7, right=True, needs=100),
    TableColumn("Version", 8, needs=120),
    TableColumn("Handles", 16, grows=3),
)
_WORKERS: Final = (
    TableColumn("Runs", 12, grows=1),
    TableColumn("For", 8, right=True),
    TableColumn("Check-in", 14, grows=2),
    TableColumn("Ago", 7, right=True),
    TableColumn("Job", 24, needs=110),
    TableColumn("Args", 10, grows=3, needs=96),
)


class _Seen(NamedTuple):
    """The data of the workers.

    Attributes:
        observed: The jobs that some of them run.
        busy: Pool id → how many of its workers are busy.
        at: The row of the pool that is looked at; None without one.
    """

    observed: list[WorkerObservation]
    busy: dict[str, int]
    at: int | None


class WorkersScreen(JobCursorScreen):
    """Shows all pools and, below them, the busy workers of one pool or of all."""

    TAB = "workers"
    TITLE_SHOWN = "Workers"
    KEYS: ClassVar = (
        Key(("w",), "whose", "all/one pool", "Show the workers of all pools, or of one pool"),
        Key(("o",), "other_table", "pools/workers", "Move the cursor in the other table"),
        Key(("enter",), "open", "job", "Open the job that the worker under the cursor runs"),
        Key(
            ("slash",), "filter", "filter", "Show pools whose host, jobs or id contain these words"
        ),
        Key(("e",), "app.export", "export", "Write the list to a file"),
        copying("the id of the pool, or of the job that the worker runs"),
        FOLLOW,
        COMPARE,
        PAGER,
        STACK,
        *MOVING,
    )

    @classmethod
    def badge(cls, seen: Overview) -> str:
        """Return how many there are."""
        return f"{len(seen.pools)}" if seen.pools else ""

    def __init__(self) -> None:
        super().__init__()
        self._pools: list[WorkerPoolHeartbeat] = []
        self._busy: list[WorkerObservation] = []
        self._everywhere = False
        self._words = ""
        self._below = False
        #: The pool under the cursor, for the thread that reads its workers; None until a busy pool
        #: was found.
        self._at: int | None = None
        #: Pool id → how many of its workers are busy.
        self._busy_of: Mapping[str, int] = {}
        self._now_s = 0.0

    def body(self) -> ComposeResult:
        """Build both tables."""
        yield Table(_POOLS, self._pool_row, name="pools")
        yield Words("", classes="heading", id="whose")
        yield Table(_WORKERS, self._worker_row, name="workers")

    @property
    def table(self) -> Table:
        """The table that the keys move in."""
        return list(self.query(Table))[1 if self._below else 0]

    @property
    def _pool_table(self) -> Table:
        return next(iter(self.query(Table)))

    def gather(self, reader: Reader, seen: Overview) -> _Seen:
        """Read the workers of the pool under the cursor, or of all pools, and those of Go pools."""
        pools, at = self._arranged(seen), self._at
        asked = unreported_workers(seen.pools)
        if self._everywhere:
            asked = [worker for pool in seen.pools for worker in pool.worker_ids]
        elif at is not None and pools:
            asked = [*asked, *pools[min(at, len(pools) - 1)].worker_ids]
        observed = self._observe(reader, asked)
        busy = busy_workers(seen.pools, asked, observed)
        if at is None and pools:
            at = next((n for n, pool in enumerate(pools) if busy.get(pool.worker_pool_id)), 0)
            if not self._everywhere:
                observed += self._observe(reader, pools[at].worker_ids)
        return _Seen(observed, busy, at)

    @staticmethod
    def _observe(reader: Reader, workers: Sequence[str]) -> list[WorkerObservation]:
        return reader.worker_observations(list(dict.fromkeys(workers))) if workers else []

    def _arranged(self, seen: Overview) -> list[WorkerPoolHeartbeat]:
        """Return the pools, the silent ones first, then by host."""
        found = narrowed(
            seen.pools,
            self._words,
            lambda p: f"{p.host}:{p.pid} {p.worker_pool_id} {' '.join(p.job_names)}",
        )
        return sorted(found, key=lambda p: (not is_silent(p, seen.taken_at), p.host, p.pid))

    def show(self, view: View) -> None:
        """Draw pools and workers."""
        self._now_s = view.seen.taken_at
        self._pools = self._arranged(view.seen)
        pools, workers = self.query(Table)
        self._take(view.gathered, pools)
        pools.total, workers.total = len(self._pools), len(self._busy)
        # If there are few pools, the workers get the free rows.
        pools.styles.max_height = max(pools.total, 2) + 2
        pools.empty = "no pool matches the filter" if self._words else "no pool is running"
        workers.empty = "no worker is busy"
        pools.refresh_rows()
        workers.refresh_rows()
        silent = sum(is_silent(pool, self._now_s) for pool in view.seen.pools)
        busy = sum(self._busy_of.values())
        size = sum(pool.concurrency for pool in view.seen.pools)
        self.head(
            (counted(len(view.seen.pools), "pool"), "secondary"),
            (f" · {count(busy)} of {counted(size, 'worker')} busy", "secondary"),
            (f" · {silent} silent" if silent else "", "error"),
            (f" · /{self._words}" if self._words else "", "primary"),
        )
        pool = self._pools[min(pools.cursor, len(self._pools) - 1)] if self._pools else None
        whose = "all pools" if self._everywhere or pool is None else pool_name(pool)
        text = f"Busy workers of {whose}, longest running first"
        self.write("#whose", Text.assemble((text, self._color("secondary"))))

    def _take(self, gathered: _Seen, pools: Table) -> None:
        """Take the observations; the first time, go to the first busy pool."""
        self._busy_of = gathered.busy
        if self._at is None and gathered.at is not None:
            pools.total = len(self._pools)
            self._at = pools.cursor = gathered.at
        at = min(pools.cursor, len(self._pools) - 1)
        shown = set(self._pools[at].worker_ids) if self._pools else set()
        busy = {each.worker_id: each for each in gathered.observed if each.is_busy}
        wanted = (w for w in busy.values() if self._everywhere or w.worker_id in shown)
        self._busy = sorted(wanted, key=lambda worker: worker.started_at)

    def _pool_row(self, at: int) -> Row | None:
        if at >= len(self._pools):
            return None
        pool = self._pools[at]
        silent = is_silent(pool, self._now_s)
        totals = pool.totals
        number = self._busy_of.get(pool.worker_pool_id)
        busy = "-" if number is None else count(number)
        failed = sum(totals.get(field, 0) for field in FAILED_TOTALS)
        return Row(
            [
                (pool_name(pool), "bad" if silent else ""),
                f"{busy}/{pool.concurrency}",
                (ago(pool.heartbeat_at, self._now_s), "bad" if silent else ""),
                ago(pool.started_at, self._now_s),
                count(totals["done"]) if "done" in totals else "-",
                (count(failed), "warn" if failed else "") if totals else "-",
                pool.version or "Go",
                clean(" ".join(pool.job_names)),
            ],
            loud=silent,
        )

    def _worker_row(self, at: int) -> Row | None:
        if at >= len(self._busy):
            return None
        worker = self._busy[at]
        return Row(
            [
                clean(worker.job_name),
                ago(worker.started_at, self._now_s),
                clean(self.console.masks.text(worker.checkin)) or "-",
                ago(worker.checkin_at, self._now_s),
                clean(worker.job_id),
                self._args(worker),
            ]
        )

    def _args(self, worker: WorkerObservation) -> str:
        return args_text(self.console.masks.json(worker.args_json))

    # Keys.

    def action_whose(self) -> None:
        """Show the workers of all pools, or of one."""
        self._everywhere = not self._everywhere
        self.console.action_refresh_now()

    def action_other_table(self) -> None:
        """Move in the other table."""
        self._below = not self._below
        self.table.focus()

    def on_table_seen(self, event: Table.Seen) -> None:
        """Read the workers of another pool when the cursor comes to it."""
        event.stop()
        if self._at is None:
            return  # nothing was read yet
        moved = self._at != self._pool_table.cursor
        self._at = self._pool_table.cursor
        if moved and not self._below and not self._everywhere and self.is_current:
            self.console.action_refresh_now()

    def on_descendant_focus(self) -> None:
        """Follow the focus when the mouse sets it."""
        tables = list(self.query(Table))
        if self.focused in tables:
            self._below = self.focused is tables[1]

    @property
    def _worker(self) -> WorkerObservation | None:
        """The worker under the cursor of the lower table."""
        at = self.table.cursor
        return self._busy[at] if self._below and at < len(self._busy) else None

    @property
    def page(self) -> JobPage | None:
        """What is known of the job of the worker under the cursor."""
        return JobPage.of_worker(self._worker) if self._worker is not None else None

    def job_screen(self) -> JobScreen | None:
        """Return a screen of the job of the worker under the cursor."""
        return JobScreen.of_worker(self._worker) if self._worker is not None else None

    def action_open(self) -> None:
        """Open the job of the worker under the cursor."""
        if self._below:
            super().action_open()
        elif self._busy:
            self.action_other_table()

    def action_stack(self) -> None:
        """Ask the pool where the handler of the worker under the cursor is."""
        if self._worker is not None:
            open_stack(self, self._worker.job_id, self._worker.job_name)

    def copies(self) -> Sequence[Copy]:
        """Return the id of the pool under the cursor, or of the job in the lower table."""
        if self._below:
            return super().copies()
        pools = self._pools[self.table.cursor : self.table.cursor + 1]
        return [Copy("the pool's id", clean(pool.worker_pool_id)) for pool in pools]

    def action_filter(self) -> None:
        """Ask for words."""
        self.prompt.ask("/", self._narrow, value=self._words, hint="words; -word excludes")

    def _narrow(self, words: str) -> None:
        self._words = words
        self.close_prompt()
        self._pool_table.cursor = 0
        self.console.action_refresh_now()

    def saved(self) -> SavedView:
        """Return the words, and whose workers are shown."""
        whose = "all pools" if self._everywhere else ""
        return SavedView(self.kind, filter=self._words, sort=whose)

    def restore(self, view: SavedView) -> None:
        """Show the pools with some words, and their workers."""
        self._words, self._everywhere = view.filter, view.sort == "all pools"

    def action_back(self) -> None:
        """Leave the prompt, then the lower table, then the filter."""
        if not self.prompt.open and self._below:
            self.action_other_table()
        elif not self.prompt.open and self._words:
            self._narrow("")
        else:
            super().action_back()

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of the list."""
        return ("workers", list(self._busy)) if self._below else ("pools", list(self._pools))
