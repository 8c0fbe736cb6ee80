"""History as queueing theory has it: jobs that arrive at random, and the first free worker."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pandas as pd

from workkit.frames.schema import conform, schema

__all__ = ["history_of", "lognormal", "queue"]


def queue(arrivals_s: Any, runs_s: Any, workers: int) -> tuple[Any, Any]:
    """Return when each job starts, and on which worker; the first to come is the first to run."""
    free = [(0.0, worker) for worker in range(workers)]
    starts, who = np.empty(len(arrivals_s)), np.empty(len(arrivals_s), dtype="int64")
    for n, (at, run) in enumerate(zip(arrivals_s, runs_s, strict=True)):
        idle_at, worker = heapq.heappop(free)
        starts[n], who[n] = max(at, idle_at), worker
        heapq.heappush(free, (starts[n] + run, worker))
    return starts, who


def lognormal(draw: np.random.Generator, mean_s: float, variation: float, count: int) -> Any:
    """Return times of a mean and a squared coefficient of variation."""
    shape = np.log(1 + variation)
    return draw.lognormal(np.log(mean_s) - shape / 2, np.sqrt(shape), count)


def history_of(arrivals_s: Any, starts_s: Any, runs_s: Any, **columns: Any) -> Any:
    """Make a frame of history; further columns replace those of jobs that are done."""
    count = len(arrivals_s)
    made = pd.DataFrame(dict.fromkeys(schema("history").names), index=range(count))
    waits_ms = np.round((np.asarray(starts_s) - arrivals_s) * 1_000)
    runs_ms = np.round(np.asarray(runs_s) * 1_000)
    enqueued_ms = np.round(np.asarray(arrivals_s) * 1_000)
    made["job_id"] = [f"j{n}" for n in range(count)]
    made["name"], made["outcome"], made["fails"] = "mail", "done", 0
    for name, ms in (
        ("enqueued_at", enqueued_ms),
        ("started_at", enqueued_ms + waits_ms),
        ("finished_at", enqueued_ms + waits_ms + runs_ms),
    ):
        made[name] = pd.to_datetime(ms.astype("int64"), unit="ms", utc=True)
    made["wait"] = pd.to_timedelta(waits_ms, unit="ms")
    made["run"] = pd.to_timedelta(runs_ms, unit="ms")
    for name, values in columns.items():
        made[name] = values
    return conform(made, "history")
