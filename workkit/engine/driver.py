"""Runs an engine on three threads, each with a connection: dispatcher, heartbeat, maintenance."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections.abc import Callable, Sequence
from typing import Final

from workkit.core.options import check_wait
from workkit.engine.duties.loop import DutyLoop
from workkit.engine.engine import Engine, RunnerFactory
from workkit.engine.health import STOPPED, Health, examine
from workkit.engine.needs import check_commands
from workkit.engine.process.courier import COURIER, TELLER
from workkit.engine.process.signals import SignalEvent
from workkit.engine.process.sources import Sources
from workkit.engine.process.vitals import Pulse
from workkit.engine.process.waker import Waker
from workkit.engine.server_risks import warnings_at_start
from workkit.engine.serving import LAST_JOBS_S, Serving, draining
from workkit.engine.spec import PoolSpec
from workkit.errors import PoolState, ServerError
from workkit.store.connections.link import Link
from workkit.store.connections.routine import Wait, carry_out
from workkit.store.connections.target import Target

__all__ = ["PoolDriver", "ThreadsRefusedError"]

_log = logging.getLogger("workkit")


class ThreadsRefusedError(PoolState):
    """The system refuses to start a thread for the pool; a later attempt may succeed."""


#: How often a thread that waits for a pool checks that the pool lives, seconds.
_LOOK_S: Final = 0.2
#: A stop ends this long after its timeout, even if a thread hangs, seconds. The first part is for
#: the dispatcher, which returns jobs and unregisters the pool; the rest is for the other threads.
_DISPATCHER_S: Final = 1.4
_ALL_S: Final = 1.9
#: How long the other threads may take if there is no timeout, seconds.
_OTHERS_S: Final = 1.0
#: How long the last reports to telemetry may take, seconds.
_TELLING_S: Final = 0.5
#: How long stop hooks may take, counted from the end of the last handler, seconds.
_HOOKS_S: Final = 30.0


class PoolDriver:
    """The threads of one running pool.

    Args:
        spec: The pool's registrations and options.
        target: The address and options of Redis.
        sources: The host's clock and the random source.
        sleep_backoffs_s: Polling intervals for a server that does not announce changes, seconds.
        make_runner: Makes the runner.

    Attributes:
        pid: The process that runs the pool; a forked child copies the memory but not the threads.
    """

    def __init__(
        self,
        spec: PoolSpec,
        target: Target,
        sources: Sources,
        sleep_backoffs_s: Sequence[float],
        make_runner: RunnerFactory,
    ) -> None:
        self.pid = os.getpid()
        self._spec = spec
        self._target = target
        self._waker = Waker()
        self.engine = Engine(spec, sources, make_runner=make_runner, notify=self._waker.wake)
        self._clock = self.engine.clock
        vitals = self.engine.vitals
        self._link = Link(target, name="workkit-dispatcher")
        vitals.dispatcher.connects = lambda: self._link.connecting
        self._heartbeat = DutyLoop(
            "workkit-heartbeat",
            Link(target, timeout_s=2.0, name="workkit-heartbeat"),
            [self.engine.heartbeat],
            self.engine.sources,
            vitals.watch(vitals.heartbeat),
        )
        self._maintenance = DutyLoop(
            "workkit-maintenance",
            Link(target, name="workkit-maintenance"),
            self.engine.duties,
            self.engine.sources,
            vitals.watch(vitals.maintenance),
        )
        self._serving = Serving(
            self.engine,
            sleep_backoffs_s=sleep_backoffs_s,
            alarm=self._waker,
            listener=self._link,
            hurry_requeuer=lambda at_s: self._maintenance.hurry(self.engine.requeuer, at_s),
        )
        self._lookout = vitals.lookout()
        vitals.failed = self._failed
        self._thread = threading.Thread(target=self._serve, name="workkit-dispatcher", daemon=True)
        self._stop_lock = threading.Lock()
        self._stopper: threading.Thread | None = None
        self._hooks_until_s = math.inf
        self._ended = threading.Event()
        self._closed = threading.Event()

    @property
    def is_ours(self) -> bool:
        """Whether this process started the pool, rather than being a fork of that process."""
        return self.pid == os.getpid()

    @property
    def alive(self) -> bool:
        """Whether the dispatcher runs, as far as is known."""
        return not self._ended.is_set()

    @property
    def stopping(self) -> bool:
        """Whether the pool was asked to stop, or stops by itself."""
        return self._serving.stopping

    @property
    def is_closed(self) -> bool:
        """Whether the pool has stopped, and the hooks that follow have run."""
        return self._closed.is_set()

    def wait_closed(self, within_s: float) -> None:
        """Wait until it is closed, for a limited time, seconds."""
        self._closed.wait(within_s)

    @property
    def ended_itself(self) -> bool:
        """Whether the pool stops, or has stopped, by itself."""
        return self._serving.ended_itself

    @property
    def pool_id(self) -> str:
        """The id under which the pool now holds jobs."""
        return self.engine.identity.pool_id

    def health(self) -> Health:
        """Return whether the pool lives and can claim jobs; from any thread."""
        if not self.alive:
            fault = self.engine.vitals.failure
            return Health("stopped", (fault,), STOPPED.obstacles) if fault else STOPPED
        self.look()
        now_s = self._clock.read().monotonic_s
        return examine(self.engine, self._serving, self._lookout.silences, now_s)

    def start(self) -> None:
        """Register the pool and start the threads.

        Raises:
            ServerError: Redis cannot be reached or refuses; nothing has been started.
            PoolState: The system refuses to start a thread; nothing has been started.
        """
        COURIER.open()
        TELLER.open()
        try:
            # Before the pool writes a time or moves due jobs by its own clock.
            self._link.carry(self.engine.clock.ask())
            keeps = self._spec.history is not None
            self._link.carry(check_commands(self.engine.keys, history=keeps))
            self._link.carry(self.engine.dispatcher.register())
            for warning in self._link.carry(warnings_at_start()):
                _log.warning("%s", warning)
            self._start_threads()
        except BaseException:
            self._heartbeat.stop(0.5)
            self._maintenance.stop(0.5)
            self._link.close()
            self._waker.close()
            self._ended.set()
            TELLER.close(_TELLING_S)
            COURIER.close(0.5)
            raise

    def _start_threads(self) -> None:
        try:
            self._heartbeat.start()
            self._maintenance.start()
            self._thread.start()
        except RuntimeError as error:
            with contextlib.suppress(ServerError):
                self._link.carry(self.engine.dispatcher.leave())
            raise ThreadsRefusedError(
                f"the pool was not started: the system refuses to start a thread ({error}); raise "
                "its limit of threads, such as ulimit -u or the pids limit of the container"
            ) from None

    # Ending.

    def look(self) -> None:
        """Check that all threads of the pool live and make progress; end the pool if not."""
        self.engine.vitals.dispatcher.check(self._thread)
        self._heartbeat.look()
        self._maintenance.look()
        self._lookout.look(self._clock.read().monotonic_s)
        if self._waker.broken or self._heartbeat.broken or self._maintenance.broken:
            self._end("other code in this process has closed its descriptors")
        elif why := self.engine.runner.fault:
            self._end(why, within_s=LAST_JOBS_S)

    def _failed(self, pulse: Pulse, why: str) -> None:
        """End the pool because one of its loops makes no progress; the first observer calls it."""
        self._end(why)
        if pulse is self.engine.vitals.dispatcher and not self._ended.is_set():
            _log.error("the pool's jobs stay in progress; other pools recover them")
            self._ended.set()

    def _end(self, why: str, within_s: float | None = None) -> None:
        if not self._serving.stopping:
            self._serving.end(f"the pool cannot go on: {why}", within_s=within_s)

    def runs_here(self) -> bool:
        """Tell whether the caller is a handler, a hook or another thread of the pool."""
        thread = threading.current_thread()
        return (
            self.engine.runner.runs_here()
            or self._spec.events.runs_here()
            or COURIER.runs_here()
            or TELLER.runs_here()
            or thread is self._thread
            or thread is self._stopper
        )

    def request_stop(self, timeout_s: float | None) -> None:
        """Ask the pool to stop; safe in a signal handler."""
        self._serving.request_stop(timeout_s)

    def wait_ended(self, asked: SignalEvent) -> None:
        """Wait for a request to stop, or until the pool ends by itself."""
        while not asked.wait(_LOOK_S) and not self._serving.stopping and self.alive:
            self.look()

    def stop(self, timeout_s: float | None) -> bool:
        """Stop within the timeout plus two seconds; return False if another call does it.

        Args:
            timeout_s: Seconds that handlers may take; None for no limit.
        """
        self._serving.request_stop(timeout_s)
        while not self._ended.wait(_LOOK_S):
            self.look()
            if self._left_s(_DISPATCHER_S) <= 0:
                self._give_up()
        with self._stop_lock:
            is_first = self._stopper is None
            self._stopper = self._stopper or threading.current_thread()
            if is_first:
                self._hooks_until_s = self._clock.read().monotonic_s + _HOOKS_S
        if not is_first:
            self._closed.wait(self._left_s(_ALL_S, most_s=_OTHERS_S))
            return False
        self._close()
        return True

    def _left_s(self, more_s: float, most_s: float = math.inf) -> float:
        """Return the time left of the timeout plus `more_s`, at most `most_s`, seconds."""
        now_s = self._clock.read().monotonic_s
        return min(max(self._serving.give_back_at_s + more_s - now_s, 0.0), most_s)

    def _give_up(self) -> None:
        """End without the dispatcher, which waits for Redis or hangs."""
        self._link.sever()
        if not self._ended.wait(0.2):
            _log.error(
                "the pool could not return its jobs in time; they stay in progress, and other "
                "pools recover them"
            )
            self._ended.set()

    def _close(self) -> None:
        """End all threads except the dispatcher's, and free their resources."""
        for loop in (self._maintenance, self._heartbeat):
            loop.stop(self._left_s(_ALL_S, most_s=_OTHERS_S / 2))
            loop.sever()
        if not self._serving.out_of_touch and self._left_s(_ALL_S) > 0:
            self._clear_observations()
        self.engine.runner.close(wait_s=self._left_s(_ALL_S, most_s=_OTHERS_S / 2))
        self._waker.close()

    def is_overdue(self, by_s: float) -> bool:
        """Tell whether a requested stop should have ended `by_s` seconds ago."""
        if self._closed.is_set():
            return False
        until_s = self._serving.give_back_at_s
        if until_s == math.inf:
            until_s = self._hooks_until_s
        return self._clock.read().monotonic_s > until_s + by_s

    def rest_may_take_s(self, most_s: float) -> float:
        """Return how long what follows the pool's end may take, such as hooks, seconds."""
        return self._left_s(_ALL_S, most_s)

    def closed(self) -> None:
        """After the hooks: release the callers that wait for the end, and deliver the log."""
        self._closed.set()
        TELLER.close(max(self._left_s(_ALL_S, most_s=_TELLING_S), 0.1))
        COURIER.close(max(self._left_s(_ALL_S, most_s=1.0), 0.1))

    def _clear_observations(self) -> None:
        link = Link(self._target, timeout_s=0.3)
        try:
            link.carry(self.engine.observer.clear())
        except ServerError:
            pass  # they expire
        finally:
            link.close()

    def _serve(self) -> None:
        try:
            carry_out(self._serving.routine(), self._link, self._wait)
        except BaseException:  # noqa: BLE001 - any error must end the pool
            _log.exception("the dispatcher has ended; other pools recover the pool's jobs")
            self._end("its dispatcher has ended")
        finally:
            self.engine.vitals.dispatcher.ended = True
            try:
                self._link.close()
            finally:
                self._ended.set()

    def _wait(self, wait: Wait) -> None:
        if wait.listen:
            self._link.wait(wait.for_s, self._waker.fileno())
        else:
            self._waker.wait(wait.for_s)

    def drain(
        self, timeout_s: float | None, gave_up: Callable[[], bool] = lambda: False
    ) -> tuple[list[str], dict[str, int], bool]:
        """Wait until no job is left that could run now.

        Args:
            timeout_s: Seconds to wait at most; None for no limit.
            gave_up: Tells whether nobody waits for the result any more.

        Returns:
            Paused queues with jobs, lengths of queues that are not empty, and whether all is done.

        Raises:
            InvalidOption: The timeout is not a number.
            ServerError: Redis does not answer.
        """
        check_wait("timeout", timeout_s)
        names = list(self._spec.registrations)
        link = Link(self._target)
        try:
            return carry_out(
                draining(self.engine, names, self._clock, timeout_s),
                link,
                lambda wait: self._wait_draining(wait) or gave_up(),
            )
        finally:
            link.close()
            TELLER.flush(_TELLING_S)
            COURIER.flush(_OTHERS_S)

    def _wait_draining(self, wait: Wait) -> bool:
        self.look()
        return self._ended.wait(wait.for_s)
