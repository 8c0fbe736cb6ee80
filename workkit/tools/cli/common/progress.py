"""Shows the progress of a slow command."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final, Self

import click

from workkit.core.clock import Clock, SystemClock
from workkit.core.text import clean, clip, pad

__all__ = ["ProgressLine"]

#: A faster command shows no progress.
_QUIET_S: Final = 2.0
_TERMINAL_EVERY_S: Final = 0.2
_FILE_EVERY_S: Final = 10.0
_WIDTH: Final = 78


class ProgressLine:
    """Shows progress on stderr: in one line on a terminal, else in a new line every 10 seconds.

    Args:
        clock: Where times come from.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._began_s = self._clock.read().monotonic_s
        self._terminal = sys.stderr.isatty()
        self._next_s = self._began_s + _QUIET_S
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def tell(self, what: str, done: int, total: int | None = None) -> None:
        """Show the progress, if the last update is old enough.

        Args:
            what: The work, such as "reading the dead set".
            done: How many items are done.
            total: How many items there are; None if unknown.
        """
        now_s = self._clock.read().monotonic_s
        if now_s < self._next_s:
            return
        self._next_s = now_s + (_TERMINAL_EVERY_S if self._terminal else _FILE_EVERY_S)
        share = f" ({min(done * 100 // total, 100)} %)" if total else ""
        of = f" of {total:,}" if total is not None else ""
        rate = done / max(now_s - self._began_s, 0.001)
        line = clean(f"{what}: {done:,}{of}{share}, {rate:,.0f}/s")
        if self._terminal:
            click.echo(f"\r{pad(clip(line, _WIDTH), _WIDTH)}", err=True, nl=False)
            self._shown = True
        else:
            click.echo(line, err=True)

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            click.echo(f"\r{' ' * _WIDTH}\r", err=True, nl=False)
            self._shown = False
