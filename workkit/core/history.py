"""Records of what ran, as the engine packs them into the history stream.

One stream entry holds all that finished in one exchange: fields ``v`` (format), ``pool``, ``host``,
``n`` (how many), ``r``, a MessagePack array of records, ``b``, how many bytes had been written, and
``ver``, the version of the program. A record is an array in the order of `Record`'s fields; readers
take later ones that are missing as their defaults. The entry's id is ``MS-TOTAL``: when
it was written, and how many records had been written since the stream began, so that a reader knows
how many the cap took away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from workkit.core.outcomes import Outcome

__all__ = ["FORMAT", "PackedHistory", "Record", "pack", "unpack"]

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
        outcome: How it ended; `OUTCOMES` says what each means.
        fails: Failures of the job so far, this one included.
        error: The headline of the error; "" for none.
        fingerprint: Equal for equal failures; "" for none.
        worker_id: The worker that ran it; "" if none did.
        reason: What else there is to say, "" for nothing. After a failure: "timeout". Dead without
            having run: "undecodable", "stray" (its queue is another's), "pool died" (once too
            often). Discarded without having run: "duplicate slot", "late slot". Returned:
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


class PackedHistory(NamedTuple):
    """One entry of the history stream, as it is stored.

    Attributes:
        entry_id: Its id, ``MS-TOTAL``.
        version: The format of the blob.
        pool_id: Who wrote it.
        host: On which machine.
        blob: The packed records.
        records: How many they are.
        program: The version of the program that ran them.
    """

    entry_id: str
    version: str
    pool_id: str
    host: str
    blob: bytes
    records: int
    program: str


#: What every reader of MessagePack can hold.
_MOST: Final = 2**63 - 1
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Record]).decode


def pack(records: Sequence[Record]) -> bytes:
    """Write the ``r`` field of an entry; numbers that its format cannot hold as the nearest."""
    try:
        return _encode(records)
    except OverflowError:  # from a payload that somebody else wrote
        return _encode([msgspec.structs.replace(record, **_fitting(record)) for record in records])


def _fitting(record: Record) -> dict[str, int]:
    fields = msgspec.structs.asdict(record)
    return {
        name: max(min(value, _MOST), -_MOST)
        for name, value in fields.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def unpack(blob: bytes) -> list[Record]:
    """Read the ``r`` field of an entry.

    Raises:
        msgspec.MsgspecError: It was not written by `pack`.
    """
    try:
        return _decode(blob)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
