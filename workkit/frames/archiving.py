"""Writes history to an archive, which keeps it beyond the bounds of the stream."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from workkit.admin.reader import Reader
from workkit.admin.steps.history import id_pair
from workkit.core.history import PackedHistory
from workkit.core.locking import lock, needs_locks
from workkit.core.options import check_flag
from workkit.errors import InvalidOption
from workkit.frames.archive_changes import ArchiveBusy, added, owner_only, reading
from workkit.frames.archive_files import (
    LOCK,
    ArchiveFile,
    ArchiveHeader,
    Gap,
    day_of,
    files_of,
    folder_of,
    is_late,
    name_of,
    write_file,
)
from workkit.frames.extra import pa
from workkit.frames.packed import Unpacker
from workkit.frames.schema import schema
from workkit.snapshot import SECRETS, Redaction

__all__ = ["Archived", "archive"]

#: About this many records in a file at most. The records of an entry stay together.
_FILE_RECORDS: Final = 250_000
#: About this many bytes of packed records in a file at most: a file is written from memory.
_FILE_BYTES: Final = 64 * 1024 * 1024
#: The mode of the directories of an archive: only for their owner.
_OWNER_FOLDER: Final = 0o700


@dataclass(slots=True)
class Archived:
    """The result of one run.

    Attributes:
        records: The number of records added.
        files: The number of files added.
        unreadable: The number of records that could not be read.
        gaps: Records that were trimmed before this run could read them.
    """

    records: int = 0
    files: int = 0
    unreadable: int = 0
    gaps: list[Gap] = field(default_factory=list)


def archive(
    reader: Reader,
    directory: str | os.PathLike[str],
    *,
    adopt: bool = False,
    redact: Iterable[str] = SECRETS,
    told: Callable[[int], None] | None = None,
) -> Archived:
    """Append new records of history to an archive. Each record that is read is added exactly once.

    The run can end at any point, even by a power cut. The next run continues there. Archiving only
    reads the stream, so the stream's bounds still trim it. Only its owner can read what it makes; a
    directory that exists keeps its mode.

    Args:
        reader: The source of history.
        directory: The archive. It is created if it does not exist.
        adopt: Continue even if the archive comes from a source of another name.
        redact: Leave out the values of these keys of args, with ``*`` and ``?``; see `Redaction`.
            By default those that look like secrets, as snapshots do; () leaves out nothing.
        told: Receives the number of records read so far.

    Raises:
        InvalidOption: The directory is not an archive, is of another namespace, or is in use; or
            history ends before the archive, because it was deleted and has begun again. Or this
            system has no locks of files.
        ServerError: Redis did not answer or refused. The files written so far are complete.
    """
    check_flag("adopt", adopt)
    root = folder_of(directory)
    needs_locks(str(root))
    try:
        root.mkdir(mode=_OWNER_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidOption(f"{root} cannot be an archive: {error.strerror}") from None
    with _locked(root):
        with reading(root):  # the newest file may be merged before its label is read
            newest = max(files_of(root), default=None)
            if newest is not None and not adopt:
                _check_label(root, newest, reader.label)
        if newest is not None:
            _check_end(root, newest, reader.history_extent().last_id)
        run = _ArchiveRun(reader.label, root, newest, Redaction(redact), told)
        run.take(reader.packed_history(after=newest.last_id if newest else ""))
        return run.archived


def _check_label(root: Path, newest: ArchiveFile, label: str) -> None:
    known = newest.about().label
    if known != label:
        raise InvalidOption(
            f"{root} has the history of {known}, not of {label}; use another directory, or "
            "--adopt if they are the same"
        )


def _check_end(root: Path, newest: ArchiveFile, last_id: str) -> None:
    """Refuse a history that ends before the archive, since nothing of it could be appended."""
    if last_id and id_pair(last_id) < newest.last and id_pair(last_id)[0] < newest.last[0]:
        raise InvalidOption(
            f"{root} ends at {newest.last_id}, after the end of history at {last_id}: history was "
            "deleted and has begun again by another clock; archive it to another directory"
        )


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Lock the archive against other writers, and remove the partial files of a killed one."""
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(open(root / LOCK, "w", opener=owner_only))
        except OSError as error:
            raise InvalidOption(f"{root} cannot be written: {error.strerror or error}") from None
        try:
            lock(file.fileno())
        except OSError:
            raise ArchiveBusy(f"another process is writing {root}") from None
        for left in [*root.glob("*.partial"), *root.glob("day=*/*.partial")]:
            left.unlink(missing_ok=True)
        yield


