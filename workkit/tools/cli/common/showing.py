"""Shows the progress of worlds that are played."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

__all__ = ["show_progress"]

#: If no line was printed for this long, one more is printed, seconds.
_SILENT_S: Final = 30.0


@contextmanager
def show_progress(
    items: Iterable[Any], length: int, label: str, *, lines: int = 0
) -> Iterator[Iterable[Any]]:
    """Show the progress of a loop on standard error: a bar on a terminal, lines elsewhere.

    Args:
        items: The items of the loop.
        length: How many items there are.
        label: A name for the items.
        lines: How many evenly spaced lines to print; one more follows each silent half minute.
    """
    if not sys.stderr.isatty():
        yield _said(items, length, label, lines)
        return
    with click.progressbar(
        items, length=length, label=label, file=sys.stderr, show_pos=True
    ) as shown:
        yield shown


def _said(items: Iterable[Any], length: int, label: str, lines: int) -> Iterator[Any]:
    from workkit.core.clock import SystemClock

    clock = SystemClock()
    said, said_at_s = 0, clock.read().monotonic_s
    for done, item in enumerate(items, 1):
        yield item
        now_s = clock.read().monotonic_s
        due = lines and done * lines // length > said * lines // length
        if done < length and (due or now_s - said_at_s >= _SILENT_S):
            click.echo(f"{label}: {done:,} of {length:,} ({done / length:.0%})", err=True)
            said, said_at_s = done, now_s
