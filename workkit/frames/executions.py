"""The frame of executions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeAlias

from workkit.admin.steps.history import HistoryQuery
from workkit.frames.archive_reading import Wanted, tables_of
from workkit.frames.args import flatten_args
from workkit.frames.extra import pa
from workkit.frames.packed import Unpacker
from workkit.frames.schema import schema, to_frame
from workkit.frames.sources import Source, as_reader, is_archive
from workkit.frames.stored import from_stored
from workkit.frames.times import Time, epoch_s

__all__ = ["ArgsForm", "Told", "history", "history_tables"]

ArgsForm: TypeAlias = Literal["json", "columns"]
#: Receives the number of records read so far.
Told: TypeAlias = Callable[[int], None]


def history(
    source: Source,
    *,
    since: Time | None = None,
    until: Time | None = None,
    name: str | None = None,
    outcome: str | None = None,
    args: ArgsForm = "json",
    told: Told | None = None,
) -> Any:
    """Return executions, the oldest first, one row each.

    Args:
        source: A `Client`, a snapshot or its path, or the directory of an archive.
        since: Only executions that finished then or later: epoch seconds, a time with a zone,
            ISO 8601 with a zone, or a span before now such as "2h".
        until: Only executions that finished before.
        name: Only jobs of this name.
        outcome: Only this outcome.
        args: "json" keeps the args unchanged, "columns" adds a column for each arg. Pools keep args
            only on request, see `HistoryOptions`.
        told: Receives the number of records read so far.

    Returns:
        A DataFrame with the columns of `schema("history")`. `attrs` has the number of records that
        could not be read ("unreadable"), how many were recorded ("written") and trimmed
        ("trimmed"), and from when until when the source was read ("read", epoch seconds, None for
        the oldest). For an archive, see `archive_gaps` instead of the first three.

    Raises:
        InvalidOption: A filter is not valid, or the source cannot be read.
        ServerError: Redis did not answer or refused.
    """
    about: dict[str, Any] = {}
    tables = list(
        history_tables(
            source, since=since, until=until, name=name, outcome=outcome, about=about, told=told
        )
    )
    wanted = schema("history").arrow()
    table = pa.concat_tables(tables).unify_dictionaries() if tables else wanted.empty_table()
    del tables
    frame = to_frame(table, "history")
    frame.attrs |= about
    return flatten_args(frame) if args == "columns" else frame


def history_tables(
    source: Source,
    *,
    since: Time | None = None,
    until: Time | None = None,
    name: str | None = None,
    outcome: str | None = None,
    about: dict[str, Any] | None = None,
    told: Told | None = None,
) -> Iterator[Any]:
    """Yield the rows of `history` piece by piece, as Arrow tables.

    The filters are those of `history`. `about` receives its `attrs`, and `told` the number of
    records read so far.
    """
    reader = None if is_archive(source) else as_reader(source)
    now_s = None if reader is None else reader.now_s()
    query = HistoryQuery(epoch_s(since, now_s), epoch_s(until, now_s), name, outcome, None)
    about = about if about is not None else {}
    ends_s = [each for each in (query.until, now_s) if each is not None]
    about["read"] = (query.since, min(ends_s, default=None))
    if reader is None:
        wanted, count = Wanted.of(query.since, query.until, name, outcome), 0
        for table in tables_of(Path(source), wanted):  # type: ignore[arg-type] # it is a path
            count += table.num_rows
            if told is not None:
                told(count)
            yield from_stored(table, "history")
        return
    unpacker = Unpacker()
    for table in unpacker.tables(reader.packed_history(since=query.since)):
        if told is not None:
            told(unpacker.read)
        if kept := _pick(table, query):
            yield kept
    extent = reader.history_extent()
    about |= {
        "unreadable": unpacker.unreadable,
        "trimmed": extent.trimmed,
        "written": extent.written,
    }


def _pick(table: Any, query: HistoryQuery) -> Any:
    """Return the rows that match; None without any."""
    import pyarrow.compute as pc

    mask = None
    times = pc.cast(table["finished_at"], pa.int64())
    for wanted in (
        pc.greater_equal(times, ceil(query.since * 1_000)) if query.since is not None else None,
        pc.less(times, ceil(query.until * 1_000)) if query.until is not None else None,
        pc.equal(table["name"], query.name) if query.name is not None else None,
        pc.equal(table["outcome"], query.outcome) if query.outcome is not None else None,
    ):
        if wanted is not None:
            mask = wanted if mask is None else pc.and_(mask, wanted)
    picked = table if mask is None else table.filter(mask)
    return picked if picked.num_rows else None
