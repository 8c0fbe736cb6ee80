"""Reads history: filters, and the walk over packed entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from workkit.core.history import FORMAT, PackedHistory, TracedRecord, unpack
from workkit.core.options import check_time, check_whole, shown
from workkit.core.outcomes import OUTCOMES
from workkit.errors import InvalidOption
from workkit.store.calls import pages
from workkit.store.keys import Keys
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk, advance

__all__ = ["HistoryExtent", "HistoryQuery", "HistoryRecord", "id_pair", "of_job", "packed"]

_ENTRIES: Final = 200
#: The first read takes `_FIRST_ENTRIES`; later ones as many as have about `_BATCH_BYTES`.
_FIRST_ENTRIES: Final = 20
_BATCH_BYTES: Final = 8 * 1024 * 1024
_ENTRY_ID: Final = re.compile(r"\d{1,15}-\d{1,18}", re.ASCII)
#: More records than any history keeps.
_MOST: Final = 10**12
#: Later than any calendar date, and still valid in a stream id: epoch seconds.
_LATEST_S: Final = 10**12


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One execution, with its pool.

    Attributes:
        enqueued_at: When it entered its queue, epoch seconds.
        started_ms: When the handler started, epoch milliseconds; 0 if it did not.
        finished_ms: When the execution ended, epoch milliseconds.
        outcome: How it ended; see `workkit.core.outcomes.OUTCOMES`.
        fails: Failures of the job so far, including this one.
        error: The headline of the error; "" without one.
        fingerprint: Equal for equal failures; "" without an error.
        worker_id: The worker that ran it; "" if it did not run.
        reason: A detail of the outcome, or ""; see `workkit.core.history.Record`.
        pool_id: The pool that recorded it.
        host: Its machine.
        version: The version of its program; "" if that has none.
        args: The args as JSON; None where the pool does not keep them, see `HistoryOptions`.
        checkins: The newest check-ins, epoch milliseconds and message, where the pool keeps them.
        enqueued_ms: As `enqueued_at`, epoch milliseconds; None where only the second is known,
            since a Go program enqueued or requeued the job.
        parent_id: The job whose handler has enqueued this one; "" if its trace does not say so.
    """

    job_id: str
    name: str
    enqueued_at: int
    started_ms: int
    finished_ms: int
    outcome: str
    fails: int
    error: str
    fingerprint: str
    worker_id: str
    reason: str
    pool_id: str
    host: str
    version: str = ""
    args: str | None = None
    checkins: tuple[tuple[int, str], ...] = ()
    enqueued_ms: int | None = None
    parent_id: str = ""

    @property
    def wait_ms(self) -> int | None:
        """Milliseconds from the queue to the handler; None if unknown, or if none started.

        Clocks of two hosts differ: a job that started before it was enqueued has not waited.
        """
        if self.enqueued_ms is None or not self.started_ms:
            return None
        return max(self.started_ms - self.enqueued_ms, 0)


