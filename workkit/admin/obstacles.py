"""The reasons why a queue stands still: one rule for all instruments."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal, TypeAlias

from workkit.core.liveness import is_silent
from workkit.core.records import Overview, Queue

__all__ = ["OBSTACLES", "Obstacle", "obstacles", "takers"]

#: "broken": a key has a wrong type. "no worker": no live pool handles the jobs. "full": the
#: concurrency limit is reached.
Obstacle: TypeAlias = Literal["broken", "paused", "no worker", "full"]
#: Each obstacle, and whether it is a fault ("bad") or may be intended ("warn").
OBSTACLES: Final[dict[Obstacle, Literal["bad", "warn"]]] = {
    "broken": "bad", "paused": "warn", "no worker": "bad", "full": "warn",
}  # fmt: skip


def takers(seen: Overview) -> Counter[str]:
    """Return how many workers of live pools handle the jobs of each name."""
    found: Counter[str] = Counter()
    for pool in seen.pools:
        if not is_silent(pool.heartbeat_at, seen.taken_at):
            for name in pool.job_names:
                found[name] += pool.concurrency
    return found


def obstacles(queue: Queue, workers: int | None) -> list[Obstacle]:
    """Return the reasons why no more jobs of a queue run, the most decisive first.

    Args:
        queue: The queue.
        workers: How many workers of live pools handle its jobs; None if unknown.
    """
    found: list[Obstacle] = []
    if queue.broken:
        found.append("broken")
    if queue.paused:
        found.append("paused")
    if workers == 0 and queue.count:
        found.append("no worker")
    if 0 < queue.max_concurrency <= queue.running:
        found.append("full")
    return found
