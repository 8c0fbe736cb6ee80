"""The frames of queues and workers."""

from __future__ import annotations

from typing import Any

from workkit.admin.reader import Reader
from workkit.core.records import WorkerObservation
from workkit.errors import InvalidOption
from workkit.frames.extra import pa
from workkit.frames.recorded import is_recorded, queues_over_time
from workkit.frames.schema import schema, to_frame
from workkit.frames.sources import Source, as_reader
from workkit.frames.times import Time
from workkit.recording import Recording

__all__ = ["queues", "state_table", "workers"]


def queues(
    source: Source | Recording,
    *,
    since: Time | None = None,
    until: Time | None = None,
    every: str | float = "1m",
) -> Any:
    """Return all queues that were ever used, by name, with the columns of `schema("queues")`.

    Args:
        source: A `Client`, or a snapshot or its path. Of a recording or its path, the frame has the
            queues at many times, with one more column, ``at``.
        since: Of a recording: only from this time on, such as "2h" before its end.
        until: Of a recording: only up to this time.
        every: Of a recording: the time between two readings; 0 for each one that there is.

    Raises:
        InvalidOption: `since` or `until` was given, but the source has one time only; or an option
            is not valid.
    """
    if is_recorded(source):
        return queues_over_time(source, since, until, every)
    if since is not None or until is not None:
        raise InvalidOption("since and until need a recording; other sources have one time only")
    return to_frame(state_table(as_reader(source), "queues"), "queues")


def workers(source: Source) -> Any:
    """Return the workers of all registered pools, with the columns of `schema("workers")`.

    Args:
        source: A `Client`, or a snapshot or its path.
    """
    return to_frame(state_table(as_reader(source), "workers"), "workers")


def state_table(reader: Reader, name: str) -> Any:
    """Return queues or workers as an Arrow table."""
    rows = _queues(reader) if name == "queues" else _workers(reader)
    return pa.Table.from_pylist(rows, schema=schema(name).arrow())


def _queues(reader: Reader) -> list[dict[str, Any]]:
    return [
        {
            "name": queue.job_name,
            "count": queue.count,
            "latency": queue.latency * 1_000,
            "paused": queue.paused,
            "running": queue.running,
            "max_concurrency": queue.max_concurrency or None,
            "broken": queue.broken,
        }
        for queue in reader.queues()
    ]


def _workers(reader: Reader) -> list[dict[str, Any]]:
    beats = reader.worker_pool_heartbeats()
    seen = {found.worker_id: found for found in reader.worker_observations()}
    return [
        {
            "worker_id": worker_id,
            "pool_id": beat.worker_pool_id,
            "host": beat.host or None,
            "pid": beat.pid or None,
            "workkit": beat.version or None,
            "pool_started_at": _ms(beat.started_at),
            "heartbeat_at": _ms(beat.heartbeat_at),
            **_running(seen.get(worker_id)),
        }
        for beat in beats
        for worker_id in beat.worker_ids
    ]


def _running(found: WorkerObservation | None) -> dict[str, Any]:
    if found is None or not found.is_busy:
        return {"busy": False}
    return {
        "busy": True,
        "name": found.job_name or None,
        "job_id": found.job_id or None,
        "started_at": _ms(found.started_at),
        "args": found.args_json or None,
        "checkin": found.checkin or None,
        "checkin_at": _ms(found.checkin_at),
    }


def _ms(at_s: int) -> int | None:
    return at_s * 1_000 or None
