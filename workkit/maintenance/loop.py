"""Drives background duties on a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

from workkit.clock import Clock
from workkit.entropy import Entropy
from workkit.errors import ServerError
from workkit.maintenance.duty import Duty
from workkit.outage import Outage
from workkit.store.link import Link
from workkit.waker import Waker

__all__ = ["DutyLoop"]

_log = logging.getLogger("workkit")

_AFTER_BUG_S: Final = 5.0


class DutyLoop:
    """One thread with one connection that takes turns among duties.

    Args:
        name: The thread's name.
        link: The connection; nobody else uses it.
        duties: What is to be done.
        clock: When.
        entropy: For the jitter after failures.
    """

    def __init__(
        self, name: str, link: Link, duties: Sequence[Duty], clock: Clock, entropy: Entropy
    ) -> None:
        self._link = link
        self._clock = clock
        self._entropy = entropy
        self._due_s = {id(duty): 0.0 for duty in duties}
        self._duties = [(duty, Outage(duty.name, clock, entropy)) for duty in duties]
        self._waker = Waker()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; every duty is due at once."""
        self._thread.start()

    def discard(self) -> None:
        """Free what a loop that was never started holds."""
        self._link.close()
        self._waker.close()

    def hurry(self, duty: Duty, at_s: float) -> None:
        """Make a duty due at a time (monotonic seconds) if it is not earlier; from any thread."""
        if at_s < self._due_s[id(duty)]:
            self._due_s[id(duty)] = at_s
            self._waker.wake()

    def stop(self, wait_s: float) -> None:
        """End the thread after the exchange that is under way."""
        self._stopping = True
        self._waker.wake()
        self._thread.join(wait_s)

    def _serve(self) -> None:
        while not self._stopping:
            for duty, outage in self._duties:
                if not self._stopping and self._due_s[id(duty)] <= self._clock.read().monotonic_s:
                    self._turn(duty, outage)
            self._rest()
        self._link.close()
        self._waker.close()

    def _turn(self, duty: Duty, outage: Outage) -> None:
        self._due_s[id(duty)] = float("inf")  # so that `hurry` during the step counts
        try:
            delay_s = self._link.run(duty.step(self._clock.read()))
            outage.over()
        except ServerError as error:
            delay_s = outage.failed(error)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the pool
            _log.exception("%s failed; it goes on in %.0f s", duty.name, _AFTER_BUG_S)
            delay_s = _AFTER_BUG_S
        due_s = self._clock.read().monotonic_s + delay_s
        self._due_s[id(duty)] = min(due_s, self._due_s[id(duty)])

    def _rest(self) -> None:
        self._waker.arm()
        wait_s = min(self._due_s.values()) - self._clock.read().monotonic_s
        if not self._stopping and wait_s > 0:
            self._waker.wait(wait_s)
        self._waker.disarm()
