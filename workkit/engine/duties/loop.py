"""Drives background duties on a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from workkit.engine.duties.duty import Duty
from workkit.engine.duties.scheduler import DutyScheduler
from workkit.engine.process.sources import Sources
from workkit.engine.process.vitals import LoopWatch, Pulse
from workkit.engine.process.waker import Waker
from workkit.store.connections.link import Link
from workkit.store.connections.routine import carry_out

__all__ = ["DutyLoop"]

_log = logging.getLogger("workkit")


class DutyLoop:
    """One thread with one connection that runs duties in turn.

    Args:
        name: The thread's name.
        link: The connection; no other thread uses it.
        duties: The duties.
        sources: The pool's clock, and the jitter after failures.
        watch: The loop's signs of life, and its view of the pool's other loops.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        duties: Sequence[Duty],
        sources: Sources,
        watch: LoopWatch | None = None,
    ) -> None:
        self._link = link
        self._waker = Waker()
        watch = watch or LoopWatch(Pulse(name), None)
        self._pulse = watch.pulse
        self._pulse.connects = lambda: link.connecting
        self._scheduler = DutyScheduler(duties, sources, self._waker, watch)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    @property
    def broken(self) -> bool:
        """Whether other code has closed the loop's descriptors, as far as is known."""
        return self._waker.broken

    def look(self) -> None:
        """Record the end of a thread that died before it began, and so could not do it itself."""
        self._pulse.check(self._thread)

    def start(self) -> None:
        """Start the thread; every duty is due at once.

        Raises:
            RuntimeError: The system refuses to start the thread.
        """
        self._thread.start()

    def discard(self) -> None:
        """Free the resources of a loop that was never started."""
        self._link.close()
        self._waker.close()

    def hurry(self, duty: Duty, at_s: float) -> None:
        """Make a duty due at a time (monotonic seconds) unless it is earlier; from any thread."""
        self._scheduler.hurry(duty, at_s)

    def stop(self, wait_s: float) -> None:
        """End the thread after its current round trip."""
        if self._thread.ident is None:
            self.discard()
            return
        self._scheduler.stop()
        self._thread.join(wait_s)

    def sever(self) -> None:
        """Cut off the current round trip: the server may hang."""
        if self._thread.is_alive():
            self._link.sever()

    def _serve(self) -> None:
        try:
            carry_out(
                self._scheduler.routine(), self._link, lambda wait: self._waker.wait(wait.for_s)
            )
        except BaseException:  # noqa: BLE001 - any error must end the pool
            _log.exception("%s has ended", self._thread.name)
        finally:
            self._pulse.ended = True
            self._link.close()
            self._waker.close()
