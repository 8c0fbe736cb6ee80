"""Shows a run: a progress bar on a terminal, a line now and then elsewhere, tables at the end."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Self, TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from workkit.core.records import Overview
from workkit.core.text import clean, counted
from workkit.tools.demo.account import Account
from workkit.tools.demo.handlers import JOB_NAMES
from workkit.tools.demo.workload import MAX_BYTES, Workload

__all__ = ["DemoDisplay"]

#: Seconds between two lines of progress where there is no terminal.
_EVERY_S: Final = 2.0


class _PipeConsole(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error, which rich turns into exit code 1; the command has its own code."""
        raise BrokenPipeError


class DemoDisplay:
    """Where a run is shown; a context manager around it.

    Text is never read as markup, and control characters in it become escapes.

    Args:
        stream: Where to write; None to show nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._console = _PipeConsole(file=stream, quiet=stream is None, highlight=False)
        self._live = stream is not None and stream.isatty() and self._console.is_interactive
        self._next_s = _EVERY_S
        files = TextColumn("{task.completed:,.0f} of {task.total:,.0f} files", markup=False)
        # A narrow bar leaves room for the ^C of a terminal, which would otherwise begin a new line.
        columns = files, BarColumn(bar_width=12), TextColumn("{task.description}", markup=False)
        self._bar = Progress(
            *columns, console=self._console, transient=True, disable=not self._live
        )
        self._task = self._bar.add_task("", total=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Show text that stays."""
        self._console.print(Text(text), soft_wrap=True)

    def note(self, text: str) -> None:
        """Show a line that stays, from any thread; a terminal cuts it to its width."""
        with suppress(BrokenPipeError):  # the next line of progress ends the run
            if self._live:
                self._console.print(Text(clean(text)), no_wrap=True, overflow="ellipsis")
            else:
                self.say(clean(text))

    def show(self, elapsed_s: float, done: int, total: int, seen: Overview) -> None:
        """Show the progress: seconds since the start, files done, all files, and the rest."""
        per_s = seen.executions / elapsed_s if elapsed_s > 0 else 0.0
        counts = f"{per_s:,.0f} executions/s, {seen.retry:,} to retry, {seen.dead:,} dead"
        self._bar.update(self._task, completed=done, total=total, description=counts)
        if not self._live and elapsed_s >= self._next_s:
            self._next_s = elapsed_s + _EVERY_S
            self.say(f"{elapsed_s:5.1f} s  {done:,} of {total:,} files, {counts}")

    def introduce(self, workload: Workload, where: str) -> None:
        """Say what is processed, what is left out, and where."""
        files = counted(len(workload.files), "file")
        self.say(
            f"{files} of Python {platform.python_version()}, "
            f"{workload.suspects:,} of them from CPython's tests of invalid source\n"
            f"left out: {counted(workload.over_limit, 'file')} over the limit, "
            f"{counted(workload.over_size, 'file')} larger than {MAX_BYTES // 1024} KiB\n"
            f"{clean(where)}"
        )

    def finish(self, account: Account) -> None:
        """Show the account."""
        facts = Table.grid(padding=(0, 2))
        for title, text in _facts(account):
            facts.add_row(Text(title, style="bold"), Text(text))
        for problem in account.problems():
            facts.add_row(Text("problem", style="bold red"), Text(clean(problem)))
        self._console.print("", _jobs(account), "", facts)


def _jobs(account: Account) -> Table:
    table = Table("job", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    total = account.counts()
    for column in total:
        table.add_column(column, justify="right", no_wrap=True)
    for name in JOB_NAMES:
        table.add_row(name, *map("{:,}".format, account.counts(name).values()))
    table.add_section()
    table.add_row("all", *map("{:,}".format, total.values()))
    return table


def _facts(account: Account) -> Iterator[tuple[str, str]]:
    """Yield facts that the tables do not show, each with a title."""
    total, state, (ended, wall_s) = account.counts(), account.state, account.speed()
    if wall_s:
        yield "speed", f"{ended / wall_s:,.0f} jobs/s: {ended:,} in {wall_s:.1f} s, waits included"
    if state.waiting:
        counts = " ".join(f"{count:,}" for count in state.waiting[-10:])
        yield "cron", f"{counts} jobs waiting, counted every 2 s"
    asked = account.counts("package_report")["enqueued"] + state.refused
    yield "unique", f"{asked:,} package reports requested, {state.refused:,} refused: one waited"
    if (parsed := state.reports.get("")) and state.digest:
        lines, mb = parsed["lines"], parsed["bytes"] / 1e6
        yield "parsed", f"{lines:,} lines, {mb:,.1f} MB; SHA-256 {state.digest[:16]}…"
    if not account.workload.suspects:
        yield "no errors", "this Python was installed without CPython's files of invalid source"
    sums = (f"{total[name]:,} {name}" for name in ("done", "dead", "discarded", "left"))
    yield "account", f"{total['enqueued']:,} enqueued = {' + '.join(sums)}"
    if account.complete and not account.problems():
        yield "", "No job was lost, and none ended twice."
