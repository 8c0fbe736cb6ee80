"""The parent of a job: the job whose handler has enqueued it, as a member of the job's JSON.

Tracing writes the member beside the context of the trace, and pools with tracing read it for
history. So a job without a trace, and its record, have not one byte more.
"""

from __future__ import annotations

from typing import Final

import msgspec

from workkit.core.current import current_id
from workkit.core.history import Record, TracedRecord

__all__ = ["parent_member", "parent_of", "with_parent"]

_MEMBER: Final = "parent_id"
#: The id of a cron job has its name and its spec. A longer one is left out.
_MOST_CHARS: Final = 1_024
#: JSON escapes a character with at most six bytes.
_MOST_BYTES: Final = 6 * _MOST_CHARS + 2


class _Members(msgspec.Struct):
    parent_id: msgspec.Raw = msgspec.Raw()  # of any type: anybody may have written it


_decode_members: Final = msgspec.json.Decoder(_Members).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def parent_member() -> dict[str, str]:
    """Return the member that names the current job, for a job that is enqueued; empty outside."""
    job_id = current_id()
    return {_MEMBER: job_id} if 0 < len(job_id) <= _MOST_CHARS else {}


def parent_of(raw: bytes) -> str:
    """Return the id of a job's parent.

    Args:
        raw: The job's bytes.

    Returns:
        The id; "" if it has none, or if the member cannot be an id.
    """
    try:
        value = _decode_members(raw).parent_id
        if not 0 < memoryview(value).nbytes <= _MOST_BYTES:
            return ""
        text = _decode_text(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return text if len(text) <= _MOST_CHARS else ""


def with_parent(record: Record, raw: bytes) -> Record:
    """Return the record of an execution with the parent of its job, if the job names one.

    Args:
        record: The record.
        raw: The job's bytes.
    """
    parent_id = parent_of(raw)
    if not parent_id:
        return record
    return TracedRecord(**msgspec.structs.asdict(record), parent_id=parent_id)
