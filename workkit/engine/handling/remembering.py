"""Makes the record of an execution that history keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from workkit.core.history import Record
from workkit.core.job import args_json, millis_of
from workkit.core.options import HistoryOptions
from workkit.core.outcomes import Outcome
from workkit.core.parents import with_parent
from workkit.engine.handling.failures import headline

if TYPE_CHECKING:
    from workkit.engine.handling.execution import Execution

__all__ = ["remember"]

#: Longer args are left out where history keeps args on request.
_MOST_ARGS_BYTES: Final = 4_096


def remember(execution: Execution, outcome: Outcome, finished_ms: int, reason: str = "") -> Record:
    """Make the history record of an execution.

    Args:
        execution: The execution.
        outcome: How it ended.
        finished_ms: When, epoch milliseconds.
        reason: An extra explanation, or "".
    """
    payload, error, started = execution.payload, execution.error_text, execution.started
    details = execution.details
    args, checkins = (None, ()) if details is None else _details(execution, details)
    record = Record(
        payload.id,
        payload.name,
        payload.enqueued_at,
        started.epoch_ms if started else 0,
        finished_ms,
        outcome,
        execution.fails,
        headline(error) if error else "",
        execution.fingerprint,
        execution.worker_id,
        reason or ("timeout" if execution.interrupted and error else ""),
        args,
        checkins,
        millis_of(payload),
    )
    return record if execution.watched is None else with_parent(record, execution.raw)


def _details(
    execution: Execution, details: HistoryOptions
) -> tuple[str | None, tuple[tuple[int, str], ...]]:
    """Return the args and the check-ins that history keeps on request."""
    args = None
    if details.args:
        try:
            json = args_json(execution.raw)
        except msgspec.MsgspecError:  # bytes that are not a job
            json = b""
        if 0 < len(json) <= _MOST_ARGS_BYTES:
            args = json.decode("utf-8", "replace")
    return args, tuple(execution.trail) if execution.trail else ()
