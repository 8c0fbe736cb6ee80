"""An overview and its digest as a state, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from workkit.admin.steps.history import HistoryRecord
from workkit.admin.trends import FAILED_TOTALS, Digest, Sample
from workkit.core.masks import Masks
from workkit.core.records import Overview, Queue, WorkerPoolHeartbeat
from workkit.recording.deltas import State, key, key_of, known_name

__all__ = [
    "digest_event",
    "digest_of",
    "execution_of",
    "execution_row",
    "overview_of",
    "overview_state",
    "sample_of",
]

#: The most failures of one reading that are recorded, and the length of their errors, characters.
_FAILURES: Final = 10
_ERROR_CHARS: Final = 300
_VERSIONS: Final = 20
_SIZES: Final = key("s")
_PAUSED, _BROKEN = 1, 2
#: Parents are left out, so that the rows are as in recordings of earlier versions.
_RECORD_FIELDS: Final = tuple(f.name for f in fields(HistoryRecord) if f.name != "parent_id")


def overview_state(seen: Overview) -> State:
    """Write an overview as a state."""
    now_s = int(seen.taken_at)
    state: State = {
        _SIZES: [
            seen.scheduled, seen.retry, seen.dead, seen.next_scheduled_at, seen.next_retry_at,
            seen.executions,
        ]
    }  # fmt: skip
    for queue in seen.queues:
        flags = _PAUSED * queue.paused + _BROKEN * queue.broken
        # The time since when its next job waits changes less often than how long that is.
        since = now_s - queue.latency if queue.count else 0
        state[key_of("q", queue.job_name)] = [
            queue.count, queue.running, since, flags, queue.max_concurrency
        ]  # fmt: skip
    for pool in seen.pools:
        pool_id, names = pool.worker_pool_id, list(pool.totals)
        state[key_of("P", pool_id)] = [
            pool.started_at, pool.job_names, pool.concurrency, pool.host, pool.pid,
            pool.worker_ids, pool.version, names,
        ]  # fmt: skip
        state[key_of("p", pool_id)] = [pool.heartbeat_at, *(pool.totals[name] for name in names)]
    return state


def overview_of(at_ms: int, state: Mapping[bytes, Any]) -> Overview:
    """Read an overview from a state.

    Raises:
        ValueError: The state is damaged.
    """
    now_s = at_ms // 1_000
    queues: list[Queue] = []
    statics: dict[str, list[Any]] = {}
    beats: dict[str, list[Any]] = {}
    for written, value in state.items():
        kind, *rest = known_name(written)
        if kind == "q":
            count, running, since, flags, limit = value
            queues.append(
                Queue(
                    rest[0], count, max(now_s - since, 0) if count else 0, bool(flags & _PAUSED),
                    running, limit, bool(flags & _BROKEN),
                )
            )  # fmt: skip
        elif kind == "P":
            statics[rest[0]] = value
        elif kind == "p":
            beats[rest[0]] = value
    pools = [
        WorkerPoolHeartbeat(
            pool_id, beats[pool_id][0], started_at, names, concurrency, host, pid, workers,
            dict(zip(totals, beats[pool_id][1:], strict=True)), version,
        )
        for pool_id, (started_at, names, concurrency, host, pid, workers, version, totals)
        in sorted(statics.items())
    ]  # fmt: skip
    queues.sort(key=lambda queue: queue.job_name)
    scheduled, retry, dead, next_scheduled, next_retry, executions = state[_SIZES]
    return Overview(
        at_ms / 1_000, queues, pools, scheduled, retry, dead, next_scheduled, next_retry, executions
    )


def sample_of(at_ms: int, state: Mapping[bytes, Any]) -> Sample:
    """Read the part of an overview that rates need; much faster than reading all of it.

    Raises:
        ValueError: The state is damaged.
    """
    depths: dict[str, int] = {}
    done: dict[str, int] = {}
    failed: dict[str, int] = {}
    for written, value in state.items():
        name = known_name(written)
        if name[0] == "q":
            depths[name[1]] = value[0]
        elif name[0] == "P":
            pool_id = name[1]
            beat = dict(zip(value[-1], state[key_of("p", pool_id)][1:], strict=True))
            done[pool_id] = beat.get("done", 0)
            failed[pool_id] = sum(beat.get(total, 0) for total in FAILED_TOTALS)
    sizes = state[_SIZES]
    return Sample(at_ms / 1_000, done, failed, sizes[5], depths, sizes[2])


def digest_event(digest: Digest, masks: Masks) -> list[Any] | None:
    """Write a digest, with errors in which secrets are hidden; None for an empty one."""
    if not digest.ran and not digest.failures:
        return None
    names = dict.fromkeys((*digest.ran, *digest.ended))
    counts = [
        [name, digest.ran.get(name, 0), digest.ended.get(name, 0), digest.failed.get(name, 0)]
        for name in names
    ]
    failures = [execution_row(record, masks) for record in digest.failures[:_FAILURES]]
    versions = sorted(digest.versions)[:_VERSIONS]
    return [counts, digest.wait_ms, digest.run_ms, failures, versions]


def execution_row(record: HistoryRecord, masks: Masks) -> tuple[Any, ...]:
    """Write an execution without args and check-ins, and without secrets."""
    try:
        args = json.loads(record.args) if record.args else None
    except (ValueError, RecursionError):
        args = None
    error = masks.text(record.error, args)[:_ERROR_CHARS]
    kept = replace(record, error=error, args=None, checkins=())
    return tuple(getattr(kept, name) for name in _RECORD_FIELDS)


def digest_of(event: Any) -> Digest:
    """Read a digest.

    Raises:
        ValueError: The event is damaged.
    """
    if event is None:
        return Digest()
    counts, wait_ms, run_ms, failures, versions = event
    return Digest(
        {name: ran for name, ran, _, _ in counts if ran},
        {name: ended for name, _, ended, _ in counts if ended},
        {name: failed for name, _, _, failed in counts if failed},
        wait_ms,
        run_ms,
        [execution_of(row) for row in failures],
        frozenset(versions),
    )


def execution_of(row: list[Any]) -> HistoryRecord:
    """Read an execution.

    Raises:
        ValueError: The row is damaged.
    """
    values = dict(zip(_RECORD_FIELDS, row, strict=True))
    return HistoryRecord(**{**values, "checkins": ()})
