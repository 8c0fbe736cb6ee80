"""What is seen of a run on a terminal: a bar and the queues while it runs, tables at its end."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from workkit.tools.demo.display import Progress
from workkit.tools.demo.handlers import AT_ONCE, CRON_JOB, JOB_NAMES
from workkit.tools.demo.report import Report
from workkit.tools.demo.wording import Grid, facts, grids

__all__ = ["TerminalDisplay"]

#: Columns between two columns of a table.
_GAP: Final = 3
_LEAST: Final = 12

_NOTES: Final = {
    "parse_file": "failures are retried after 1 s and 2 s",
    "parse_large_file": f"at most {AT_ONCE} at once",
    "package_report": "unique: one a package waits at most",
    "hash_tree": "slow, checks in",
    "summary": "scheduled",
    CRON_JOB: "cron, every 2 s",
}


class TerminalDisplay:
    """A live view that makes room for the tables of the end.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bar = Bar(
            TextColumn("files"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            console=self._console,
            expand=True,
        )
        self._task = self._bar.add_task("files", total=0, rate="")
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print text, above the live view if there is one."""
        self._console.print(Text(text))

    def note(self, text: str) -> None:
        """Print a line, cut to the terminal's width."""
        self._console.print(Text(text), no_wrap=True, overflow="ellipsis")

    def show(self, progress: Progress) -> None:
        """Draw the live view anew."""
        self._bar.update(
            self._task,
            total=progress.files,
            completed=progress.through,
            rate=f"{progress.elapsed_s:.0f} s  {progress.per_s:,.0f}/s",
        )
        self._live.update(Group(self._bar, _queues(progress)), refresh=True)

    def finish(self, report: Report) -> None:
        """Print the tables and facts of the end."""
        self._console.print()
        for grid in grids(report):
            self._console.print(_table(grid, self._console.width))
            self._console.print()
        listed = Table.grid(padding=(0, 2))
        for title, text in facts(report):
            listed.add_row(Text(title, style="bold"), Text(text))
        for problem in report.problems:
            listed.add_row(Text("problem", style="bold red"), Text(problem, style="red"))
        self._console.print(listed)


def _queues(progress: Progress) -> RenderableType:
    """Draw the queues, and what waits elsewhere."""
    snapshot = progress.snapshot
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("queue", no_wrap=True)
    table.add_column("waiting", justify="right", width=7)
    table.add_column("held", justify="right", width=7)
    table.add_column("", style="dim", no_wrap=True)
    for name in JOB_NAMES:
        queue = snapshot.queues.get(name)
        note = _NOTES[name]
        if name == "hash_tree" and snapshot.checkin:
            note = snapshot.checkin
        waiting, running = (queue.count, queue.running) if queue else (0, 0)
        table.add_row(name, f"{waiting:,}", f"{running:,}", note)
    style = "red" if snapshot.dead else ""
    counts = Text.assemble(f"to retry {snapshot.retry:,}   ", (f"dead {snapshot.dead:,}", style))
    return Group(table, counts)


def _table(grid: Grid, width: int) -> Table:
    """Draw a table; where the terminal is too narrow, text gives way and numbers do not."""
    widths = [
        max(cell_len(cell) for cell in column)
        for column in zip(grid.names, *grid.rows, strict=True)
    ]
    texts = [at for at, is_text in enumerate(grid.is_text) if is_text]
    for _ in range(sum(widths) + _GAP * (len(widths) - 1) - width):
        widest = max(texts, key=lambda at: widths[at])
        widths[widest] = max(widths[widest] - 1, _LEAST)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for name, is_text, at in zip(grid.names, grid.is_text, widths, strict=True):
        table.add_column(
            name,
            justify="left" if is_text else "right",
            width=at,
            overflow="ellipsis",
            no_wrap=True,
        )
    for at, row in enumerate(grid.rows, 1):
        is_total = grid.last_is_total and at == len(grid.rows)
        table.add_row(*map(Text, row), style="bold" if is_total else "")
    return table
