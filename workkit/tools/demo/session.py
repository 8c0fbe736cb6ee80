"""One run of the demo: enqueue, process, wait for the end, and collect the account."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from workkit.client import Client
from workkit.core.clock import Instant, SystemClock
from workkit.core.job import Job
from workkit.core.records import Overview
from workkit.engine.process.signals import SignalEvent
from workkit.enqueuer import Enqueuer
from workkit.errors import PoolState
from workkit.pool import WorkerPool
from workkit.tools.demo.account import Account
from workkit.tools.demo.display import DemoDisplay
from workkit.tools.demo.handlers import CRON_JOB, PARSING, DemoState, build_pool, files_left
from workkit.tools.demo.workload import LARGE_BYTES, Workload

__all__ = ["DemoSession"]

#: Seconds between two looks at the namespace.
_LOOK_S: Final = 0.2
#: How long handlers may go on after Ctrl-C, seconds.
_STOP_S: Final = 2.0
#: The run ends after this many looks in a row that find nothing to do, if no execution ends in
#: between. A job that moves during one look is seen by the next one, or it ends, and ends are
#: counted.
_QUIET_LOOKS: Final = 3


@dataclass(slots=True)
class DemoSession:
    """A run on one server, in one namespace.

    Attributes:
        redis: The server's URL.
        namespace: Prefix of all Redis keys.
        workload: The files to process.
        concurrency: How many handlers run at once.
        display: Where it is shown.
        stop: Set to end the run early.
    """

    redis: str
    namespace: str
    workload: Workload
    concurrency: int
    display: DemoDisplay
    stop: threading.Event | SignalEvent
    _state: DemoState = field(init=False)

    def __post_init__(self) -> None:
        enqueuer = Enqueuer(self.namespace, self.redis)
        client = Client(self.namespace, self.redis)
        self._state = DemoState(self.workload.files, enqueuer, client)

    def run(self) -> Account:
        """Process everything, or as much as possible until `stop` is set.

        Raises:
            ServerError: The server does not answer or refuses.
            PoolState: The pool ended by itself.
        """
        state, client = self._state, self._state.client
        with self.display, self._running() as pool:
            began = SystemClock().read()
            self._enqueue()
            complete = self._watch(pool, began)
        history, dead = list(client.history()), list(client.iter_dead_jobs())
        trimmed, began_ms = client.history_extent().trimmed, began.epoch_ms
        return Account(
            self.workload, state, history, trimmed, dead, pool.totals, began_ms, complete
        )

    def go_on(self) -> None:
        """Process the jobs that others enqueue or retry, until `stop` is set."""
        with self._running():
            self.stop.wait()

    def close(self) -> None:
        """Close the connections."""
        self._state.enqueuer.close()
        self._state.client.close()

    @contextmanager
    def _running(self) -> Iterator[WorkerPool]:
        """Run a pool, and show its log and the jobs that die."""
        pool = build_pool(self.namespace, self.redis, self._state, concurrency=self.concurrency)
        pool.on("dead", self._note_dead)
        log = logging.getLogger("workkit")
        log.addFilter(self._note_log)
        try:
            with warnings.catch_warnings():  # about the source code of other people
                warnings.simplefilter("ignore", SyntaxWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                pool.start()
                yield pool
        finally:
            pool.stop(_STOP_S)
            log.removeFilter(self._note_log)

    def _note_dead(self, job: Job, error: BaseException) -> None:
        name = job.arg_str("name") or job.name
        self.display.note(f"dead after {job.fails} tries: {name}: {type(error).__name__}: {error}")

    def _note_log(self, record: logging.LogRecord) -> bool:
        """Show the engine's lines instead of logging them. Failed jobs are shown in another way."""
        if not hasattr(record, "outcome"):
            self.display.note(f"log: {record.getMessage()}")
        return False

    def _enqueue(self) -> None:
        enqueuer, state = self._state.enqueuer, self._state
        state.record([enqueuer.enqueue("hash_tree")])
        jobs = [
            (PARSING[f.size > LARGE_BYTES], {"path": f.path, "name": f.name, "package": f.package})
            for f in self.workload.files
        ]
        state.record(enqueuer.enqueue_many(jobs))
        state.record([enqueuer.enqueue_in("summary", 1).job])

    def _watch(self, pool: WorkerPool, began: Instant) -> bool:
        """Show the progress. Return True when all jobs have ended, False when `stop` is set."""
        total, quiet, executions = len(self.workload.files), 0, -1
        while quiet < _QUIET_LOOKS:
            seen = self._state.client.overview()
            quiet = quiet + 1 if self._is_idle(seen) and seen.executions == executions else 0
            executions = seen.executions
            elapsed_s = SystemClock().read().monotonic_s - began.monotonic_s
            self.display.show(elapsed_s, total - files_left(seen), total, seen)
            if not pool.running:
                raise PoolState("the pool ended by itself: too many handlers were abandoned")
            if self.stop.wait(0 if quiet else _LOOK_S):
                return False
        return True

    def _is_idle(self, seen: Overview) -> bool:
        """Tell whether nothing but the cron job waits or runs."""
        if seen.retry or any(q.count or q.running for q in seen.queues if q.job_name != CRON_JOB):
            return False
        return all(found.job.name == CRON_JOB for found in self._state.client.iter_scheduled_jobs())