@dataclass(frozen=True, slots=True)
class HistoryExtent:
    """The size of history.

    Attributes:
        written: Executions recorded since the stream began.
        kept: Executions that are still there; see `HistoryOptions`.
        since_ms: When the oldest of these was recorded, epoch milliseconds; 0 without one.
        last_id: The id of the newest entry, for `Client.packed_history`; "" without one.
    """

    written: int
    kept: int
    since_ms: int = 0
    last_id: str = ""

    @property
    def trimmed(self) -> int:
        """How many executions were trimmed."""
        return self.written - self.kept


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The filters of `Client.history`.

    Raises:
        InvalidOption: A filter is not valid.
    """

    since: float | None
    until: float | None
    name: str | None
    outcome: str | None
    limit: int | None

    def __post_init__(self) -> None:
        if self.outcome is not None and self.outcome not in tuple(OUTCOMES):
            known = ", ".join(OUTCOMES)
            raise InvalidOption(f"unknown outcome {shown(self.outcome)}; known are {known}")
        for name, at in (("since", self.since), ("until", self.until)):
            if at is not None:
                check_time(name, at)
                if not 0 <= at <= _LATEST_S:
                    raise InvalidOption(f"{name} must be epoch seconds, not {shown(at)}")
        if self.limit is not None:
            check_whole("limit", self.limit, 0, _MOST)

    @property
    def since_ms(self) -> int:
        """Older entries cannot match, epoch milliseconds."""
        return int(self.since * 1000) if self.since is not None else 0

    def walk(self, keys: Keys) -> Walk[HistoryRecord, None]:
        """Walk the records on a server, the newest first."""
        low, high = f"{self.since_ms}" if self.since_ms else "-", "+"
        left, count = self.limit, _FIRST_ENTRIES
        while left is None or left > 0:
            entries = yield from pages.history_entries(keys, low, high, count, newest_first=True)
            for record in replace(self, limit=left).pick(entries):
                yield Item(record)
                left = left - 1 if left is not None else None
            if len(entries) < count:
                return
            count, high = _next_count(entries), f"({entries[-1].entry_id}"

    def newest(self, keys: Keys, entries: int) -> Step[list[HistoryRecord]]:
        """Return the executions in the newest entries, in one round trip.

        Args:
            keys: The namespace.
            entries: How many entries; each holds the executions that one exchange settled.
        """
        found = yield from pages.history_entries(keys, "-", "+", entries, newest_first=True)
        return list(self.pick(found))

    def pick(self, entries: Iterable[PackedHistory]) -> Iterator[HistoryRecord]:
        """Yield the matching records of some entries, the newest first.

        Args:
            entries: The entries since `since_ms`, the newest first.
        """
        found = 0
        if not self.limit and self.limit is not None:
            return
        for entry in entries:
            for record in reversed(_records(entry)):
                if self.wants(record):
                    yield _joined(record, entry)
                    found += 1
                    if found == self.limit:
                        return

    def wants(self, record: TracedRecord | HistoryRecord) -> bool:
        """Tell whether a record matches, whatever the limit."""
        return (
            (self.name is None or record.name == self.name)
            and (self.outcome is None or record.outcome == self.outcome)
            and (self.since is None or record.finished_ms >= self.since * 1000)
            and (self.until is None or record.finished_ms < self.until * 1000)
        )


def of_job(keys: Keys, job_id: str) -> Step[list[HistoryRecord]]:
    """Return all executions of one job that history still has, the oldest first."""
    walk, records = HistoryQuery(None, None, None, None, None).walk(keys), []
    while isinstance(found := (yield from advance(walk)), Item):
        if found.value.job_id == job_id:
            records.append(found.value)
    return records[::-1]


def _next_count(entries: Sequence[PackedHistory]) -> int:
    """Return how many entries have about `_BATCH_BYTES`, going by those that were read."""
    mean = sum(len(entry.blob) for entry in entries) // len(entries) + 1
    return min(max(_BATCH_BYTES // mean, 1), _ENTRIES)


def packed(keys: Keys, after: str, since_ms: int) -> Walk[Sequence[PackedHistory], None]:
    """Walk packed entries, the oldest first, in batches.

    Args:
        keys: The namespace.
        after: Begin after the entry with this id; "" to begin with the oldest.
        since_ms: Only entries written then or later, epoch milliseconds.

    Raises:
        InvalidOption: `after` is not an id.
    """
    low = "({}-{}".format(*id_pair(after)) if after else f"{since_ms}"
    count = _FIRST_ENTRIES
    while True:
        entries = yield from pages.history_entries(keys, low, "+", count, newest_first=False)
        if entries:
            yield Item(entries)
        if len(entries) < count:
            return
        count, low = _next_count(entries), f"({entries[-1].entry_id}"


def id_pair(entry_id: str) -> tuple[int, int]:
    """Return the milliseconds and the total of an entry's id. Entries sort by this pair.

    Raises:
        InvalidOption: It is not an id.
    """
    if not isinstance(entry_id, str) or not _ENTRY_ID.fullmatch(entry_id):
        raise InvalidOption(
            f"after must be the id of an entry such as 1800000000000-17, not {shown(entry_id)}"
        )
    ms, _, total = entry_id.partition("-")
    return int(ms), int(total)


def _records(entry: PackedHistory) -> list[TracedRecord]:
    """Unpack an entry. An entry of another format, or not written by workkit, gives no records."""
    if entry.version != FORMAT:
        return []
    try:
        return unpack(entry.blob)
    except msgspec.MsgspecError:
        return []


def _joined(record: TracedRecord, entry: PackedHistory) -> HistoryRecord:
    fields: dict[str, Any] = msgspec.structs.asdict(record)
    del fields["enqueued_millis"]
    fields["enqueued_ms"] = record.enqueued_ms
    return HistoryRecord(**fields, pool_id=entry.pool_id, host=entry.host, version=entry.program)
