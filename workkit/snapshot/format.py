"""The file of a snapshot: an SQLite database, so that any part is found without reading the rest.

Jobs lie in blocks, each a compressed MessagePack array of scores and bytes, in the order in which
they were read: sets from the lowest score, queues from the newest job, since only that way a walk
misses none. History lies as its entries were stored, some hundred to a block.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec

from workkit.admin.steps.history import HistoryExtent
from workkit.core.records import CronEntry, Overview, WorkerObservation

__all__ = ["APPLICATION_ID", "FORMAT", "SCHEMA", "SnapshotHeader", "State", "pack", "unpack"]

#: The number by which SQLite knows the files of a program: "wkit".
APPLICATION_ID: Final = 0x776B6974
FORMAT: Final = 1
_LEVEL: Final = 3

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
    """What a snapshot says of itself.

    Attributes:
        format: Of the file.
        workkit: The version that wrote it.
        label: What was read.
        from_s: When reading began, epoch seconds.
        until_s: When it ended.
        redacted: The patterns of keys whose values were left out.
    """

    format: int
    workkit: str
    label: str
    from_s: float
    until_s: float
    redacted: tuple[str, ...]


class State(msgspec.Struct, frozen=True):
    """What a snapshot has beside jobs and history.

    Attributes:
        overview: Queues, pools, sizes.
        workers: What they run.
        cron: Cron entries.
        extent: How much history there was.
    """

    overview: Overview
    workers: list[WorkerObservation]
    cron: list[CronEntry]
    extent: HistoryExtent


def pack(value: Any) -> bytes:
    """Write a value as a block."""
    return zlib.compress(msgspec.msgpack.encode(value), _LEVEL)


def unpack(data: bytes, type_: Any) -> Any:
    """Read a block.

    Raises:
        ValueError: It is damaged.
    """
    try:
        return msgspec.msgpack.decode(zlib.decompress(data), type=type_)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from None
