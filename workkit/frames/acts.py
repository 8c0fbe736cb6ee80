"""The frame of acts: who did what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from workkit.admin.acts.act import Act, ActsReader
from workkit.errors import InvalidOption
from workkit.frames.extra import pa
from workkit.frames.schema import schema, to_frame
from workkit.frames.sources import Source, as_reader
from workkit.frames.times import Time, epoch_s

__all__ = ["acts", "acts_tables"]


def acts(
    source: Source,
    *,
    since: Time | None = None,
    until: Time | None = None,
    by: str | None = None,
    verb: str | None = None,
) -> Any:
    """Return what people and programs have done, the oldest first, one row each.

    Acts of Go programs are not in it, and nobody has checked the names of those who acted.

    Args:
        source: A `Client`. A snapshot has no acts.
        since: Only acts that began then or later: epoch seconds, a time with a zone, ISO 8601 with
            a zone, or a span before now such as "2h".
        until: Only acts that began before.
        by: Only acts of this user: NAME@HOST, or the name alone.
        verb: Only acts of this kind, such as "delete".

    Returns:
        A DataFrame with the columns of `schema("acts")`.

    Raises:
        InvalidOption: A filter is not valid, or the source has no acts.
        ServerError: Redis did not answer or refused.
    """
    (table,) = acts_tables(source, since=since, until=until, by=by, verb=verb)
    return to_frame(table, "acts")


def acts_tables(
    source: Source,
    *,
    since: Time | None = None,
    until: Time | None = None,
    by: str | None = None,
    verb: str | None = None,
) -> Iterator[Any]:
    """Yield the acts as one Arrow table; see `acts`. A bounded stream holds them."""
    reader = as_reader(source)
    if not isinstance(reader, ActsReader):
        raise InvalidOption("a snapshot has no acts; give a Client")
    found = reader.acts(since=epoch_s(since), until=epoch_s(until), by=by, verb=verb)
    rows = [_row(act) for act in found][::-1]
    yield pa.Table.from_pylist(rows, schema=schema("acts").arrow())


def _row(act: Act) -> dict[str, Any]:
    return {
        "number": act.number,
        "at": act.at_ms,
        "by": act.by or None,
        "program": act.program or None,
        "verb": act.verb or None,
        "subject": act.subject or None,
        "place": act.place or None,
        "queue": act.queue or None,
        "query": act.query or None,
        "planned": act.planned or None,
        "done": act.done,
        "job_ids": json.dumps(act.ids) if act.ids else None,
        "digest": act.digest or None,
        "before": act.before or None,
        "after": act.after or None,
        "operation_id": act.operation_id or None,
        "undoes": act.undoes or None,
        "ended_at": act.ended_ms or None,
        "note": act.note or None,
        "undone_by": act.undone_by or None,
        "undone_at": act.undone_ms or None,
        "undone": act.undone,
    }
