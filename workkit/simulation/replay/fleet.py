"""The fleet that history shows: which pools ran together, with how many workers, for which jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any, Final

from workkit.admin.reader import Reader

__all__ = ["Group", "read_fleet", "read_pause_ms", "read_pickup_ms", "sized"]

#: A longer pick-up or pause has another reason, such as a limit or a paused queue.
_MOST_MS: Final = 50


@dataclass(frozen=True, slots=True)
class Group:
    """Pools that handle the same jobs.

    Attributes:
        names: The names of the jobs.
        concurrency: How many handlers each pool runs at once, pool by pool.
    """

    names: frozenset[str]
    concurrency: tuple[int, ...]


@dataclass(slots=True)
class _Pool:
    """A pool, from its first to its last record."""

    names: set[str]
    concurrency: int
    first: Any
    last: Any


def read_fleet(history: Any, reader: Reader | None = None) -> list[Group]:
    """Find the pools of a history.

    Pools that share the name of a job form a group. A group has as many pools as were at work when
    a job of it started, in the median. A pool has as many workers as history has seen at work, or
    as its heartbeat says.

    Args:
        history: A frame of history in which a job has run.
        reader: The source of the history, for the heartbeats of pools that are still registered.
    """
    ran = history[history["started_at"].notna() & history["pool_id"].notna()]
    pools = _seen(ran)
    if not pools:
        return [Group(frozenset(ran["name"].dropna().astype(str)), (1,))]
    for beat in reader.worker_pool_heartbeats() if reader is not None else ():
        if (pool := pools.get(beat.worker_pool_id)) is not None:
            pool.concurrency = max(beat.concurrency, 1)
            pool.names.update(beat.job_names)
    groups = [_group(members, ran) for members in _joined(pools)]
    return sorted(groups, key=lambda group: sorted(group.names))


def sized(groups: Sequence[Group], concurrency: int | None, processes: int | None) -> list[Group]:
    """Return groups of other sizes.

    Args:
        groups: The groups.
        concurrency: How many handlers each pool runs at once; None leaves it.
        processes: How many pools each group has; None leaves it.
    """
    changed = []
    for group in groups:
        pools = group.concurrency
        if processes is not None:
            pools = tuple(pools[at % len(pools)] for at in range(processes))
        if concurrency is not None:
            pools = (concurrency,) * len(pools)
        changed.append(replace(group, concurrency=pools))
    return changed


def _seen(ran: Any) -> dict[str, _Pool]:
    found = ran.groupby(ran["pool_id"].astype(str), sort=False).agg(
        names=("name", lambda values: set(values.astype(str))),
        workers=("worker_id", "nunique"),
        first=("started_at", "min"),
        last=("finished_at", "max"),
    )
    return {
        str(row.Index): _Pool(row.names, max(int(row.workers), 1), row.first, row.last)
        for row in found.itertuples()
    }


def _joined(pools: dict[str, _Pool]) -> list[dict[str, _Pool]]:
    """Put pools together that share a name, however indirectly."""
    groups: list[tuple[set[str], dict[str, _Pool]]] = []
    for pool_id, pool in pools.items():
        names, members = set(pool.names), {pool_id: pool}
        apart = []
        for other_names, others in groups:
            if names & other_names:
                names |= other_names
                members = {**others, **members}
            else:
                apart.append((other_names, others))
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _group(members: dict[str, _Pool], ran: Any) -> Group:
    names = frozenset[str]().union(*(pool.names for pool in members.values()))
    starts = ran.loc[ran["pool_id"].astype(str).isin(members.keys()), "started_at"]
    present = list(members.values())
    if len(present) > 1:
        # A thousand moments show the usual number of pools; all of them would cost a look each.
        moments = starts.sort_values().iloc[:: max(len(starts) // 1_000, 1)]
        looks = [
            [pool for pool in members.values() if pool.first <= moment <= pool.last]
            for moment in moments
        ]
        usual = median_low([len(look) for look in looks])
        present = max(
            (look for look in looks if len(look) == usual),
            key=lambda look: sum(pool.concurrency for pool in look),
        )
    return Group(names, tuple(pool.concurrency for pool in present))


def read_pickup_ms(history: Any, groups: Sequence[Group]) -> int:
    """Return how long an idle fleet takes to start a job, in the median, milliseconds.

    This is the time of the network, of the server and of the pool's own code, which take no time in
    a simulation. It is measured at the jobs that arrived while fewer jobs waited and ran than there
    are workers. Without any, it is 0.
    """
    import numpy as np

    jobs = history[history["wait"].notna()]
    enqueued, started = (
        jobs[name].astype("int64").to_numpy() for name in ("enqueued_at", "started_at")
    )
    finished = np.sort(jobs["finished_at"].astype("int64").to_numpy())
    present = np.searchsorted(np.sort(enqueued), enqueued, "left") - np.searchsorted(
        finished, enqueued, "right"
    )
    workers = sum(sum(group.concurrency) for group in groups)
    waits = np.maximum(started - enqueued, 0)[present < workers]
    waits = waits[waits <= _MOST_MS]
    return int(np.median(waits)) if len(waits) else 0


def read_pause_ms(history: Any) -> float:
    """Return how long a worker pauses between two jobs while jobs wait: the median, milliseconds.

    The pool's own code takes this time, which is none in a simulation. Where nearly all workers are
    busy all the time, it decides how fast a queue grows.
    """
    import numpy as np

    ran = history[history["wait"].notna() & history["worker_id"].notna()]
    ran = ran.sort_values("started_at", kind="stable")
    before = ran.groupby("worker_id", observed=True)["finished_at"].shift()
    waited = before.notna() & (ran["enqueued_at"] < before)
    pauses = (ran["started_at"] - before)[waited].dt.total_seconds().to_numpy() * 1_000
    pauses = pauses[(pauses >= 0) & (pauses <= _MOST_MS)]
    return float(np.median(pauses)) if len(pauses) else 0.0
