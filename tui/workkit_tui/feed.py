"""Reads the namespace on a thread, less often while nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from workkit.admin.attention import Concern, concerns
from workkit.admin.notices.notices import Notices
from workkit.admin.notices.sight import Sight, drifts
from workkit.admin.obstacles import takers
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.trends import Digest, Trends
from workkit.admin.watch import OverviewWatch
from workkit.core.gauges import Gauges
from workkit.core.records import Overview
from workkit_tui.model.following import Following

__all__ = ["Feed", "Numbers", "View"]

#: Longest time between two readings while nothing changes, seconds.
_SLOWEST_S: Final = 10.0
_SLOWER: Final = 1.5


@runtime_checkable
class Numbers(Reader, Protocol):
    """A reader that also knows the numbers that conditions compare: a `Client`."""

    def gauges(self) -> Gauges:
        """Return the numbers of the namespace for monitoring."""
        ...

    def deaths(self, periods_s: Collection[float]) -> dict[float, int]:
        """Return how many jobs died in each of some periods up to now."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """One reading of the namespace.

    Attributes:
        seen: The overview.
        trends: Rates and recent executions up to then.
        concerns: The concerns, the worst first.
        takers: Job name → how many workers of live pools take its jobs.
        recent: A sample of the last executions, the newest first.
        gathered: The data that the screen asked for.
        digest: The executions since the reading before.
        sight: What notices compare; None without notices.
    """

    seen: Overview
    trends: Trends
    concerns: list[Concern]
    takers: Mapping[str, int]
    recent: list[HistoryRecord] = field(default_factory=list)
    gathered: Any = None
    digest: Digest = field(default_factory=Digest)
    sight: Sight | None = None


@dataclass(slots=True)
class Feed:
    """Reads views, and tells when the next one is due.

    Attributes:
        reader: Reads the namespace.
        refresh_s: Seconds between two readings while something changes.
        trends: Updated with each reading.
        notices: What the user wants to be told of; None for nothing.
        followed: The jobs that are followed until they end.
    """

    reader: Reader
    refresh_s: float
    trends: Trends = field(default_factory=Trends)
    notices: Notices | None = None
    followed: tuple[Following, ...] = ()
    _watch: OverviewWatch | None = None
    _executions: int = 0
    _quiet: int = 0
    _before: tuple[Any, ...] = ()

    def look(self, gather: Callable[[Reader, Overview], Any]) -> View:
        """Read a view; blocks, so it is called on a thread.

        Args:
            gather: Reads the data that the screen needs in addition to the overview.

        Raises:
            ServerError: The server does not answer, or refuses.
        """
        if self._watch is None:
            self._watch = self.reader.watch()
        seen = self._watch.overview()
        recent: list[HistoryRecord] = []
        if seen.executions != self._executions:
            recent, self._executions = self.reader.recent_history(), seen.executions
        digest = self.trends.add(seen, recent)
        for following in self.followed:
            following.step(self.reader, seen)
        gathered = gather(self.reader, seen)
        sight = self._sight(seen, recent)
        now = _substance(seen)
        self._quiet = self._quiet + 1 if now == self._before and not self.followed else 0
        self._before = now
        taken = takers(seen)
        found = concerns(seen, self.trends, taken)
        return View(seen, self.trends, found, taken, recent, gathered, digest, sight)

    def _sight(self, seen: Overview, recent: list[HistoryRecord]) -> Sight | None:
        """Read what the notices compare, beyond the overview."""
        notices, reader = self.notices, self.reader
        if notices is None or not isinstance(reader, Numbers):
            return None
        wanted = notices.measures
        return Sight(
            seen,
            recent,
            reader.cron() if "cron.missed" in wanted else [],
            drifts(reader.gauges()) if "lock.drift" in wanted else {},
            reader.deaths(notices.periods_s),
        )

    def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            self._watch.close()

    def wake(self) -> None:
        """Return to the chosen interval after a key was pressed."""
        self._quiet = 0

    @property
    def wait_s(self) -> float:
        """Seconds until the next reading."""
        if not self._quiet:
            return self.refresh_s
        slowed_s = self.refresh_s * _SLOWER ** min(self._quiet, 20)
        return max(min(slowed_s, _SLOWEST_S), self.refresh_s)


def _substance(seen: Overview) -> tuple[Any, ...]:
    """Return the parts that show a change; heartbeats and ages are left out."""
    return (
        [(q.job_name, q.count, q.running, q.paused, q.max_concurrency) for q in seen.queues],
        [(pool.worker_pool_id, dict(pool.totals)) for pool in seen.pools],
        (seen.scheduled, seen.retry, seen.dead, seen.executions),
    )
