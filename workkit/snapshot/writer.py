"""Writes snapshots part by part, so that memory does not grow with the number of jobs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from workkit._version import __version__
from workkit.admin.reader import Reader
from workkit.admin.steps.history import id_pair
from workkit.core.history import unpack
from workkit.core.options import check_flag
from workkit.core.records import Kind, Place, queue_places
from workkit.core.whole_file import whole_path
from workkit.errors import InvalidOption, WorkkitError
from workkit.snapshot.format import FORMAT, SCHEMA, SnapshotHeader, State, pack
from workkit.snapshot.redaction import Redaction

__all__ = ["Progress", "write_snapshot"]

#: Receives the name of the part, how much of it was read, and its size.
Progress: TypeAlias = Callable[[str, int, int], None]

_BLOCK: Final = 500
_SETS: Final[tuple[Kind, ...]] = ("scheduled", "retry", "dead")


def write_snapshot(
    reader: Reader,
    path: str | os.PathLike[str],
    *,
    redaction: Redaction | None = None,
    replace: bool = False,
    told: Progress | None = None,
) -> SnapshotHeader:
    """Write everything that a reader returns into one file.

    The parts are read one after the other. So a job that moves at that time may be in two parts or
    in none. The snapshot records when each part was read. Only its owner can read the file. The
    file appears when it is complete.

    Args:
        reader: The source.
        path: The file.
        redaction: Removes values; None for the values of `SECRETS`.
        replace: Replace an existing file.
        told: Receives the progress.

    Returns:
        The description in the file.

    Raises:
        InvalidOption: The file exists, or cannot be written, or `replace` is no flag.
        ServerError: Redis did not answer or refused. No file is left.
    """
    check_flag("replace", replace)
    target = Path(path)
    if target.exists() and not replace:
        raise InvalidOption(f"{target} exists; --force replaces it")
    try:
        with (
            whole_path(target) as partial,
            contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as database,
        ):
            database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}")
            database.execute("BEGIN")
            about = _Writer(reader, database, redaction or Redaction(), told).write()
            database.execute("COMMIT")
    except (sqlite3.Error, ValueError) as error:
        if isinstance(error, WorkkitError):  # of the reader; some are a ValueError too
            raise
        raise InvalidOption(f"{target} cannot be written: {error}") from None
    return about


class _Writer:
    def __init__(
        self,
        reader: Reader,
        database: sqlite3.Connection,
        redaction: Redaction,
        told: Progress | None,
    ) -> None:
        self._reader = reader
        self._database = database
        self._redaction = redaction
        self._told = told

    def write(self) -> SnapshotHeader:
        from_s = self._reader.now_s()
        state = self._state()
        self._redaction.remember(self._with_texts())
        for place in self._places(state):
            self._jobs(place)
        self._history(state.extent.kept)
        about = SnapshotHeader(
            FORMAT,
            __version__,
            self._reader.label,
            from_s,
            self._reader.now_s(),
            self._redaction.patterns,
        )
        self._database.execute("INSERT INTO about VALUES (?)", (pack(about),))
        return about

    def _with_texts(self) -> set[str]:
        """Return the jobs of which history has texts: an error, or check-ins."""
        found: set[str] = set()
        for batch in self._reader.packed_history():
            for entry in batch:
                with contextlib.suppress(msgspec.MsgspecError):  # of another format, or damaged
                    records = unpack(entry.blob)
                    found.update(r.job_id for r in records if r.error or r.checkins)
        return found

    def _state(self) -> State:
        reader = self._reader
        workers = [self._redaction.worker(found) for found in reader.worker_observations()]
        state = State(reader.overview(), workers, reader.cron(), reader.history_extent())
        self._database.execute("INSERT INTO state VALUES (?)", (pack(state),))
        return state

    def _places(self, state: State) -> Iterator[Place]:
        for kind in _SETS:
            yield Place(kind)
        yield from queue_places(state.overview.queues)

    def _jobs(self, place: Place) -> None:
        from_s, jobs = self._reader.now_s(), 0
        row = self._database.execute(
            "INSERT INTO places (kind, queue, jobs, from_s, until_s) VALUES (?, ?, 0, 0, 0)",
            (place.kind, place.queue),
        )
        place_id = row.lastrowid
        reverse = place.kind == "queued"
        for batch in self._reader.walk(place, reverse=reverse, size=_BLOCK):
            block = [(placed.at or 0, self._redaction.job(placed.job.raw)) for placed in batch.jobs]
            self._database.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)", (place_id, jobs, len(block), pack(block))
            )
            jobs += len(block)
            if self._told is not None:
                self._told(str(place), jobs, max(batch.total, jobs))
        self._database.execute(
            "UPDATE places SET jobs = ?, from_s = ?, until_s = ? WHERE id = ?",
            (jobs, from_s, self._reader.now_s(), place_id),
        )

    def _history(self, total: int) -> None:
        read = 0
        for batch in self._reader.packed_history():
            entries = [self._redaction.history(entry) for entry in batch]
            last_ms, last_total = id_pair(entries[-1].entry_id)
            self._database.execute(
                "INSERT INTO history (last_ms, last_total, data) VALUES (?, ?, ?)",
                (last_ms, last_total, pack(entries)),
            )
            read += sum(entry.records for entry in entries)
            if self._told is not None:
                self._told("history", read, max(total, read))
