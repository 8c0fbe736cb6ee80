"""A trace in the format of Chrome and Perfetto: open it at https://ui.perfetto.dev."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from workkit.simulation.viewing.spans import Timeline, read_timeline

if TYPE_CHECKING:
    from workkit.simulation.trace import Event

__all__ = ["perfetto"]

#: The process of what concerns no pool.
_WORLD = 0


def perfetto(events: Iterable[Event]) -> str:
    """Return a trace as JSON: a process for each pool, a thread for each of its rows."""
    made = read_timeline(events)
    rows = [*_names(made), *_runs(made), *_marks(made), *_waiting(made)]
    return json.dumps(
        {"displayTimeUnit": "ms", "traceEvents": rows}, ensure_ascii=True, separators=(",", ":")
    )


def _names(made: Timeline) -> Iterator[dict[str, Any]]:
    for pid, name in enumerate(["queues and Redis", *made.pools]):
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0,
               "args": {"sort_index": pid}}  # fmt: skip
    for pool, rows in enumerate(made.rows, 1):
        for row in range(rows):
            yield {"ph": "M", "name": "thread_name", "pid": pool, "tid": row + 1,
                   "args": {"name": f"worker {row + 1}"}}  # fmt: skip


def _runs(made: Timeline) -> Iterator[dict[str, Any]]:
    for run in made.runs:
        args = {"job": run.job_id, "outcome": run.outcome}
        if run.detail:
            args["detail"] = run.detail
        yield {
            "ph": "X", "name": run.name, "cat": run.outcome, "pid": run.pool + 1,
            "tid": run.row + 1, "ts": run.start_us, "dur": run.end_us - run.start_us, "args": args,
        }  # fmt: skip


def _marks(made: Timeline) -> Iterator[dict[str, Any]]:
    for mark in made.marks:
        place: dict[str, Any] = {"pid": mark.pool + 1, "tid": 0, "cat": mark.kind}
        if mark.for_us:
            yield {"ph": "X", "name": mark.text, "ts": mark.at_us, "dur": mark.for_us, **place}
        else:
            scope = "g" if mark.pool < 0 else "p"
            yield {"ph": "i", "name": mark.text, "ts": mark.at_us, "s": scope, **place}


def _waiting(made: Timeline) -> Iterator[dict[str, Any]]:
    for at_us, count in made.waiting:
        yield {"ph": "C", "name": "waiting jobs", "pid": _WORLD, "ts": at_us,
               "args": {"jobs": count}}  # fmt: skip
