"""How many workers are busy: from the heartbeats of pools, or from their workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from workkit.core.records import WorkerObservation, WorkerPoolHeartbeat

__all__ = ["busy_workers", "unreported_workers"]

#: The most workers that are read one by one; it stays unknown how many of the others are busy.
_MOST: Final = 2_000


def unreported_workers(pools: Iterable[WorkerPoolHeartbeat]) -> list[str]:
    """Return the workers of pools whose heartbeats lack the number of busy ones: Go pools."""
    found: list[str] = []
    for pool in pools:
        if "busy" not in pool.totals and len(found) + len(pool.worker_ids) <= _MOST:
            found += pool.worker_ids
    return found


def busy_workers(
    pools: Iterable[WorkerPoolHeartbeat],
    asked: Iterable[str],
    observed: Sequence[WorkerObservation],
) -> dict[str, int]:
    """Return pool id → how many of its workers are busy, for the pools where that is known.

    Args:
        pools: The pools.
        asked: The workers whose observations were read, such as those of `unreported_workers`.
        observed: Their observations; those of idle workers may be left out.
    """
    known = set(asked)
    running = {each.worker_id for each in observed if each.is_busy}
    busy: dict[str, int] = {}
    for pool in pools:
        if "busy" in pool.totals:
            busy[pool.worker_pool_id] = pool.totals["busy"]
        elif known.issuperset(pool.worker_ids):
            busy[pool.worker_pool_id] = len(running.intersection(pool.worker_ids))
    return busy
