"""Round trips that find out whether a lost exchange was applied: resync, adopt, has_told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from workkit.core.history import Record, unpack
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, pairs, text
from workkit.store.round_trip import RoundTrip, call

__all__ = ["LastExchange", "adopt", "has_told", "resync"]

#: How many entries of history `has_told` searches for a record.
_LOOKED_AT: Final = 1_000


class LastExchange(NamedTuple):
    """The last exchange of a pool that was applied.

    Attributes:
        number: Its number.
        bits: Which of its settlements were applied, "1" or "0" each, in the order of its script;
            b"" if all were.
    """

    number: int
    bits: bytes = b""


def _read_last(said: Any) -> LastExchange | None:
    """Read the field `applied`; None if there is none, or if it is malformed."""
    text_of, _, bits = said.partition(b":") if isinstance(said, bytes) else (None, b"", b"")
    known = number(text_of)
    return None if known is None else LastExchange(known, bits)


def resync(
    keys: Keys, pool_id: str, fence: int, queues: Sequence[str], *, skip: int, most: int
) -> RoundTrip[tuple[LastExchange, dict[str, list[bytes]]] | None]:
    """Read jobs that the pool holds, and set a new fence.

    Args:
        keys: The namespace.
        pool_id: The pool.
        fence: The fence to set.
        queues: The pool's queues.
        skip: How many jobs to leave out, over all lists; those that were read before.
        most: How many jobs to read at most.

    Returns:
        A round trip that gives the last applied exchange and the in-progress list of each queue,
        newest first; None if the pool is not registered.
    """
    key_list = [keys.pool(pool_id), *(keys.queue(name, pool_id).inprogress for name in queues)]

    def parse(reply: Any) -> tuple[LastExchange, dict[str, list[bytes]]] | None:
        if reply[0] != b"ok":
            return None
        # A malformed number counts as old, so that no job is settled twice.
        last = _read_last(reply[1]) or LastExchange(0)
        return last, dict(zip(queues, reply[2:], strict=True))

    return RoundTrip.one(call(scripts.RESYNC, key_list, [fence, skip, most]), parse)


def adopt(
    keys: Keys, old_id: str, new_id: str, queues: Sequence[str]
) -> RoundTrip[LastExchange | None]:
    """Move the jobs that a pool holds to its new id.

    Args:
        keys: The namespace.
        old_id: The id under which the pool was taken for dead.
        new_id: The id that is registered now.
        queues: The pool's queues.

    Returns:
        A round trip that gives the last exchange that was applied under the old id; None if its
        heartbeat is gone.
    """
    key_list: list[bytes] = [keys.worker_pools, keys.pool(old_id)]
    for name in queues:
        old = keys.queue(name, old_id)
        key_list += (old.inprogress, keys.queue(name, new_id).inprogress, old.lock, old.lock_info)
    args = (old_id, new_id)
    return RoundTrip.one(call(scripts.ADOPT, key_list, args), _read_last)


def has_told(keys: Keys, pool_id: str, since_ms: int, record: Record) -> RoundTrip[bool]:
    """Tell whether history has a record that a pool sent, in the entries since then.

    Args:
        keys: The namespace.
        pool_id: The id under which the pool sent it.
        since_ms: When the pool sent it, epoch milliseconds.
        record: The record.
    """
    command = ("XRANGE", keys.history, since_ms, "+", "COUNT", _LOOKED_AT)

    def parse(replies: list[Any]) -> bool:
        entries = replies[0] if isinstance(replies[0], list) else []
        rows = [dict(pairs(fields)) for _, fields in entries]
        told = (row.get(b"r", b"") for row in rows if text(row.get(b"pool")) == pool_id)
        return any(_names(blob, record) for blob in told)

    return RoundTrip((command,), parse, tolerant=True)


def _names(blob: bytes, record: Record) -> bool:
    """Tell whether an entry holds a record of the same execution with the same end."""
    try:
        known = unpack(blob)
    except msgspec.MsgspecError:
        return False
    mine = (record.job_id, record.started_ms, record.finished_ms, record.outcome)
    return mine in [(r.job_id, r.started_ms, r.finished_ms, r.outcome) for r in known]
