"""Follows history while pools write it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from workkit.admin.steps.history import HistoryQuery, HistoryRecord

if TYPE_CHECKING:
    from workkit.admin.reader import Reader

__all__ = ["follow"]

_EVERY_S: Final = 1.0


def follow(
    reader: Reader, name: str | None, outcome: str | None, lines: int
) -> Iterator[HistoryRecord]:
    """Yield the newest executions, then each new one, without end.

    Args:
        reader: Reads the history.
        name: Only jobs of this name.
        outcome: Only this outcome.
        lines: How many executions to yield first.
    """
    query = HistoryQuery(None, None, name, outcome, None)
    last_id = reader.history_extent().last_id
    shown = list(islice(reader.history(name=name, outcome=outcome), lines))[::-1]
    yield from shown
    # Executions that were recorded between the two reads are in both.
    known = set(shown)
    while True:
        for batch in reader.packed_history(after=last_id):
            for entry in batch:
                for record in list(query.pick([entry]))[::-1]:
                    if record not in known:
                        yield record
                last_id = entry.entry_id
        known.clear()
        threading.Event().wait(_EVERY_S)
