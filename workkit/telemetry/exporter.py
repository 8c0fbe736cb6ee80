"""The metrics of a namespace, for Prometheus.

Each scrape reads the namespace once. Its cost depends on the numbers of queues, pools and cron
entries, and never on that of jobs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from typing import Final

from workkit.core.clock import monotonic_s
from workkit.core.gauges import Gauges
from workkit.core.liveness import DEAD_S
from workkit.core.records import WorkerPoolHeartbeat
from workkit.engine.health import Health
from workkit.errors import ServerError, ServerRefused
from workkit.telemetry.prometheus import (
    Collector,
    CounterMetricFamily,
    GaugeMetricFamily,
    gauge,
)

__all__ = ["SCRAPE_S", "NamespaceCollector"]

_log = logging.getLogger("workkit")

#: A scrape that has not read the namespace by then answers without it, seconds. Prometheus waits
#: ten by default.
SCRAPE_S: Final = 5.0
#: The metrics of a queue: name, meaning, and the field of `QueueGauge`.
_OF_QUEUES: Final = (
    ("workkit_queue_jobs", "Jobs that wait in the queue.", "count"),
    (
        "workkit_queue_latency_seconds",
        "How long the oldest job of the queue has waited.",
        "latency_s",
    ),
    ("workkit_queue_paused", "Whether the queue is paused.", "paused"),
    ("workkit_queue_running", "Jobs of the queue that pools hold.", "running"),
    (
        "workkit_queue_limit",
        "How many jobs of the queue may run at once; 0 for no limit.",
        "max_concurrency",
    ),
    ("workkit_lock_drift", "The queue's lock, less the jobs that pools hold.", "lock_drift"),
)


class NamespaceCollector(Collector):
    """Reads a namespace at each scrape. Scrapes at the same time share one reading.

    Args:
        read: Reads the namespace, such as `Client.gauges`.
        clock_s: Returns monotonic seconds.
        within_s: How long a scrape may take, seconds.
    """

    def __init__(
        self,
        read: Callable[[], Gauges],
        *,
        clock_s: Callable[[], float] = monotonic_s,
        within_s: float = SCRAPE_S,
    ) -> None:
        self._read = read
        self._clock_s = clock_s
        self._within_s = within_s
        self._lock = threading.Lock()
        self._reading: Future[Gauges] | None = None
        self._away = ""
        self._beats: dict[str, tuple[int, float]] = {}
        self._ran: dict[tuple[str, str], int] = {}

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Read the namespace and yield its metrics; only `workkit_up` if it cannot be read."""
        gauges, key = self._gauges()
        wrong = [key] if key else []
        if gauges is not None:
            wrong = [key for queue in gauges.queues for key in queue.wrong_keys]
        yield gauge(
            "workkit_up",
            "Whether this scrape could read the namespace in Redis.",
            (),
            [((), float(gauges is not None))],
        )
        if wrong or gauges is not None:
            yield gauge(
                "workkit_key_broken", "A key of a wrong type; what it should say has no samples.",
                ("key",), (((key,), 1.0) for key in wrong),
            )  # fmt: skip
        if gauges is not None:
            yield from self._queues(gauges)
            yield from self._namespace(gauges)

    def health(self) -> Health:
        """Return the exporter's own health: it is ready unless the last scrape has failed."""
        away = self._away
        return Health("running", (), (f"the last scrape failed: {away}",) if away else ())

    def _gauges(self) -> tuple[Gauges | None, str]:
        """Read the namespace within the time limit, on a thread that may take longer.

        Returns:
            The numbers, or None; and the key of a wrong type because of which there are none, or
            "".
        """
        key = ""
        with self._lock:
            reading = self._reading
            if reading is None:
                reading = self._reading = Future()
                self._start(reading)
        try:
            gauges = reading.result(self._within_s)
        except NotInTimeError:
            self._says_away(f"no answer within {self._within_s:g} s")
        except ServerError as error:
            key = error.key if isinstance(error, ServerRefused) else ""
            self._says_away(str(error))
        except Exception as error:  # noqa: BLE001 - a reader of others; the next scrape tries again
            self._says_away(f"{type(error).__name__}: {error}")
        else:
            if self._away:
                self._away = ""
                _log.warning("metrics: the namespace can be read again")
            return gauges, ""
        return None, key

    def _start(self, reading: Future[Gauges]) -> None:
        thread = threading.Thread(
            target=self._fulfil, args=(reading,), name="workkit-scrape", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system refuses threads
            self._reading = None
            reading.set_exception(error)

    def _fulfil(self, reading: Future[Gauges]) -> None:
        try:
            gauges = self._read()
        except Exception as error:  # noqa: BLE001 - the scrape raises it
            self._reading = None
            reading.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - it would end the thread of the scrape
            self._reading = None
            reading.set_exception(RuntimeError(type(error).__name__))
        else:
            self._reading = None
            reading.set_result(gauges)

    def _says_away(self, why: str) -> None:
        if why != self._away:
            self._away = why
            _log.warning("metrics: %s; scrapes answer workkit_up 0 until it works", why)

    def _queues(self, gauges: Gauges) -> Iterator[GaugeMetricFamily]:
        for name, meaning, field in _OF_QUEUES:
            rows = ((queue.job_name, getattr(queue, field)) for queue in gauges.queues)
            yield gauge(
                name, meaning, ("queue",),
                (((queue,), number) for queue, number in rows if number is not None),
            )  # fmt: skip

    def _namespace(self, gauges: Gauges) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        sets = ("scheduled", "retry", "dead")
        yield gauge(
            "workkit_jobs", "Jobs in the scheduled, retry and dead sets.", ("state",),
            (((state,), getattr(gauges, state)) for state in sets),
        )  # fmt: skip
        pools = self._alive(gauges.pools)
        yield gauge("workkit_pools", "Pools with a heartbeat.", (), [((), len(pools))])
        workers = sum(pool.concurrency for pool in pools)
        yield gauge("workkit_workers", "Workers of these pools.", (), [((), workers)])
        busy = sum(_busy(pool, gauges) for pool in pools)
        yield gauge("workkit_workers_busy", "Workers that run a job.", (), [((), busy)])
        trimmed = CounterMetricFamily(
            "workkit_history_trimmed", "Executions that the bounds of history have removed."
        )
        trimmed.add_metric((), gauges.trimmed)
        yield trimmed
        yield gauge(
            "workkit_cron_last_run_timestamp_seconds",
            "The newest slot of the cron entry whose job has started.",
            ("name", "spec"), self._last_runs(gauges).items(),
        )  # fmt: skip

    def _alive(self, pools: list[WorkerPoolHeartbeat]) -> list[WorkerPoolHeartbeat]:
        """Return the pools whose heartbeat changes, by our own clock; a new one is believed."""
        now_s, beats = self._clock_s(), dict[str, tuple[int, float]]()
        for pool in pools:
            known = self._beats.get(pool.worker_pool_id)
            if known is None or known[0] != pool.heartbeat_at:
                known = (pool.heartbeat_at, now_s)
            beats[pool.worker_pool_id] = known
        self._beats = beats
        return [pool for pool in pools if now_s - beats[pool.worker_pool_id][1] <= DEAD_S]

    def _last_runs(self, gauges: Gauges) -> dict[tuple[str, ...], float]:
        """Return the newest known run of each entry: Redis forgets the states of old slots."""
        self._ran = {
            entry: max(filter(None, (at_s, self._ran.get(entry))), default=0)
            for entry, at_s in gauges.last_runs.items()
        }
        return {entry: at_s for entry, at_s in self._ran.items() if at_s}


def _busy(pool: WorkerPoolHeartbeat, gauges: Gauges) -> int:
    """Return how many workers of a pool run a job; a Go pool does not say, but its locks do."""
    busy = pool.totals.get("busy")
    return min(gauges.held.get(pool.worker_pool_id, 0), pool.concurrency) if busy is None else busy
