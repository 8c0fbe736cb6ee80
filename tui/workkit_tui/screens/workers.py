"""Workers: the pools, and what their workers run."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from workkit.admin.explain import is_silent
from workkit.admin.reader import Reader
from workkit.core.records import Overview, WorkerObservation, WorkerPoolHeartbeat
from workkit.core.text import age, clean, counted
from workkit_tui.feed import View
from workkit_tui.keys import MOVING, Key
from workkit_tui.model.listing import narrowed
from workkit_tui.model.trends import FAILED_TOTALS
from workkit_tui.model.words import ago, args_text, count, pool_name
from workkit_tui.screens.base import ListScreen
from workkit_tui.widgets.table import Column, Row, Table

__all__ = ["WorkersScreen"]

_POOLS: Final = (
    Column("Pool", 28, grows=2),
    Column("Busy", 7, right=True),
    Column("Beat", 7, right=True),
    Column("Up", 8, right=True),
    Column("Done", 8, right=True, needs=100),
    Column("Failed", 7, right=True, needs=100),
    Column("Version", 8, needs=120),
    Column("Handles", 16, grows=3),
)
_WORKERS: Final = (
    Column("Runs", 12, grows=1),
    Column("For", 8, right=True),
    Column("Check-in", 14, grows=2),
    Column("Ago", 7, right=True),
    Column("Job", 24, needs=110),
    Column("Args", 10, grows=3, needs=96),
)


class WorkersScreen(ListScreen):
    """All pools above, the busy workers of one of them, or of all, below."""

    TAB = "workers"
    TITLE_SHOWN = "Workers"
    KEYS: ClassVar = (
        Key(("w",), "whose", "all/one pool", "Show the workers of all pools, or of the one"),
        Key(("o",), "other_table", "pools/workers", "Move the cursor in the other table"),
        Key(("enter",), "open", "job", "Open the job that the worker under the cursor runs"),
        Key(("slash",), "filter", "filter", "Show pools whose host, jobs or id hold these words"),
        Key(("e",), "app.export", "export", "Write what is listed to a file"),
        *MOVING,
    )

    def __init__(self) -> None:
        super().__init__()
        self._pools: list[WorkerPoolHeartbeat] = []
        self._busy: list[WorkerObservation] = []
        self._everywhere = False
        self._words = ""
        self._below = False
        #: The pool under the cursor, for the thread that reads its workers.
        self._at = 0
        self._now_s = 0.0

    def body(self) -> ComposeResult:
        """Build both tables."""
        yield Table(_POOLS, self._pool_row, name="pools")
        yield Static("", classes="heading", id="whose")
        yield Table(_WORKERS, self._worker_row, name="workers")

    @property
    def table(self) -> Table:
        """The table that the keys move in."""
        return list(self.query(Table))[1 if self._below else 0]

    @property
    def _pool_table(self) -> Table:
        return next(iter(self.query(Table)))

    def gather(self, reader: Reader, seen: Overview) -> list[WorkerObservation]:
        """Read what workers run: those of the pool under the cursor, or all."""
        if self._everywhere:
            ids = [worker for pool in seen.pools for worker in pool.worker_ids]
        else:
            pools = self._arranged(seen)
            at = min(self._at, len(pools) - 1)
            ids = pools[at].worker_ids if pools else []
        return reader.worker_observations(ids)

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
        observed: list[WorkerObservation] = view.gathered or []
        self._busy = sorted(
            (worker for worker in observed if worker.is_busy), key=lambda w: w.started_at
        )
        pools, workers = self.query(Table)
        pools.total, workers.total = len(self._pools), len(self._busy)
        # What a few pools leave of their half is the workers'.
        pools.styles.max_height = max(pools.total, 2) + 2
        pools.empty = "no pool fits that" if self._words else "no pool is running"
        workers.empty = "nobody is busy"
        pools.refresh_rows()
        workers.refresh_rows()
        silent = sum(is_silent(pool, self._now_s) for pool in view.seen.pools)
        busy = sum(pool.totals.get("busy", 0) for pool in view.seen.pools)
        size = sum(pool.concurrency for pool in view.seen.pools)
        self.head(
            (counted(len(view.seen.pools), "pool"), "secondary"),
            (f" · {count(busy)} of {counted(size, 'worker')} busy", "secondary"),
            (f" · {silent} silent" if silent else "", "error"),
            (f" · /{self._words}" if self._words else "", "primary"),
        )
        pool = self._pools[min(pools.cursor, len(self._pools) - 1)] if self._pools else None
        whose = "all pools" if self._everywhere or pool is None else pool_name(pool)
        text = f"Busy workers of {whose}, the longest first"
        self.write("#whose", Text.assemble((text, self._color("secondary"))))

    def _pool_row(self, at: int) -> Row | None:
        if at >= len(self._pools):
            return None
        pool = self._pools[at]
        silent = is_silent(pool, self._now_s)
        totals = pool.totals
        busy = count(totals["busy"]) if "busy" in totals else "-"
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
                age(self._now_s - worker.started_at),
                clean(worker.checkin) or "-",
                ago(worker.checkin_at, self._now_s),
                clean(worker.job_id),
                self._args(worker),
            ]
        )

    def _args(self, worker: WorkerObservation) -> str:
        import json

        try:
            return args_text(self.console.masks.hide(json.loads(worker.args_json or "null")))
        except ValueError:
            return clean(worker.args_json)

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
        moved = self._at != self._pool_table.cursor
        self._at = self._pool_table.cursor
        if moved and not self._below and not self._everywhere and self.is_current:
            self.console.action_refresh_now()

    def on_descendant_focus(self) -> None:
        """Follow the focus when the mouse sets it."""
        tables = list(self.query(Table))
        if self.focused in tables:
            self._below = self.focused is tables[1]

    def action_open(self) -> None:
        """Open the job of the worker under the cursor."""
        worker_table = list(self.query(Table))[1]
        if not self._below:
            if self._busy:
                self.action_other_table()
            return
        if worker_table.cursor < len(self._busy):
            from workkit_tui.screens.job import JobScreen

            self.console.open_screen(JobScreen.of_worker(self._busy[worker_table.cursor]))

    def action_filter(self) -> None:
        """Ask for words."""
        self.prompt.ask("/", self._narrow, value=self._words, hint="words; -word leaves out")

    def _narrow(self, words: str) -> None:
        self._words = words
        self.close_prompt()
        self._pool_table.cursor = 0
        self.console.action_refresh_now()

    def action_back(self) -> None:
        """Leave the prompt, then the lower table, then the filter."""
        if not self.prompt.open and self._below:
            self.action_other_table()
        elif not self.prompt.open and self._words:
            self._narrow("")
        else:
            super().action_back()

    def exported(self) -> tuple[str, list[object]]:
        """Return the name and the records of what is listed."""
        return ("workers", list(self._busy)) if self._below else ("pools", list(self._pools))
