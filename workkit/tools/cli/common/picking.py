"""`--filter`: picks jobs by a query, and shows the progress of the search."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from workkit.tools.cli.common.options import now_s

if TYPE_CHECKING:
    from workkit.admin.query import Query
    from workkit.core.records import Batch, Placed

__all__ = ["PickingProgress", "filter_option", "pick"]

R = TypeVar("R")
P = TypeVar("P", bound="Placed")

#: After how long the progress is shown, seconds.
_PATIENCE_S: Final = 2.0
_EVERY_S: Final = 0.2


def filter_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command --filter, as `query`."""
    return click.option(
        "--filter",
        "query",
        callback=_to_query,
        metavar="QUERY",
        help="Only jobs that match, such as 'error:timeout fails:>3'. See docs/query.md.",
    )(command)


def _to_query(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Query | None:
    if value is None:
        return None
    if not value.strip():  # mostly a variable that is not set; it would match every job
        raise click.BadParameter("the query is empty; --all takes all jobs")
    from workkit.admin.query import Query

    return Query(value)


class PickingProgress:
    """Shows progress in one line on stderr, if that is a terminal and the work takes long.

    Args:
        doing: The verb in front of the numbers, such as "read".
    """

    def __init__(self, doing: str) -> None:
        from workkit.core.clock import SystemClock

        self._doing = doing
        self._clock = SystemClock()
        self._next_s = self._clock.read().monotonic_s + _PATIENCE_S
        self._shown = False

    def show(self, done: int, total: int) -> None:
        """Show the progress, if the last update is old enough."""
        if not sys.stderr.isatty():
            return
        now = self._clock.read().monotonic_s
        if now >= self._next_s:
            self._next_s, self._shown = now + _EVERY_S, True
            line = f"{self._doing} {done:,} of {max(total, done):,}"
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False


def pick(batches: Iterable[Batch[Any]], query: Query) -> Iterator[Any]:
    """Yield the records that match a query; shows the progress on a terminal."""
    progress, now = PickingProgress("read"), now_s()
    try:
        for batch in batches:
            progress.show(batch.seen, batch.total)
            for record in query.pick(batch.jobs, now):
                progress.clear()
                yield record
    finally:
        progress.clear()
