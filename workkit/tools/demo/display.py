"""What is seen of a run: the interface, and plain lines for where the output is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from workkit.tools.demo.report import Report
from workkit.tools.demo.watch import Snapshot
from workkit.tools.demo.wording import Grid, facts, grids

__all__ = ["Display", "PlainDisplay", "Progress", "UnseenDisplay"]

#: A line of progress at most this often, seconds.
_EVERY_S: Final = 2.0
_CELL_CHARS: Final = 68
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        elapsed_s: Seconds since the first job was enqueued.
        files: How many files there are to process.
        through: How many of them are parsed or dead.
        per_s: Executions a second, lately.
        snapshot: What else there is to see.
    """

    elapsed_s: float
    files: int
    through: int
    per_s: float
    snapshot: Snapshot


class Display(Protocol):
    """Where a run is shown; a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def say(self, text: str) -> None:
        """Show text that stays."""
        ...

    def note(self, text: str) -> None:
        """Show a line that stays, cut if it is too long for the place."""
        ...

    def show(self, progress: Progress) -> None:
        """Show how far the run is."""
        ...

    def finish(self, report: Report) -> None:
        """Show the end."""
        ...


class UnseenDisplay:
    """Shows nothing, where something else does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def say(self, text: str) -> None:
        """Take text."""

    def note(self, text: str) -> None:
        """Take a line."""

    def show(self, progress: Progress) -> None:
        """Take how far the run is."""

    def finish(self, report: Report) -> None:
        """Take the end."""


class PlainDisplay(UnseenDisplay):
    """Lines for logs and pipes.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_s = _EVERY_S

    def say(self, text: str) -> None:
        """Write text."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """Write a line; nothing is too long."""
        self.say(text)

    def show(self, progress: Progress) -> None:
        """Write a line, if the last one was not just now."""
        if progress.elapsed_s < self._next_s:
            return
        self._next_s = progress.elapsed_s + _EVERY_S
        snapshot = progress.snapshot
        self.say(
            f"{progress.elapsed_s:5.1f} s  {progress.through:,} of {progress.files:,} files, "
            f"{progress.per_s:,.0f} executions/s, {snapshot.retry:,} to retry, "
            f"{snapshot.dead:,} dead"
        )

    def finish(self, report: Report) -> None:
        """Write the tables and facts of the end."""
        for grid in grids(report):
            self.say("")
            for line in _lines(grid):
                self.say(line)
        self.say("")
        for title, text in facts(report):
            self.say(f"{title:<10}{text}")
        for problem in report.problems:
            self.say(f"problem:  {problem}")


def _lines(grid: Grid) -> Iterator[str]:
    """Yield a table as lines of aligned text."""
    rows = [[_cut(cell) for cell in row] for row in (grid.names, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for at, row in enumerate(rows):
        yield _GAP.join(_aligned(row, widths, grid.is_text)).rstrip()
        if at == 0 or (grid.last_is_total and at == len(rows) - 2):
            yield _GAP.join("-" * width for width in widths)


def _aligned(row: Sequence[str], widths: Sequence[int], is_text: Sequence[bool]) -> Iterator[str]:
    for cell, width, text in zip(row, widths, is_text, strict=True):
        yield cell.ljust(width) if text else cell.rjust(width)


def _cut(cell: str) -> str:
    return cell if len(cell) <= _CELL_CHARS else f"{cell[: _CELL_CHARS - 1]}…"
