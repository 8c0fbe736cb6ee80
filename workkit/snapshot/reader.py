"""Reads a snapshot through the protocol `Reader`."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from workkit.admin.explain import Circumstances, pool_of, recorded_circumstances
from workkit.admin.steps.history import HistoryExtent, HistoryQuery, HistoryRecord, id_pair
from workkit.admin.steps.walk import WaitingJob, record
from workkit.core.history import PackedHistory
from workkit.core.job import Job
from workkit.core.options import check_whole
from workkit.core.records import (
    Batch,
    CronEntry,
    Found,
    Overview,
    Page,
    Place,
    Placed,
    Queue,
    WorkerObservation,
    WorkerPoolHeartbeat,
    check_place,
)
from workkit.errors import InvalidOption
from workkit.snapshot.format import APPLICATION_ID, FORMAT, SnapshotHeader, State, unpack

__all__ = ["Snapshot"]

_MOST: Final = 10**14
_MOST_AT_ONCE: Final = 10_000
_Block = list[tuple[int, bytes]]


class Snapshot:
    """A file that `write_snapshot` wrote. Implements `Reader`. Threads may share it.

    Args:
        path: The file.

    Attributes:
        about: When it was taken, from which source, and which values were left out.

    Raises:
        InvalidOption: The file is not a snapshot, or a later version of workkit wrote it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        try:
            self._database = self._open()
            self.about: SnapshotHeader = unpack(self._one("SELECT data FROM about"), SnapshotHeader)
            self._state: State = unpack(self._one("SELECT data FROM state"), State)
        except (OSError, sqlite3.Error, ValueError) as error:
            raise InvalidOption(f"{self._path} is not a snapshot: {error}") from None
        if self.about.format > FORMAT:
            raise InvalidOption(f"{self._path} needs workkit {self.about.workkit} or newer")
        rows = self._all("SELECT kind, queue, id, jobs FROM places")
        self._places = {(kind, queue): (place_id, jobs) for kind, queue, place_id, jobs in rows}

    def _open(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise OSError("no such file")
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            database.close()
            raise ValueError("it is a database of another program")
        return database

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def _one(self, statement: str) -> Any:
        row = self._all(statement)
        if not row:
            raise ValueError("it is not complete")
        return row[0][0]

    def close(self) -> None:
        """Close the file."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._database.close()

    # At a glance.

    @property
    def label(self) -> str:
        """The source's name, and the file."""
        return f"{self.about.label}, in {self._path.name}"

    @property
    def live(self) -> bool:
        """False: a snapshot does not change."""
        return False

    def now_s(self) -> float:
        """Return when the snapshot was taken, epoch seconds."""
        return self._state.overview.taken_at

    def overview(self) -> Overview:
        """Return queues, pools and sizes."""
        return self._state.overview

    def watch(self) -> Snapshot:
        """Return itself: a snapshot does not change."""
        return self

    def queues(self) -> list[Queue]:
        """Return all queues that were ever used, by name."""
        return self._state.overview.queues

    def worker_pool_heartbeats(self) -> list[WorkerPoolHeartbeat]:
        """Return all registered pools, by id."""
        return self._state.overview.pools

    def worker_observations(
        self, worker_ids: Sequence[str] | None = None
    ) -> list[WorkerObservation]:
        """Return what workers run, for `worker_ids` or all."""
        if worker_ids is None:
            return self._state.workers
        wanted = set(worker_ids)
        return [found for found in self._state.workers if found.worker_id in wanted]

    def cron(self) -> list[CronEntry]:
        """Return the cron entries that pools had declared, by name and spec."""
        return self._state.cron

    # Jobs.

    def jobs(
        self, place: Place, start: int = 0, count: int = 20, *, reverse: bool = False
    ) -> Page[WaitingJob]:
        """Return some jobs of a place; see `Reader.jobs`.

        Raises:
            InvalidOption: `start` or `count` is not a valid non-negative integer.
        """
        check_place(place)
        check_whole("start", start, 0, _MOST)
        check_whole("count", count, 1, _MOST_AT_ONCE)
        total = self._places.get((place.kind, place.queue), (0, 0))[1]
        return Page(list(islice(self._walk(place, start, reverse=reverse), count)), total)

    def walk(
        self, place: Place, *, reverse: bool = False, size: int = 1_000
    ) -> Iterator[Batch[WaitingJob]]:
        """Walk a whole place, batch by batch; see `Reader.walk`."""
        check_place(place)
        check_whole("size", size, 1, _MOST_AT_ONCE)
        total = self._places.get((place.kind, place.queue), (0, 0))[1]
        jobs, seen = self._walk(place, 0, reverse=reverse), 0
        while batch := list(islice(jobs, size)):
            seen += len(batch)
            yield Batch(batch, seen, total)

    def _walk(self, place: Place, start: int, *, reverse: bool) -> Iterator[WaitingJob]:
        place_id, total = self._places.get((place.kind, place.queue), (0, 0))
        # Queues were read from their newest job.
        newest_first = place.kind == "queued"
        backwards = reverse != newest_first
        left = total - start
        while left > 0:
            wanted = left - 1 if backwards else total - left
            rows = self._all(
                "SELECT first, jobs, data FROM blocks WHERE place = ? AND first <= ? "
                "ORDER BY first DESC LIMIT 1",
                (place_id, wanted),
            )
            first, count, data = rows[0]
            block = self._block(data)
            picked = range(wanted - first, -1, -1) if backwards else range(wanted - first, count)
            for at in picked:
                score, raw = block[at]
                position = total - 1 - (first + at) if newest_first else score
                yield record(place, raw, position)
            left -= len(picked)

    def _block(self, data: bytes) -> _Block:
        try:
            block: _Block = unpack(data, _Block)
        except ValueError as error:
            raise InvalidOption(f"{self._path} is damaged: {error}") from None
        return block

    def find(self, job_id: str) -> Found | None:
        """Find a job by its id. Reads every queue and set."""
        for worker in self._state.workers:
            if worker.is_busy and worker.job_id == job_id:
                return Found(
                    "running",
                    _running(worker),
                    pool_id=pool_of(worker.worker_id, self._state.overview.pools),
                )
        for kind, queue in self._places:
            for placed in self._walk(Place(kind, queue), 0, reverse=False):
                if placed.job.id == job_id:
                    return Found(placed.place, placed.job, placed.at)
        return None

    def circumstances(self, placed: Placed, seen: Overview | None = None) -> Circumstances:
        """Return the facts that decided whether a job ran. Snapshots do not have unique keys."""
        del seen  # a snapshot has only one overview
        return recorded_circumstances(
            placed, self.now_s(), self.queues(), self.worker_pool_heartbeats(), self._state.workers
        )

    # History.

    def history(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        name: str | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> Iterator[HistoryRecord]:
        """Walk the executions in history, the newest first; see `Client.history`."""
        query = HistoryQuery(since, until, name, outcome, limit)
        return query.pick(self._newest_first(query.since_ms))

    def recent_history(self, entries: int = 10) -> list[HistoryRecord]:
        """Return a sample of the last executions, the newest first."""
        query = HistoryQuery(None, None, None, None, None)
        return list(query.pick(islice(self._newest_first(0), entries)))

    def _newest_first(self, since_ms: int) -> Iterator[PackedHistory]:
        for (row_id,) in self._all(
            "SELECT id FROM history WHERE last_ms >= ? ORDER BY id DESC", (since_ms,)
        ):
            yield from reversed(self._entries(row_id))

    def _entries(self, row_id: int) -> list[PackedHistory]:
        data = self._all("SELECT data FROM history WHERE id = ?", (row_id,))[0][0]
        try:
            entries: list[PackedHistory] = unpack(data, list[PackedHistory])
        except ValueError as error:
            raise InvalidOption(f"{self._path} is damaged: {error}") from None
        return entries

    def packed_history(
        self, *, after: str = "", since: float | None = None
    ) -> Iterator[Sequence[PackedHistory]]:
        """Walk the packed entries of history, the oldest first; see `Client.packed_history`."""
        least = id_pair(after) if after else (-1, 0)
        since_ms = HistoryQuery(since, None, None, None, None).since_ms
        rows = self._all(
            "SELECT id FROM history WHERE last_ms >= ? ORDER BY id", (max(since_ms, least[0]),)
        )
        for (row_id,) in rows:
            if batch := list(_later(self._entries(row_id), least, since_ms)):
                yield batch

    def job_history(self, job_id: str) -> list[HistoryRecord]:
        """Return all executions of one job that history had, the oldest first."""
        return [found for found in self.history() if found.job_id == job_id][::-1]

    def history_extent(self) -> HistoryExtent:
        """Return how many executions were recorded, and how many were left."""
        return self._state.extent


def _later(
    entries: Iterable[PackedHistory], least: tuple[int, int], since_ms: int
) -> Iterator[PackedHistory]:
    for entry in entries:
        pair = id_pair(entry.entry_id)
        if pair > least and pair[0] >= since_ms:
            yield entry


def _running(worker: WorkerObservation) -> Job:
    """Return a running job, with the fields that its worker reports."""
    import json

    try:
        args = json.loads(worker.args_json)
    except ValueError:
        args = None
    return Job(worker.job_name, worker.job_id, 0, args if isinstance(args, dict) else None)