class _ArchiveRun:
    def __init__(
        self,
        label: str,
        root: Path,
        newest: ArchiveFile | None,
        redaction: Redaction,
        told: Callable[[int], None] | None,
    ) -> None:
        self.archived = Archived()
        self._label = label
        self._root = root
        self._redaction = redaction
        self._told = told
        self._last_id = newest.last_id if newest else ""
        self._total = newest.last[1] if newest else 0
        self._entries: list[PackedHistory] = []
        self._records = self._bytes = 0
        self._gaps: list[Gap] = []

    def take(self, batches: Iterator[Any]) -> None:
        """Write all entries. A file gets at most some hundred thousand records of one day."""
        for batch in batches:
            for entry in batch:
                ms = int(entry.entry_id.partition("-")[0])
                full = self._records >= _FILE_RECORDS or self._bytes >= _FILE_BYTES
                if self._entries and (full or day_of(ms) != self._day()):
                    self._write()
                self._add(entry)
        if self._entries:
            self._write()

    def _add(self, entry: PackedHistory) -> None:
        total = int(entry.entry_id.partition("-")[2])
        before = total - entry.records
        if before > self._total:
            self._gaps.append(Gap(self._last_id, entry.entry_id, before - self._total))
        elif before < self._total:
            self._gaps.append(Gap(self._last_id, entry.entry_id, None))
        self._last_id, self._total = entry.entry_id, total
        self._entries.append(entry)
        self._records += entry.records
        self._bytes += len(entry.blob)

    def _is_late(self, table: Any) -> bool:
        """Tell whether an execution ended long before the entries were written, or after that."""
        import pyarrow.compute as pc

        if not table.num_rows:
            return False
        ended = pc.min_max(pc.cast(table["finished_at"], pa.int64())).as_py()
        first, last = self._entries[0].entry_id, self._entries[-1].entry_id
        return is_late(id_pair(first)[0], id_pair(last)[0], ended["min"], ended["max"])

    def _day(self) -> str:
        return day_of(int(self._entries[0].entry_id.partition("-")[0]))

    def _write(self) -> None:
        unpacker = Unpacker()
        tables = unpacker.tables([[self._redaction.history(each) for each in self._entries]])
        first, last = self._entries[0].entry_id, self._entries[-1].entry_id
        table = _joined(tables)
        about = ArchiveHeader(
            self._label, unpacker.read, unpacker.unreadable, tuple(self._gaps),
            redacted=self._redaction.patterns,
        )  # fmt: skip
        partial = self._root / f"{first}.{last}.partial"
        name = name_of(first, last, late=self._is_late(table))
        try:
            with open(partial, "wb", opener=owner_only) as file:
                write_file(file, [table], about)
            added(partial, self._root / self._day() / name)
        except OSError as error:  # such as a full disk; the next run goes on here
            raise InvalidOption(
                f"{self._root} cannot be written: {error.strerror or error}"
            ) from None
        finally:
            partial.unlink(missing_ok=True)
        done = self.archived
        done.records += unpacker.read
        done.unreadable += unpacker.unreadable
        done.files += 1
        done.gaps += self._gaps
        self._entries, self._gaps = [], []
        self._records = self._bytes = 0
        if self._told is not None:
            self._told(done.records)


def _joined(tables: Iterator[Any]) -> Any:
    found = list(tables)
    if not found:
        return schema("history").arrow().empty_table()
    return pa.concat_tables(found).unify_dictionaries()
