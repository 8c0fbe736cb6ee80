"""Reads places part by part, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from workkit.admin.steps.reads import epoch, read_job, set_page
from workkit.core.options import check_whole
from workkit.core.records import (
    Batch,
    DeadJob,
    Page,
    Place,
    QueuedJob,
    RetryJob,
    ScheduledJob,
    check_place,
)
from workkit.store.calls import pages
from workkit.store.keys import Keys, check_stored_name
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk, advance

__all__ = ["Cursor", "WaitingJob", "after", "batches", "page_of", "part", "record", "singly"]

WaitingJob: TypeAlias = QueuedJob | ScheduledJob | RetryJob | DeadJob

#: More jobs than any list or set has.
_MOST: Final = 10**14
_MOST_AT_ONCE: Final = 10_000
_RECORDS: Final[dict[str, type[ScheduledJob | RetryJob | DeadJob]]] = {
    "scheduled": ScheduledJob,
    "retry": RetryJob,
    "dead": DeadJob,
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of a walk.

    Attributes:
        position: The next index in a queue, if no job comes or goes.
        raw: The payload of the last job that the walk returned.
        score: Its score; 0 in a queue.
    """

    position: int
    raw: bytes
    score: float


def record(place: Place, raw: bytes, at: float) -> WaitingJob:
    """Make the record of a waiting job.

    Args:
        place: The job's place.
        raw: Its payload.
        at: Its score, or its position in a queue.
    """
    if place.kind == "queued":
        return QueuedJob(int(at), read_job(raw, place.queue))
    return _RECORDS[place.kind](epoch(at), read_job(raw))


def part(
    keys: Keys, place: Place, start: int, count: int, *, reverse: bool
) -> Step[Page[WaitingJob]]:
    """Return some jobs of a place, by rank."""
    check_place(place)
    check_whole("start", start, 0, _MOST)
    check_whole("count", count, 0, _MOST_AT_ONCE)
    total, rows = yield from _rows(keys, place, start, count, reverse=reverse)
    return Page([record(place, raw, at) for raw, at in rows], total)


def _rows(
    keys: Keys, place: Place, start: int, count: int, *, reverse: bool
) -> Step[tuple[int, list[tuple[bytes, float]]]]:
    """Read bytes with their scores, or with their positions."""
    queue = place.kind == "queued"
    key = _key_of(keys, place)
    total, rows = yield from pages.page(key, start, count, queue=queue, reverse=reverse)
    piece = rows
    # If jobs are large, no single reply holds all of them.
    while piece and len(rows) < count and pages.is_full(piece, count):
        _, piece = yield from pages.page(
            key, start + len(rows), count - len(rows), queue=queue, reverse=reverse
        )
        rows = [*rows, *piece]
    return total, rows


def _key_of(keys: Keys, place: Place) -> bytes:
    if place.kind == "queued":
        return keys.jobs(check_stored_name(place.queue))
    return pages.set_key(keys, place.kind)


def after(
    keys: Keys, place: Place, cursor: Cursor | None, count: int, *, reverse: bool
) -> Step[tuple[Page[WaitingJob], Cursor | None]]:
    """Return the jobs after a cursor, and the next cursor; None at the end."""
    start = cursor.position if cursor else 0
    if cursor and place.kind != "queued":
        key = pages.set_key(keys, place.kind)
        total, rows = yield from pages.members_after(
            key, cursor.raw, cursor.score, count, reverse=reverse
        )
    else:
        total, rows = yield from pages.page(
            _key_of(keys, place), start, count, queue=place.kind == "queued", reverse=reverse
        )
    position, more = start + len(rows), pages.is_full(rows, count)
    if cursor and place.kind == "queued":
        rows = _fresh(rows, cursor.raw)
    page = Page([record(place, raw, at) for raw, at in rows], total)
    last = rows[-1] if rows else (cursor.raw, cursor.score) if cursor else (b"", 0.0)
    return page, Cursor(position, *last) if more else None


def batches(keys: Keys, place: Place, size: int, *, reverse: bool) -> Walk[Batch[WaitingJob], None]:
    """Walk a whole place, batch by batch; see `Reader.walk`."""
    cursor, seen = None, 0
    while True:
        page, cursor = yield from after(keys, place, cursor, size, reverse=reverse)
        seen += len(page.jobs)
        if page.jobs:
            yield Item(Batch(page.jobs, seen, page.total))
        if cursor is None:
            return


def singly(keys: Keys, kind: pages.SetName, size: int) -> Walk[Any, None]:
    """Walk a set job by job, the earliest first; the records are of the set's own class.

    Args:
        keys: The namespace.
        kind: The set.
        size: Jobs to read at once.
    """
    walk = batches(keys, Place(kind), size, reverse=False)
    while isinstance(found := (yield from advance(walk)), Item):
        for job in found.value.jobs:
            yield Item(job)


def page_of(keys: Keys, kind: pages.SetName, page: int, size: int) -> Step[Page[Any]]:
    """Return a page of a set; the records are of the set's own class."""
    raw = yield from set_page(keys, kind, page, size)
    return Page([_RECORDS[kind](at, job) for at, job in raw.jobs], raw.total)


def _fresh(rows: list[tuple[bytes, float]], last: bytes) -> list[tuple[bytes, float]]:
    """Leave out jobs that the last part had: newer jobs have pushed them into this one."""
    at = next((at for at, (raw, _) in enumerate(rows) if raw == last), None)
    return rows if at is None else rows[at + 1 :]
