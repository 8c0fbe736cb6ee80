"""Histories that are written by hand, as frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from workkit.core.entropy import Entropy
from workkit.frames.schema import conform, schema

__all__ = ["START_MS", "arrivals", "past_of", "served", "waits_s"]

START_MS = 1_800_000_000_000


def past_of(rows: Iterable[dict[str, Any]]) -> Any:
    """Return a frame of history. Times are seconds after a fixed start.

    A row has "at" (when it entered its queue), "run", and optionally "start" (at once by default),
    "job_id", and any column of the frame.
    """
    made = []
    for number, row in enumerate(rows):
        start_s = row.get("start", row["at"])
        record = dict.fromkeys(schema("history").names) | {
            "job_id": f"{number:024x}", "name": "work", "outcome": "done", "fails": 0,
            "worker_id": "w1", "pool_id": "p1", "host": "h1",
            "enqueued_at": _time(row["at"]), "started_at": _time(start_s),
            "finished_at": _time(start_s + row["run"]),
            "wait": pd.Timedelta(start_s - row["at"], unit="s"),
            "run": pd.Timedelta(row["run"], unit="s"),
        }  # fmt: skip
        record |= {key: value for key, value in row.items() if key not in {"at", "run", "start"}}
        made.append(record)
    return conform(pd.DataFrame(made), "history")


def _time(seconds: float) -> Any:
    return pd.Timestamp(START_MS + round(1_000 * seconds), unit="ms", tz="UTC").as_unit("ms")


def served(jobs: Sequence[tuple[float, float]], workers: int) -> list[tuple[float, int]]:
    """Serve jobs in their order, as theory has it; return the wait and the worker of each.

    Args:
        jobs: When each job arrives, and how long it runs, seconds.
        workers: How many serve.
    """
    free = [(0.0, worker) for worker in range(workers)]
    found = []
    for at, run in jobs:
        free_at, worker = min(free)
        start = max(at, free_at)
        found.append((start - at, worker))
        free[free.index((free_at, worker))] = (start + run, worker)
    return found


def arrivals(count: int, per_s: float, run_s: float, seed: str = "m") -> list[tuple[float, float]]:
    """Draw jobs that arrive at random, and whose run times are spread as widely."""
    entropy, at, jobs = Entropy(seed), 0.0, []
    for _ in range(count):
        at += entropy.uniform(0, 2 / per_s)
        jobs.append((round(at, 3), round(entropy.uniform(0.001, 2 * run_s), 3)))
    return jobs


def waits_s(frame: Any) -> list[float]:
    """Return the waits of a frame in the order of its job ids, seconds."""
    return [round(each.total_seconds(), 3) for each in frame.sort_values("job_id")["wait"]]
