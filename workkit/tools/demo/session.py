"""One run of the demo: enqueue, process, watch to the end, account for everything."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self

from workkit.client import Client
from workkit.core.clock import Clock, Instant, SystemClock
from workkit.core.records import WorkerPoolHeartbeat
from workkit.core.text import clean
from workkit.engine.process.signals import SignalEvent
from workkit.enqueuer import Enqueuer
from workkit.errors import PoolState, ServerError
from workkit.pool import WorkerPool
from workkit.tools.demo.display import Display, Progress
from workkit.tools.demo.handlers import PARSING, Desk, build_pool
from workkit.tools.demo.report import Evidence, Report, build_report, short_error
from workkit.tools.demo.tally import Tally
from workkit.tools.demo.watch import Snapshot, take_snapshot
from workkit.tools.demo.workload import Workload

__all__ = ["Session"]

#: Seconds between two looks.
_LOOK_S: Final = 0.2
#: A server that is silent for longer is given up, seconds.
_PATIENCE_S: Final = 10.0
#: How long handlers may go on after Ctrl-C, seconds.
_STOP_S: Final = 2.0
#: The rate that is shown is that of the last seconds.
_RATE_S: Final = 3.0
_SUMMARY_IN_S: Final = 1
#: A file is executed at most three times and asks for a report once; the rest is little.
_RECORDS_A_FILE: Final = 4
_RECORDS_AT_LEAST: Final = 100_000


@dataclass(slots=True)
class Session:
    """A run on one server, in one namespace.

    Attributes:
        redis: The server's URL.
        namespace: Prefix of all Redis keys.
        workload: What is processed.
        concurrency: How many handlers run at once.
        display: Where it is shown.
        stop: Set to end the run early.
        clock: Where times come from.
    """

    redis: str
    namespace: str
    workload: Workload
    concurrency: int
    display: Display
    stop: threading.Event | SignalEvent
    clock: Clock = field(default_factory=SystemClock)
    _desk: Desk = field(init=False)
    _log: _HeldLog = field(init=False)

    def __post_init__(self) -> None:
        self._log = _HeldLog()
        self._desk = Desk(
            self.workload.files,
            Enqueuer(self.namespace, self.redis),
            Client(self.namespace, self.redis),
            Tally(),
            self.clock,
        )

    def run(self) -> Report:
        """Process everything, or what can be until `stop` is set.

        Raises:
            ServerError: The server did not answer for a while, or refused.
            PoolState: The pool ended by itself.
        """
        pool = self._pool()
        with self.display, self._log, _quiet_warnings():
            pool.start()
            try:
                began = self.clock.read()
                self._enqueue()
                complete = self._watch(pool, began)
                beat = self._beat()
            finally:
                pool.stop(_STOP_S)
            self._tell_news()
        return self._account(began, beat, complete=complete)

    def go_on(self) -> None:
        """Process what others enqueue or retry, until `stop` is set.

        Raises:
            ServerError: The server does not answer or refuses.
        """
        pool = self._pool()
        with self._log, _quiet_warnings():
            pool.start()
            try:
                while not self.stop.wait(_LOOK_S):
                    self._tell_news()
            finally:
                pool.stop(_STOP_S)

    def close(self) -> None:
        """Close the connections."""
        self._desk.enqueuer.close()
        self._desk.client.close()

    def _pool(self) -> WorkerPool:
        records = max(_RECORDS_AT_LEAST, _RECORDS_A_FILE * len(self.workload.files))
        return build_pool(
            self.namespace,
            self.redis,
            self._desk,
            concurrency=self.concurrency,
            max_records=records,
        )

    def _enqueue(self) -> None:
        enqueuer, tally = self._desk.enqueuer, self._desk.tally
        tally.accept([enqueuer.enqueue("hash_tree")])
        jobs = [
            (
                PARSING[file.is_large],
                {"path": file.path, "name": file.name, "package": file.package},
            )
            for file in self.workload.files
        ]
        tally.accept(enqueuer.enqueue_many(jobs))
        tally.accept([enqueuer.enqueue_in("summary", _SUMMARY_IN_S).job])

    def _watch(self, pool: WorkerPool, began: Instant) -> bool:
        """Show how far it is, until it is over or to be stopped; tell whether it is over."""
        meter = _Meter()
        before: Snapshot | None = None
        answered_s = began.monotonic_s
        while True:
            now_s = self.clock.read().monotonic_s
            self._tell_news()
            try:
                snapshot = take_snapshot(self._desk.client)
            except ServerError:
                if now_s - answered_s > _PATIENCE_S:
                    raise
            else:
                answered_s = now_s
                per_s = meter.rate(now_s, snapshot.executions)
                through = len(self.workload.files) - snapshot.unparsed
                elapsed_s = now_s - began.monotonic_s
                self.display.show(
                    Progress(elapsed_s, len(self.workload.files), through, per_s, snapshot)
                )
                if snapshot.confirms_end(before):
                    return True
                before = snapshot
            if not pool.running:
                raise PoolState("the pool ended by itself: too many handlers were abandoned")
            if self.stop.wait(_LOOK_S):
                return False

    def _tell_news(self) -> None:
        for job, error in self._desk.tally.new_deaths():
            name = job.arg_str("name") or job.name
            what = short_error(f"{type(error).__name__}: {error}")
            self.display.note(clean(f"dead after {job.fails} tries: {name}: {what}"))
        for line in self._log.take():
            self.display.note(clean(f"log: {line}"))

    def _beat(self) -> WorkerPoolHeartbeat | None:
        return next(iter(self._desk.client.worker_pool_heartbeats()), None)

    def _account(
        self, began: Instant, beat: WorkerPoolHeartbeat | None, *, complete: bool
    ) -> Report:
        client = self._desk.client
        return build_report(
            Evidence(
                workload=self.workload,
                tally=self._desk.tally,
                history=list(client.history()),
                extent=client.history_extent(),
                dead=list(client.iter_dead_jobs()),
                beat=beat,
                began_ms=began.epoch_ms,
                complete=complete,
            )
        )


class _Meter:
    """Measures the rate of the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, now_s: float, executions: int) -> float:
        """Take a count and return how much it grows a second."""
        self._seen.append((now_s, executions))
        while now_s - self._seen[0][0] > _RATE_S:
            self._seen.popleft()
        then_s, then = self._seen[0]
        return (executions - then) / (now_s - then_s) if now_s > then_s else 0.0


class _HeldLog(logging.Handler):
    """Holds the engine's log back, for the thread that draws.

    What became of failed jobs is left out: it is shown otherwise.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._logger = logging.getLogger("workkit")
        self._propagated = True

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if not hasattr(record, "outcome"):
            self._lines.put(record.getMessage())

    def take(self) -> Iterator[str]:
        """Yield the lines since the last call."""
        while True:
            try:
                yield self._lines.get_nowait()
            except Empty:
                return

    def __enter__(self) -> Self:
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    """Keep what the parser has to say of other people's code off the screen, on every thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
