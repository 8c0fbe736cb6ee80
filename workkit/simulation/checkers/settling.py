"""Which jobs an exchange has settled, and with which records of history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from workkit.core.history import TracedRecord, unpack
from workkit.core.job import PERIODIC
from workkit.core.outcomes import OUTCOMES, Outcome, with_fate
from workkit.store.calls.exchange import HistoryBlob
from workkit.store.calls.layout import keys_and_args
from workkit.store.round_trip import Command

if TYPE_CHECKING:
    from workkit.simulation.checkers.moves import Move

__all__ = ["hidden", "history_blob", "settled"]

#: Where the records stand among the arguments of an exchange: behind a pool, two fences, a time.
_HISTORY_AT: Final = 4
#: The outcomes by which a job can get to a place; "" is nowhere.
_MEANS: Final[dict[str, frozenset[Outcome]]] = {
    "retry": with_fate(b"r", b"b"),
    "dead": with_fate(b"x"),
    "queued": with_fate(b"b"),
    "": with_fate(b"d"),
}


def history_blob(sent: Command) -> HistoryBlob:
    """Return the records that an exchange appends, as it was sent."""
    args = keys_and_args(sent)[1]
    return HistoryBlob(*args[_HISTORY_AT : _HISTORY_AT + len(HistoryBlob._fields)])


def settled(sent: Command, moves: Sequence[Move]) -> Iterator[tuple[Move, TracedRecord | None]]:
    """Give the jobs that an exchange has settled, with their records, where there are such."""
    blob = history_blob(sent)
    if not blob.max_records:
        return
    records: dict[str, list[TracedRecord]] = {}
    for record in unpack(blob.blob) if blob.blob else ():
        records.setdefault(record.job_id, []).append(record)
    for move in moves:
        if move.before is None or move.before.job is None or not move.came_from("in progress"):
            continue
        place = "" if move.after is None else move.after.place.kind
        if place in _MEANS:
            known = records.get(move.job_id, [])
            mine = [each for each in known if each.outcome in _MEANS[place]]
            # A cron job may be there twice, put into its queue at two times.
            came_s = move.before.job.enqueued_at
            mine.sort(key=lambda each: each.enqueued_at != came_s)
            if mine:
                known.remove(mine[0])
            yield move, mine[0] if mine else None


def hidden(sent: Command, known: Sequence[TracedRecord | None]) -> Iterator[str]:
    """Give the totals of cron jobs that an exchange may have settled while it claimed a copy."""
    blob = history_blob(sent)
    for record in unpack(blob.blob) if blob.blob else ():
        if record.job_id.startswith(PERIODIC) and record not in known:
            yield OUTCOMES[record.outcome].total
