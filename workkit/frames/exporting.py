"""Yields frames piece by piece, for files that do not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from workkit.errors import InvalidOption
from workkit.frames.acts import acts_tables
from workkit.frames.executions import history_tables
from workkit.frames.extra import pa
from workkit.frames.failures import errors
from workkit.frames.files import to_table
from workkit.frames.jobs import job_tables
from workkit.frames.journeys import attempts, journeys
from workkit.frames.schema import schema
from workkit.frames.sources import Source, as_reader, is_archive
from workkit.frames.state import state_table

__all__ = ["ExportFilter", "export_tables"]

#: Receives how much was read so far, and the total if it is known.
Told: TypeAlias = Callable[[int, int | None], None]

#: The time of a job that is compared with `since` and `until`.
_TIMES: Final = {"dead": "died_at", "retry": "failed_at"}
#: The filters that each frame has.
_FILTERS: Final[dict[str, tuple[str, ...]]] = {
    "history": ("since", "until", "name", "outcome"),
    "dead": ("since", "until", "name"),
    "retry": ("since", "until", "name"),
    "scheduled": ("name",),
    "attempts": ("since", "until"),
    "journeys": ("since", "until"),
    "errors": ("since",),
    "acts": ("since", "until"),
}
_MAKE: Final[dict[str, Callable[..., Any]]] = {"attempts": attempts, "journeys": journeys}


class ExportFilter(NamedTuple):
    """The filters of an export; None means no filter.

    Attributes:
        since: Only rows that ended, died, failed or began then or later, epoch seconds.
        until: Only rows that ended, died, failed or began before, epoch seconds.
        name: Only jobs of this name.
        outcome: Only executions with this outcome.
    """

    since: float | None = None
    until: float | None = None
    name: str | None = None
    outcome: str | None = None

    def check(self, frame: str) -> None:
        """Refuse a filter that the frame does not have.

        Raises:
            InvalidOption: One of the filters is set, but the frame does not have it.
        """
        for option, value in self._asdict().items():
            if value is not None and option not in _FILTERS.get(frame, ()):
                able = [name for name, options in _FILTERS.items() if option in options]
                raise InvalidOption(f"{frame} has no {option}; it filters {', '.join(able)}")


def export_tables(
    source: Source, frame: str, wanted: ExportFilter, *, told: Told | None = None
) -> Iterator[Any]:
    """Yield a frame as Arrow tables.

    Args:
        source: A `Client`, a snapshot or its path, or for history the directory of an archive.
        frame: The frame.
        wanted: The filters.
        told: Receives the progress.

    Raises:
        InvalidOption: The frame is unknown, or it does not have one of the filters.
        ServerError: Redis did not answer or refused.
    """
    schema(frame)
    wanted.check(frame)
    return _tables(source, frame, wanted, told or (lambda _done, _total: None))


def _tables(source: Source, frame: str, wanted: ExportFilter, told: Told) -> Iterator[Any]:
    if frame == "history":
        total = None if is_archive(source) else as_reader(source).history_extent().kept
        yield from history_tables(source, **wanted._asdict(), told=lambda done: told(done, total))
    elif frame == "errors":
        yield to_table(errors(source, since=wanted.since), frame)
    elif frame == "acts":
        yield from acts_tables(source, since=wanted.since, until=wanted.until)
    elif frame in _MAKE:
        yield to_table(_MAKE[frame](source, since=wanted.since, until=wanted.until), frame)
    elif frame in {"queues", "workers"}:
        yield state_table(as_reader(source), frame)
    else:
        for table in job_tables(as_reader(source), frame, told):  # type: ignore[arg-type]
            yield _picked(table, _TIMES.get(frame, ""), wanted)


def _picked(table: Any, column: str, wanted: ExportFilter) -> Any:
    """Return the jobs that are wanted."""
    import pyarrow.compute as pc

    if wanted.name is not None:
        table = table.filter(pc.equal(table["name"], wanted.name))
    if wanted.since is not None:
        times = pc.cast(table[column], pa.int64())
        table = table.filter(pc.greater_equal(times, int(wanted.since * 1_000)))
    if wanted.until is not None:
        times = pc.cast(table[column], pa.int64())
        table = table.filter(pc.less(times, int(wanted.until * 1_000)))
    return table
