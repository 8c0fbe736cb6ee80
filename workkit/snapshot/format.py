"""The file format of snapshots: an SQLite database, so that a reader can read any part alone.

Jobs are in blocks. A block is a compressed MessagePack array of scores and payloads, in the order
of the walk: sets from the lowest score, queues from the newest job, since only this walk of a queue
misses no job. Blocks of history hold packed entries, some hundred each.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec

from workkit.admin.steps.history import HistoryExtent
from workkit.core.packing import packed
from workkit.core.records import CronEntry, Overview, WorkerObservation

__all__ = ["APPLICATION_ID", "FORMAT", "SCHEMA", "SnapshotHeader", "State", "pack", "unpack"]

#: SQLite's number for the files of this program: "wkit".
APPLICATION_ID: Final = 0x776B6974
FORMAT: Final = 1
_LEVEL: Final = 3
#: A block is not larger, bytes. A file from elsewhere can name a block that takes gigabytes. An
#: ordinary block has some megabytes, or one job that is larger.
MOST_BYTES: Final = 256 * 1024 * 1024

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
CREATE TABLE about (data BLOB NOT NULL);
CREATE TABLE state (data BLOB NOT NULL);
CREATE TABLE places (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, queue TEXT NOT NULL, jobs INTEGER NOT NULL,
    from_s REAL NOT NULL, until_s REAL NOT NULL, UNIQUE (kind, queue)
);
CREATE TABLE blocks (
    place INTEGER NOT NULL, first INTEGER NOT NULL, jobs INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (place, first)
) WITHOUT ROWID;
CREATE TABLE history (
    id INTEGER PRIMARY KEY, last_ms INTEGER NOT NULL, last_total INTEGER NOT NULL,
    data BLOB NOT NULL
);
"""


class SnapshotHeader(msgspec.Struct, frozen=True):
    """The description of a snapshot, in its file.

    Attributes:
        format: The version of the file format.
        workkit: The version of workkit that wrote it.
        label: The source's name: a namespace and its server.
        from_s: When reading began, epoch seconds.
        until_s: When reading ended, epoch seconds.
        redacted: Patterns of the keys whose values were left out.
    """

    format: int
    workkit: str
    label: str
    from_s: float
    until_s: float
    redacted: tuple[str, ...]


class State(msgspec.Struct, frozen=True):
    """The parts of a snapshot other than jobs and history.

    Attributes:
        overview: Queues, pools and sizes.
        workers: The workers and what they run.
        cron: The cron entries.
        extent: The size of history.
    """

    overview: Overview
    workers: list[WorkerObservation]
    cron: list[CronEntry]
    extent: HistoryExtent


def pack(value: Any) -> bytes:
    """Encode a value as a block.

    Raises:
        ValueError: It is larger than any block may be.
    """
    encoded = packed(value)
    if len(encoded) > MOST_BYTES:
        raise ValueError(f"a block takes {len(encoded):,} bytes; at most {MOST_BYTES:,} fit")
    return zlib.compress(encoded, _LEVEL)


def unpack(data: bytes, type_: Any) -> Any:
    """Decode a block.

    Raises:
        ValueError: The block is damaged, or larger than any block may be.
    """
    try:
        stream = zlib.decompressobj()
        encoded = stream.decompress(data, MOST_BYTES + 1)
        if len(encoded) > MOST_BYTES:
            raise ValueError(f"a block takes more than {MOST_BYTES:,} bytes")
        if not stream.eof:
            raise ValueError("a block is not complete")
        return msgspec.msgpack.decode(encoded, type=type_)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from None
