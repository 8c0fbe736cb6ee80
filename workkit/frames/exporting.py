"""Yields frames piece by piece, for files that do not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from workkit.errors import InvalidOption
from workkit.frames.executions import history_tables
from workkit.frames.extra import pa
from workkit.frames.failures import errors
from workkit.frames.jobs import job_tables
from workkit.frames.schema import schema, to_table
from workkit.frames.sources import Source, as_reader, is_archive
from workkit.frames.state import state_table

__all__ = ["export_tables"]

#: Receives how much was read so far, and the total if it is known.
Told: TypeAlias = Callable[[int, int | None], None]

#: The column that --since is compared with.
_TIMES: Final = {"dead": "died_at", "retry": "failed_at"}


def export_tables(
    source: Source, name: str, *, since: float | None = None, told: Told | None = None
) -> Iterator[Any]:
    """Yield a frame as Arrow tables.

    Args:
        source: A `Client`, a snapshot or its path, or for history the directory of an archive.
        name: The frame's name.
        since: Only rows that ended, died or failed then or later, epoch seconds.
        told: Receives the progress.

    Raises:
        InvalidOption: The frame is unknown, or it has no times.
        ServerError: Redis did not answer or refused.
    """
    schema(name)
    if since is not None and name not in {"history", "errors", *_TIMES}:
        raise InvalidOption(f"{name} have no times to filter by; leave --since out")
    return _tables(source, name, since, told or (lambda _done, _total: None))


def _tables(source: Source, name: str, since: float | None, told: Told) -> Iterator[Any]:
    if name == "history":
        total = None if is_archive(source) else as_reader(source).history_extent().kept
        yield from history_tables(source, since=since, told=lambda done: told(done, total))
    elif name == "errors":
        yield to_table(errors(source, since=since), name)
    elif name in {"queues", "workers"}:
        yield state_table(as_reader(source), name)
    else:
        reader = as_reader(source)
        for table in job_tables(reader, name, told):  # type: ignore[arg-type]
            yield table if since is None else _later(table, _TIMES[name], since)


def _later(table: Any, column: str, since: float) -> Any:
    import pyarrow.compute as pc

    times = pc.cast(table[column], pa.int64())
    return table.filter(pc.greater_equal(times, int(since * 1_000)))
