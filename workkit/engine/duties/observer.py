"""Writes each worker's current job and its check-ins.

A check-in only stores a note with its job. This duty writes the newest notes once a second, so that
neither a slow Redis nor a million check-ins delay a handler. After each resync of the pool all
observations are written again: Redis may have lost some, or have brought some back in a failover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from workkit.core.clock import Instant
from workkit.core.job import args_json
from workkit.core.lifetimes import OBSERVATION_S
from workkit.engine.handling.execution import Execution
from workkit.store.calls import beat
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Observer"]

_EVERY_S: Final = 1.0
#: What is known of an observation until the server has confirmed it.
_UNSURE: Final = None


class Observer:
    """The observations of one pool.

    Args:
        keys: The namespace.
        worker_ids: All workers of the pool.
        executions: Returns the jobs that the pool holds.
        resyncs: Returns how often the pool has compared its jobs with Redis.
    """

    name = "observer"

    def __init__(
        self,
        keys: Keys,
        worker_ids: Sequence[str],
        executions: Callable[[], Sequence[Execution]],
        resyncs: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._worker_ids = worker_ids
        self._executions = executions
        self._resyncs = resyncs
        self._resyncs_seen = 0
        self._written: dict[str, object] = {}

    @property
    def is_due(self) -> bool:
        """Whether an observation stands in Redis, or may: the next step may have to remove it."""
        return bool(self._written) or self._resyncs() != self._resyncs_seen

    def step(self, now: Instant) -> Step[float]:
        """Write the changes since the last step; after a resync, everything."""
        del now
        self._doubt()
        running: dict[str, dict[str, str | int | bytes]] = {}
        state: dict[str, object] = {}
        for execution in self._executions():
            worker_id, started = execution.worker_id, execution.started
            if not worker_id or started is None or execution.finished is not None:
                continue
            version = (execution.payload.id, started.epoch_ms, execution.checkin)
            state[worker_id] = version
            if self._written.get(worker_id) != version:
                running[worker_id] = _fields(execution, started)
        idle = [worker_id for worker_id in self._written if worker_id not in state]
        if running or idle:
            # If the reply is lost, they may stand in Redis, and must be removed when they are idle.
            self._written |= dict.fromkeys(running, _UNSURE)
            yield from beat.observe(self._keys, running, idle, OBSERVATION_S)
        self._written = state
        return _EVERY_S

    def _doubt(self) -> None:
        """Take nothing for written if the pool has compared its jobs with Redis since."""
        resyncs = self._resyncs()
        if resyncs != self._resyncs_seen:
            self._resyncs_seen = resyncs
            self._written = dict.fromkeys(self._worker_ids, _UNSURE)

    def clear(self) -> Step[None]:
        """Remove every observation at the end of the pool."""
        self._doubt()
        if self._written:
            yield from beat.observe(self._keys, {}, list(self._written), OBSERVATION_S)
            self._written = {}


def _fields(execution: Execution, started: Instant) -> dict[str, str | int | bytes]:
    payload = execution.payload
    fields: dict[str, str | int | bytes] = {
        "job_name": payload.name,
        "job_id": payload.id,
        "started_at": started.epoch_s,
        "args": args_json(execution.raw),
    }
    if execution.checkin is not None:
        fields["checkin"], fields["checkin_at"] = execution.checkin
    return fields
