"""Records of executions, as the engine packs them into the history stream.

One stream entry holds all that finished in one exchange: fields ``v`` (format), ``pool``, ``host``,
``n`` (how many), ``r``, a MessagePack array of records, ``b``, how many bytes had been written, and
``ver``, the version of the program. A record is an array in the order of `Record`'s fields; if the
last ones are missing, readers use their defaults. The entry's id is ``MS-TOTAL``: when it was
written, and how many records had been written since the stream began. So a reader knows how many
were trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from workkit.core.outcomes import Outcome

__all__ = ["FORMAT", "PackedHistory", "Record", "TracedRecord", "pack", "unpack"]

#: The value of an entry's ``v`` field.
FORMAT: Final = "1"


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One execution of a job.

    Attributes:
        job_id: The job.
        name: Its name.
        enqueued_at: When it entered its queue, epoch seconds.
        started_ms: When the handler started, epoch milliseconds; 0 if it did not.
        finished_ms: When the execution ended, epoch milliseconds.
        outcome: How it ended; see `OUTCOMES`.
        fails: Failures of the job so far, including this one.
        error: The headline of the error; "" without one.
        fingerprint: Equal for equal failures; "" without an error.
        worker_id: The worker that ran it; "" if it did not run.
        reason: A detail of the outcome, or "". After a failure: "timeout". Dead without a run:
            "undecodable" (a malformed payload), "stray" (the job names another queue), "pool died"
            (once too often). Discarded without a run: "duplicate slot", "late slot". Returned:
            "stopping", "no free worker", "runs alone" (on its last recovery), "unreceived" (the
            reply with it was lost). Recovered: "pool died".
        args: The args as JSON; None if they were not asked for, or are too long.
        checkins: The newest check-ins: epoch milliseconds and message; see `HistoryOptions`.
        enqueued_millis: Milliseconds beyond `enqueued_at`, 0 to 999; -1 where they are unknown.
    """

    job_id: str
    name: str
    enqueued_at: int
    started_ms: int
    finished_ms: int
    outcome: Outcome
    fails: int = 0
    error: str = ""
    fingerprint: str = ""
    worker_id: str = ""
    reason: str = ""
    args: str | None = None
    checkins: tuple[tuple[int, str], ...] = ()
    enqueued_millis: int = -1

    @property
    def enqueued_ms(self) -> int | None:
        """When it entered its queue, epoch milliseconds; None where only the second is known."""
        known = self.enqueued_millis >= 0
        return self.enqueued_at * 1_000 + self.enqueued_millis if known else None


class TracedRecord(Record, frozen=True):
    """A record as it is read. It is written of jobs whose parent is known, so others stay short.

    Attributes:
        parent_id: The job whose handler has enqueued this one; "" if it is not known.
    """

    parent_id: str = ""


class PackedHistory(NamedTuple):
    """One entry of the history stream, as it is stored.

    Attributes:
        entry_id: ``MS-TOTAL``.
        version: The format of the blob.
        pool_id: The pool that wrote it.
        host: The pool's machine.
        blob: The packed records.
        records: The number of records.
        program: The version of the program that ran the jobs.
    """

    entry_id: str
    version: str
    pool_id: str
    host: str
    blob: bytes
    records: int
    program: str


#: The largest integer that every MessagePack reader accepts.
_MOST: Final = 2**63 - 1
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[TracedRecord]).decode


def pack(records: Sequence[Record]) -> bytes:
    """Write the ``r`` field of an entry. Numbers out of its range become the nearest in range."""
    try:
        return _encode(records)
    except OverflowError:  # a payload from another program can have any number
        return _encode([msgspec.structs.replace(record, **_fitting(record)) for record in records])


def _fitting(record: Record) -> dict[str, int]:
    fields = msgspec.structs.asdict(record)
    return {
        name: max(min(value, _MOST), -_MOST)
        for name, value in fields.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def unpack(blob: bytes) -> list[TracedRecord]:
    """Read the ``r`` field of an entry.

    Raises:
        msgspec.MsgspecError: `pack` did not write it.
    """
    try:
        return _decode(blob)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
