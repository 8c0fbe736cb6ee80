"""The frame of queues over time, from a recording."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from workkit.core.text import read_span
from workkit.errors import InvalidOption
from workkit.frames.checks import is_number
from workkit.frames.extra import pa
from workkit.frames.schema import schema, to_frame
from workkit.frames.times import Time, epoch_s
from workkit.recording import Recording, is_recording

__all__ = ["is_recorded", "queues_over_time"]

_AT: Final = "at"


def is_recorded(source: object) -> bool:
    """Tell whether a source is a recording, or the path of one."""
    if isinstance(source, Recording):
        return True
    return (
        isinstance(source, (str, os.PathLike)) and Path(source).is_file() and is_recording(source)
    )


@contextmanager
def _opened(source: Any) -> Iterator[Recording]:
    if isinstance(source, Recording):
        yield source
        return
    with closing(Recording(source)) as recording:
        yield recording


def queues_over_time(
    source: Any, since: Time | None, until: Time | None, every: str | float
) -> Any:
    """Return the queues at many times of a recording.

    Args:
        source: A recording, or its path.
        since: Only readings from this time on; a span such as "2h" is before the last reading.
        until: Only readings up to this time.
        every: The time between two readings, such as "1m" or seconds; 0 for each one that there is.

    Returns:
        The columns of `schema("queues")`, and ``at``, the time of the reading.

    Raises:
        InvalidOption: A time or a span is not valid, or the recording is damaged.
    """
    every_s = _seconds(every)
    wanted = schema("queues")
    columns: dict[str, list[Any]] = {name: [] for name in (*wanted.names, _AT)}
    with _opened(source) as recording:
        low, high = recording.span or (0.0, 0.0)
        from_s, until_s = epoch_s(since, high), epoch_s(until, high)
        readings = recording.overviews(
            low if from_s is None else from_s,
            high if until_s is None else until_s,
            every_s=every_s,
        )
        for seen, _ in readings:
            at_ms = round(seen.taken_at * 1_000)
            for queue in seen.queues:
                columns["name"].append(queue.job_name)
                columns["count"].append(queue.count)
                columns["latency"].append(queue.latency * 1_000)
                columns["paused"].append(queue.paused)
                columns["running"].append(queue.running)
                columns["max_concurrency"].append(queue.max_concurrency or None)
                columns["broken"].append(queue.broken)
                columns[_AT].append(at_ms)
    table = pa.table(
        columns, schema=wanted.arrow().append(pa.field(_AT, pa.timestamp("ms", tz="UTC")))
    )
    frame = to_frame(table, "queues")
    # As in the other frames, the unit does not depend on whether there are rows.
    frame[_AT] = frame[_AT].astype("datetime64[ms, UTC]")
    return frame


def _seconds(span: str | float) -> float:
    if is_number(span) and 0 <= span < float("inf"):  # type: ignore[operator]
        return float(span)
    found = read_span(span.strip()) if isinstance(span, str) else None
    if found is None:
        raise InvalidOption(f"every must be a span of time such as '1m' or 10, not {span!r}")
    return found[0]
