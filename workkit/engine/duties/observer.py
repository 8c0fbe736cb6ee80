"""Writes each worker's current job and its check-ins.

A check-in only stores a note with its job. This duty writes the newest notes once a second, so that
neither a slow Redis nor a million check-ins delay a handler.
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
#: The observation of a long job is renewed after this long, before it expires, seconds.
_RENEW_S: Final = 3_600.0
#: What is known of an observation until the server has confirmed it.
_UNSURE: Final = (None, 0.0)


class Observer:
    """The observations of one pool.

    Args:
        keys: The namespace.
        executions: Returns the jobs that the pool holds.
    """

    name = "observer"

    def __init__(self, keys: Keys, executions: Callable[[], Sequence[Execution]]) -> None:
        self._keys = keys
        self._executions = executions
        self._written: dict[str, tuple[object, float]] = {}

    @property
    def shows_jobs(self) -> bool:
        """Whether an observation stands in Redis; the next step may have to remove it."""
        return bool(self._written)

    def step(self, now: Instant) -> Step[float]:
        """Write the changes since the last step."""
        running: dict[str, dict[str, str | int | bytes]] = {}
        state: dict[str, tuple[object, float]] = {}
        for execution in self._executions():
            worker_id, started = execution.worker_id, execution.started
            if not worker_id or started is None or execution.finished is not None:
                continue
            version = (execution.payload.id, started.epoch_ms, execution.checkin)
            before = self._written.get(worker_id)
            if before and before[0] == version and now.monotonic_s - before[1] < _RENEW_S:
                state[worker_id] = before
                continue
            state[worker_id] = (version, now.monotonic_s)
            running[worker_id] = _fields(execution, started)
        idle = [worker_id for worker_id in self._written if worker_id not in state]
        if running or idle:
            # If the reply is lost, they may stand in Redis, and must be removed when they are idle.
            self._written |= dict.fromkeys(running, _UNSURE)
            yield from beat.observe(self._keys, running, idle, OBSERVATION_S)
        self._written = state
        return _EVERY_S

    def clear(self) -> Step[None]:
        """Remove every observation at the end of the pool."""
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
