"""Drives an engine with threads: dispatcher, heartbeat and maintenance, a connection each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.engine.duties.loop import DutyLoop
from workkit.engine.engine import Engine, PoolSpec, RunnerFactory
from workkit.engine.eviction import warn_of_eviction
from workkit.engine.process.signals import SignalEvent
from workkit.engine.process.waker import Waker
from workkit.engine.serving import Serving, draining
from workkit.errors import ServerError
from workkit.store.connections.link import Link
from workkit.store.connections.routine import Wait, carry_out
from workkit.store.connections.target import Target

__all__ = ["PoolDriver"]

_log = logging.getLogger("workkit")


class PoolDriver:
    """The threads of one running pool.

    Args:
        spec: What the pool is to be.
        target: Where Redis is.
        clock: Where times come from.
        entropy: Where chance comes from.
        sleep_backoffs_s: Waits between looks where the server does not announce changes, seconds.
        make_runner: Makes the runner.
    """

    def __init__(
        self,
        spec: PoolSpec,
        target: Target,
        clock: Clock,
        entropy: Entropy,
        sleep_backoffs_s: Sequence[float],
        make_runner: RunnerFactory,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._target = target
        self._waker = Waker()
        self.engine = Engine(
            spec, clock=clock, entropy=entropy, make_runner=make_runner, notify=self._waker.wake
        )
        self._link = Link(target, name="workkit-dispatcher")
        self._heartbeat = DutyLoop(
            "workkit-heartbeat",
            Link(target, timeout_s=2.0, name="workkit-heartbeat"),
            [self.engine.heartbeat],
            clock,
            entropy,
        )
        self._maintenance = DutyLoop(
            "workkit-maintenance",
            Link(target, name="workkit-maintenance"),
            self.engine.duties,
            clock,
            entropy,
        )
        self._serving = Serving(
            self.engine,
            spec.concurrency,
            clock=clock,
            entropy=entropy,
            sleep_backoffs_s=sleep_backoffs_s,
            alarm=self._waker,
            listener=self._link,
            hurry_requeuer=lambda at_s: self._maintenance.hurry(self.engine.requeuer, at_s),
        )
        self._thread = threading.Thread(target=self._serve, name="workkit-dispatcher", daemon=True)
        self._stop_lock = threading.Lock()
        self._stopped = False
        self._ended = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether the dispatcher runs."""
        return not self._ended.is_set()

    @property
    def stopping(self) -> bool:
        """Whether the pool has been asked to stop, or stops by itself."""
        return self._serving.stopping

    @property
    def pool_id(self) -> str:
        """The id under which the pool holds jobs at present."""
        return self.engine.identity.pool_id

    def start(self) -> None:
        """Register the pool and start the threads.

        Raises:
            ServerError: Redis cannot be reached or refuses; nothing has been started.
        """
        try:
            self._link.carry(self.engine.dispatcher.register())
        except ServerError:
            self._link.close()
            self._waker.close()
            self._heartbeat.discard()
            self._maintenance.discard()
            raise
        if warning := self._link.carry(warn_of_eviction()):
            _log.warning("%s", warning)
        self._heartbeat.start()
        self._maintenance.start()
        self._thread.start()

    def stop(self, timeout_s: float | None) -> bool:
        """Stop; returns False if another call has done it."""
        self._serving.request_stop(timeout_s)
        self._ended.wait()
        with self._stop_lock:
            if self._stopped:
                return False
            self._stopped = True
        self._maintenance.stop(1.0)
        self._heartbeat.stop(1.0)
        self._clear_observations()
        self.engine.runner.close(wait_s=0.5)
        self._waker.close()
        return True

    def stop_now(self) -> None:
        """Cut a stop short; safe in a signal handler."""
        self._serving.request_stop(0.0)

    def wait_ended(self, asked: SignalEvent) -> None:
        """Wait for a request to stop, or for the pool's own end."""
        while not asked.wait(0.2) and not self._serving.stopping:
            pass

    def _clear_observations(self) -> None:
        link = Link(self._target, timeout_s=1.0)
        try:
            link.carry(self.engine.observer.clear())
        except ServerError:
            pass  # they expire
        finally:
            link.close()

    def _serve(self) -> None:
        try:
            carry_out(self._serving.routine(), self._link, self._wait)
        finally:
            self._link.close()
            self._ended.set()

    def _wait(self, wait: Wait) -> None:
        if wait.listen:
            self._link.wait(wait.for_s, self._waker.fileno())
        else:
            self._waker.wait(wait.for_s)

    def drain(self, timeout_s: float | None) -> tuple[list[str], dict[str, int], bool]:
        """Wait until nothing is left to do now.

        Returns:
            Paused queues with jobs, lengths of queues that are not empty, and whether all was done.

        Raises:
            ServerError: Redis does not answer.
        """
        names = list(self._spec.registrations)
        link = Link(self._target)
        try:
            return carry_out(
                draining(self.engine, names, self._clock, timeout_s),
                link,
                lambda wait: self._ended.wait(wait.for_s),
            )
        finally:
            link.close()
