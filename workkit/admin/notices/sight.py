"""Reads what conditions compare: one sight of a namespace, in a few round trips."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from workkit import cron
from workkit.admin.live import LiveReader
from workkit.admin.obstacles import takers
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.watch import OverviewWatch
from workkit.core.gauges import Gauges
from workkit.core.liveness import is_silent
from workkit.core.records import CronEntry, Overview
from workkit.errors import InvalidSpec

__all__ = ["Lookout", "Sight", "drifts", "missed_s"]

#: An entry that no pool has declared for this long is retired: its slots are not planned.
_RETIRED_S: Final = 90
#: How far to search for the first slot after a time, seconds.
_FAR_S: Final = 2**40


@dataclass(frozen=True, slots=True)
class Sight:
    """The state of a namespace, as far as conditions compare it.

    Attributes:
        seen: The overview.
        recent: A sample of the last executions, the newest first.
        cron: The cron entries.
        drifts: Queue → by how much its lock differs from the counts of the pools.
        deaths: Period in seconds → how many jobs of the dead set died in it.
    """

    seen: Overview
    recent: list[HistoryRecord] = field(default_factory=list)
    cron: list[CronEntry] = field(default_factory=list)
    drifts: Mapping[str, int] = field(default_factory=dict)
    deaths: Mapping[float, int] = field(default_factory=dict)

    def values(
        self, measure: str, period_s: float = 0.0, *, named: bool = False
    ) -> Mapping[str, float]:
        """Return the values of a measure: queue or cron job → value; "" → value for a namespace.

        Args:
            measure: The name of the measure.
            period_s: For a rate: the period, seconds. It must have been read.
            named: Whether a person has named the cron job, so that it is expected to run.
        """
        seen = self.seen
        if measure.startswith("queue."):
            return self._queues(measure)
        if measure == "cron.missed":
            return self._missed(named=named)
        if measure == "lock.drift":
            return {queue.job_name: 0 for queue in seen.queues} | dict(self.drifts)
        silent = sum(is_silent(pool.heartbeat_at, seen.taken_at) for pool in seen.pools)
        if measure == "scheduled.late":
            return {"": _late_s(seen.next_scheduled_at, seen.taken_at)}
        if measure == "retry.late":
            return {"": _late_s(seen.next_retry_at, seen.taken_at)}
        if measure == "dead.rate":
            return {"": self.deaths[period_s]}
        return {
            "": {
                "dead.count": seen.dead,
                "pools.silent": silent,
                "pools.alive": len(seen.pools) - silent,
            }[measure]
        }

    def _queues(self, measure: str) -> Mapping[str, float]:
        taken = takers(self.seen)
        return {
            queue.job_name: {
                "queue.latency": queue.latency if queue.count else 0,
                "queue.count": queue.count,
                "queue.unserved": 0 if taken[queue.job_name] else queue.count,
                "queue.paused": queue.count if queue.paused else 0,
            }[measure]
            for queue in self.seen.queues
        }

    def _missed(self, *, named: bool) -> Mapping[str, float]:
        """Return how late each cron job is.

        If pools run and none of them declares an entry, it was probably removed from the code. So
        it is late only if a person has named it.
        """
        late: dict[str, float] = {}
        anybody = any(
            pool.version and not is_silent(pool.heartbeat_at, self.seen.taken_at)
            for pool in self.seen.pools
        )
        for entry in self.cron:
            retired = anybody and self.seen.taken_at - entry.seen_at > _RETIRED_S
            late_s = 0.0 if retired and not named else missed_s(entry, self.seen.taken_at)
            late[entry.job_name] = max(late_s, late.get(entry.job_name, 0.0))
        return late


def _late_s(due_s: int | None, now_s: float) -> float:
    return max(now_s - due_s, 0.0) if due_s is not None else 0.0


def missed_s(entry: CronEntry, now_s: float) -> float:
    """Return how long a slot of an entry has been due without a pool that has queued its job.

    Args:
        entry: The entry.
        now_s: The time, epoch seconds.

    Returns:
        Seconds; 0 if no slot is late.
    """
    if entry.last_state == "scheduled" and entry.last_slot is not None:
        return max(now_s - entry.last_slot, 0.0)
    # Pools plan minutes ahead. If the plan ends in the past, the slots after it are not planned.
    if not 0 < entry.planned_until < now_s:
        return 0.0
    try:
        slots = cron.parse(entry.spec).upcoming(entry.planned_until, entry.planned_until + _FAR_S)
    except InvalidSpec:
        return 0.0
    return max(now_s - next(iter(slots), int(now_s)), 0.0)


def drifts(gauges: Gauges) -> dict[str, int]:
    """Return the queues whose lock differs, and by how much."""
    return {each.job_name: abs(each.lock_drift) for each in gauges.queues if each.lock_drift}


class Lookout(LiveReader):
    """Reads sights of a namespace. Only one thread may use it.

    Every method raises `ServerError` if Redis does not answer or refuses.
    """

    _watch: OverviewWatch | None = None
    _executions = 0

    def look(self, measures: Collection[str], periods_s: Collection[float]) -> Sight:
        """Read a sight.

        Args:
            measures: The measures that it must have; "attention" for the list of concerns.
            periods_s: The periods of rates, seconds.
        """
        if self._watch is None:
            self._watch = self.watch()
        seen = self._watch.overview()
        recent: list[HistoryRecord] = []
        if "attention" in measures and seen.executions != self._executions:
            recent, self._executions = self.recent_history(), seen.executions
        return Sight(
            seen,
            recent,
            self.cron() if "cron.missed" in measures else [],
            self._drifts() if "lock.drift" in measures else {},
            self.deaths(periods_s),
        )

    def _drifts(self) -> Mapping[str, int]:
        """Return the queues whose lock differs, by the rule of the exporter, and by how much."""
        return drifts(self.gauges())

    def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            self._watch.close()
        super().close()
