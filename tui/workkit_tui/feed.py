"""Looks at the namespace, on a thread of its own, as often as is worth it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.watch import OverviewWatch
from workkit.core.records import Overview
from workkit_tui.model.attention import Concern, concerns, takers
from workkit_tui.model.trends import Trends

__all__ = ["Feed", "View"]

#: While nothing changes, looks become rarer, up to this many seconds apart.
_SLOWEST_S: Final = 10.0
_SLOWER: Final = 1.5


@dataclass(frozen=True, slots=True)
class View:
    """One look.

    Attributes:
        seen: What was read.
        trends: What has changed until then.
        concerns: What needs attention, the worst first.
        takers: Name → how many workers of live pools take jobs of it.
        recent: A sample of what ran last, the newest first.
        gathered: What the screen asked for beside it.
    """

    seen: Overview
    trends: Trends
    concerns: list[Concern]
    takers: Mapping[str, int]
    recent: list[HistoryRecord] = field(default_factory=list)
    gathered: Any = None


@dataclass(slots=True)
class Feed:
    """Reads views, and says when the next one is due.

    Attributes:
        reader: What is looked at.
        refresh_s: Seconds between two looks while something happens.
        trends: Grow with each look.
    """

    reader: Reader
    refresh_s: float
    trends: Trends = field(default_factory=Trends)
    _watch: OverviewWatch | None = None
    _executions: int = 0
    _quiet: int = 0
    _before: tuple[Any, ...] = ()

    def look(self, gather: Callable[[Reader, Overview], Any]) -> View:
        """Read a view; blocks, so it is called on a thread.

        Args:
            gather: Reads what the screen needs beside the overview.

        Raises:
            ServerError: The server does not answer, or refuses.
        """
        if self._watch is None:
            self._watch = self.reader.watch()
        seen = self._watch.overview()
        recent: list[HistoryRecord] = []
        if seen.executions != self._executions:
            recent, self._executions = self.reader.recent_history(), seen.executions
        self.trends.add(seen, recent)
        gathered = gather(self.reader, seen)
        now = _substance(seen)
        self._quiet = self._quiet + 1 if now == self._before else 0
        self._before = now
        taken = takers(seen)
        found = concerns(seen, self.trends, taken)
        return View(seen, self.trends, found, taken, recent, gathered)

    def close(self) -> None:
        """Let go of the server."""
        if self._watch is not None:
            self._watch.close()

    def wake(self) -> None:
        """Look as often as asked for again, since somebody is at the keyboard."""
        self._quiet = 0

    @property
    def wait_s(self) -> float:
        """Seconds until the next look."""
        if not self._quiet:
            return self.refresh_s
        slowed_s = self.refresh_s * _SLOWER ** min(self._quiet, 20)
        return max(min(slowed_s, _SLOWEST_S), self.refresh_s)


def _substance(seen: Overview) -> tuple[Any, ...]:
    """Return what counts as a change; heartbeats and ages do not."""
    return (
        [(q.job_name, q.count, q.running, q.paused, q.max_concurrency) for q in seen.queues],
        [(pool.worker_pool_id, dict(pool.totals)) for pool in seen.pools],
        (seen.scheduled, seen.retry, seen.dead, seen.executions),
    )
