"""A worker process under a supervisor: runs its pool, and ends on an order or without supervisor.

Signals ask for a graceful stop, even repeated ones: a service manager signals all processes of a
service, and the supervisor signals them too. Only the supervisor's orders can force an end.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final, NamedTuple

from workkit.core.clock import SystemClock
from workkit.engine.health import asked
from workkit.engine.process.signals import STOPPING, signals_to
from workkit.errors import LifespanFailed
from workkit.tools.supervisor.channel import (
    ALIVE,
    ALIVE_S,
    COUNTS,
    DISCOVER,
    HEALTH,
    READY,
    UNLOADABLE,
    WATCH,
    ChildReport,
    Lines,
    inherited,
)

if TYPE_CHECKING:
    from workkit.pool import WorkerPool
    from workkit.telemetry.worker import PoolMetrics
    from workkit.tools.supervisor.loaded import Loaded

__all__ = ["Child", "resident_bytes"]

_log = logging.getLogger("workkit")

#: How often it checks whether there is something to report, seconds.
_LOOK_S: Final = 0.2
#: A start may take this much longer than the stop's timeout after a request to stop, seconds.
_STARTING_S: Final = 2.5
_STATM: Final = Path("/proc/self/statm")


class _Stop(NamedTuple):
    """A request to stop."""

    why: str
    timeout_s: float | None


class Child:
    """This process, for its supervisor.

    Args:
        channel: Our end of the channel.
        slot: The number of our slot, from 1.
        timeout_s: Seconds that handlers may take after a request to stop; None for no limit.
    """

    def __init__(self, channel: socket.socket, slot: int, timeout_s: float | None) -> None:
        self.slot = slot
        self._channel = channel
        self._timeout_s = timeout_s
        self._stops: SimpleQueue[_Stop | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._has_pool = False
        self._last_report: ChildReport | None = None
        self._last_health = ""
        self._looks = 0
        self._loaded: Loaded | None = None
        self._clock = SystemClock()
        self._is_started = False
        self._give_up_at_s = math.inf
        self._failed: LifespanFailed | None = None

    @classmethod
    def adopted(cls, timeout_s: float | None) -> Child | None:
        """Return this process as a supervised child, already listening; None if unsupervised."""
        given = inherited()
        if given is None:
            return None
        child = cls(given.channel, given.slot, timeout_s)
        threading.Thread(target=child._listen, name="workkit-orders", daemon=True).start()
        return child

    def watch_loaded(
        self, packages: Sequence[str] = (), error: BaseException | None = None
    ) -> None:
        """Name the application's files to the supervisor, now and whenever more are loaded.

        Args:
            packages: Packages of which all modules are loaded, also those that do not exist yet.
            error: Why the application could not be loaded; this process ends then.
        """
        from workkit.tools.supervisor.loaded import Loaded, folders_of

        self._loaded = Loaded()
        self._name_loaded(error)
        self._name(DISCOVER, folders_of(packages))
        if error is not None:
            self._say(UNLOADABLE)

    def run(self, pool: WorkerPool, *, report: bool, metrics: PoolMetrics | None = None) -> bool:
        """Run a pool until a request to stop.

        Args:
            pool: The pool; not started yet.
            report: Whether to report jobs and memory to the supervisor.
            metrics: What the pool counts, to be sent to the supervisor; None to count nothing.

        Returns:
            As `WorkerPool.run`: False if the pool ended by itself.

        Raises:
            LifespanFailed: A lifespan has failed, before the first job or after the last.
            WorkkitError: The pool cannot be started.
        """
        with self._lock:
            self._has_pool = True
        with signals_to(self._on_signal, (*STOPPING, signal.SIGHUP)):
            pool.start()
            self._is_started = True
            # Before its predecessor is stopped, so that a deployment has a ready process all along.
            self._send_health(pool)
            self._say(READY)
            self._say(ALIVE)
            stopping: dict[_Stop, threading.Thread] = {}
            while pool.running or any(thread.is_alive() for thread in stopping.values()):
                with suppress(Empty):
                    stop = self._stops.get(timeout=_LOOK_S)
                    if stop is not None and stop not in stopping:
                        stopping[stop] = self._start_stopping(pool, stop)
                self._say_alive()
                self._send_health(pool)
                self._send_counts(metrics)
                self._name_loaded()
                if report:
                    self._report(pool)
            self._stop_pool(pool, 0)
            self._send_counts(metrics)
        if stopping and self._failed is not None:
            raise self._failed
        return bool(stopping) or not pool.ended_itself

    def _stop_pool(self, pool: WorkerPool, timeout_s: float | None) -> None:
        """Stop the pool, which also logs the error of a lifespan; note that error."""
        try:
            pool.stop(timeout_s)
        except LifespanFailed as error:
            self._failed = error

    def _start_stopping(self, pool: WorkerPool, stop: _Stop) -> threading.Thread:
        """Stop on a thread, since another request with less time may follow."""

        def work() -> None:
            self._stop_pool(pool, stop.timeout_s)
            self._stops.put(None)

        _log.info("stopping %s", stop.why)
        thread = threading.Thread(target=work, name="workkit-stop", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system refuses a thread
            work()
        return thread

    def _say_alive(self) -> None:
        self._looks += 1
        if self._looks * _LOOK_S >= ALIVE_S:
            self._looks = 0
            self._say(ALIVE)

    def _send_health(self, pool: WorkerPool) -> None:
        """Send the pool's health when it changes, and as often as signs of life."""
        health = json.dumps(asdict(asked(lambda: pool.health)))
        if health != self._last_health or not self._looks:
            self._last_health = health
            self._say(f"{HEALTH}{health}")

    def _send_counts(self, metrics: PoolMetrics | None) -> None:
        """Send what was counted since the last time."""
        counts = metrics.take() if metrics is not None else None
        if counts:
            with suppress(OSError):  # as `_name`
                self._channel.sendall(f"{COUNTS}{counts.dump()}\n".encode())

    def _name_loaded(self, error: BaseException | None = None) -> None:
        if self._loaded is not None:
            self._name(WATCH, self._loaded.news(error))

    def _name(self, how: str, paths: list[str]) -> None:
        if paths:
            with suppress(OSError):  # as `_say`, but no byte of a long message may be lost
                self._channel.sendall(f"{how}{json.dumps(paths)}\n".encode())

    def _report(self, pool: WorkerPool) -> None:
        totals = pool.totals
        report = ChildReport(sum(totals.values()) - totals.get("returned", 0), resident_bytes())
        if report != self._last_report:
            self._last_report = report
            self._say(str(report))

    def _say(self, line: str) -> None:
        with suppress(OSError):  # the supervisor has gone; `_listen` handles it
            self._channel.send(f"{line}\n".encode(), socket.MSG_DONTWAIT)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:  # for the supervisor, which replaces us later
            return
        self._request(_Stop(f"after signal {signal.Signals(number).name}", self._timeout_s))

    def _request(self, stop: _Stop) -> None:
        self._stops.put(stop)
        if stop.timeout_s is not None:
            at_s = self._clock.read().monotonic_s + stop.timeout_s + _STARTING_S
            self._give_up_at_s = min(self._give_up_at_s, at_s)

    @property
    def overdue(self) -> bool:
        """Whether a stop was requested but the pool still starts: a start hook may hang."""
        return not self._is_started and self._clock.read().monotonic_s > self._give_up_at_s

    # On a separate thread from the beginning: an import may take long or hang.

    def _listen(self) -> None:
        lines = Lines()
        while (orders := lines.read(self._channel)) is not None:
            for order in orders:
                self._obey(order)
        self._ask(_Stop("since the supervisor has gone", self._timeout_s))

    def _obey(self, order: str) -> None:
        if order == "retire":
            self._ask(_Stop("when its jobs are done, since a replacement runs", None))
        elif order == "return":
            self._ask(_Stop("at once", 0))

    def _ask(self, stop: _Stop) -> None:
        with self._lock:
            if self._has_pool:
                self._request(stop)
            else:
                os._exit(0)  # nothing has started yet that would need a stop


def resident_bytes() -> int:
    """Return this process's resident memory, bytes; without /proc, its maximum so far."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
