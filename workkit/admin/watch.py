"""Reads overviews repeatedly, and each time only what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from workkit.admin.steps import survey as survey_steps
from workkit.admin.steps.reads import epoch, heartbeats_of, observe_queues
from workkit.core.clock import Clock
from workkit.core.records import Overview, Queue, WorkerPoolHeartbeat
from workkit.store.calls import survey as survey_calls
from workkit.store.calls.survey import Survey
from workkit.store.connections.watching import WatchLink
from workkit.store.keys import Keys

__all__ = ["LiveWatch", "OverviewWatch"]

#: A pool that has sent a heartbeat is read again after this long, seconds. This must be less than
#: the 12 s after which a heartbeat is old, since the server announces a change only once.
_POOL_S: Final = 8.0


class OverviewWatch(Protocol):
    """Reads overviews of one namespace repeatedly. Only one thread may use it."""

    def overview(self) -> Overview:
        """Return the present overview."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class LiveWatch:
    """Watches a namespace on a server, through its own connection.

    The server announces the keys that change. So each overview reads only what has changed. If the
    server refuses to announce changes, each overview reads everything.

    Args:
        keys: The namespace.
        link: The connection.
        clock: The source of the time.
    """

    def __init__(self, keys: Keys, link: WatchLink, clock: Clock) -> None:
        self._keys = keys
        self._link = link
        self._clock = clock
        self._survey: Survey | None = None
        self._queues: dict[str, Queue] = {}
        self._pools: dict[str, WorkerPoolHeartbeat] = {}
        self._homes: Mapping[bytes, tuple[str, str]] = {}
        self._read_s: dict[str, float] = {}
        self._beaten: set[str] = set()
        self._taken_s = 0

    def close(self) -> None:
        """Close the connection. The next overview opens it again."""
        self._link.close()

    def overview(self) -> Overview:
        """Return an overview.

        Raises:
            ServerError: The server does not answer or refuses. The next overview reads everything.
        """
        now = self._clock.read()
        try:
            if not self._link.watches():
                return self._link.carry(survey_steps.overview(self._keys, now.epoch_ms))
            self._catch_up(now.epoch_s, now.monotonic_s)
        except BaseException:
            self._survey = None
            raise
        return self._seen(now.epoch_ms)

    def _catch_up(self, now_s: int, monotonic_s: float) -> None:
        """Read what has changed."""
        changed = self._link.changed()
        before = self._survey
        if changed is None or before is None:
            self._begin(now_s, monotonic_s)
            return
        homes = [self._homes[key] for key in changed if key in self._homes]
        kinds = {kind for kind, _ in homes}
        queues = {name for kind, name in homes if kind == "queue"}
        self._beaten |= {name for kind, name in homes if kind == "pool"}
        if "survey" in kinds:
            survey = self._survey = self._link.do(survey_calls.survey(self._keys))
            if survey.names != before.names or survey.pool_ids != before.pool_ids:
                self._begin(now_s, monotonic_s)
                return
        self._age(now_s)
        self._read_queues(queues, now_s)
        # The totals in heartbeats change only while jobs run. Otherwise the announcement is enough:
        # it shows that the pool is alive.
        wanted = {
            pool
            for pool in self._beaten
            if "survey" in kinds or monotonic_s - self._read_s.get(pool, 0) >= _POOL_S
        }
        self._read_pools(wanted, monotonic_s)
        for pool in self._beaten:
            self._pools[pool] = replace(self._pools[pool], heartbeat_at=now_s)

    def _begin(self, now_s: int, monotonic_s: float) -> None:
        """Read everything."""
        survey = self._survey = self._link.do(survey_calls.survey(self._keys))
        self._queues, self._pools, self._beaten = {}, {}, set()
        self._read_s = {}
        self._read_queues(survey.names, now_s)
        self._read_pools(survey.pool_ids, monotonic_s)
        self._homes = self._find_homes(survey)

    def _find_homes(self, survey: Survey) -> dict[bytes, tuple[str, str]]:
        """Map each key to what must be read again when it changes."""
        keys = self._keys
        sets = (keys.scheduled, keys.retry, keys.dead)
        plain = (keys.known_jobs, keys.worker_pools, keys.history_head, *sets)
        homes = dict.fromkeys(plain, ("survey", ""))
        for name in survey.names:
            queue = keys.queue(name, "")
            for key in (queue.jobs, queue.paused, queue.lock, queue.max_concurrency):
                homes[key] = ("queue", name)
        for pool_id in survey.pool_ids:
            homes[keys.pool(pool_id)] = ("pool", pool_id)
        return homes

    def _read_queues(self, names: set[str], now_s: int) -> None:
        for queue in self._link.carry(observe_queues(self._keys, sorted(names), now_s)):
            self._queues[queue.job_name] = queue
        self._taken_s = now_s

    def _age(self, now_s: int) -> None:
        """Add the time since the last overview to the latency of queues that have jobs."""
        passed = now_s - self._taken_s
        if passed > 0:
            for name, queue in self._queues.items():
                if queue.count:
                    self._queues[name] = replace(queue, latency=queue.latency + passed)

    def _read_pools(self, pool_ids: set[str], monotonic_s: float) -> None:
        for pool in self._link.carry(heartbeats_of(self._keys, sorted(pool_ids))):
            self._pools[pool.worker_pool_id] = pool
            self._read_s[pool.worker_pool_id] = monotonic_s
        self._beaten -= pool_ids

    def _seen(self, now_ms: int) -> Overview:
        survey = self._survey
        assert survey is not None  # noqa: S101 - it was read just now
        scheduled, retry = survey.next_scheduled, survey.next_retry
        return Overview(
            now_ms / 1_000,
            [self._queues[name] for name in sorted(self._queues)],
            [self._pools[pool] for pool in sorted(self._pools)],
            survey.scheduled,
            survey.retry,
            survey.dead,
            None if scheduled is None else epoch(scheduled),
            None if retry is None else epoch(retry),
            survey.executions,
        )
