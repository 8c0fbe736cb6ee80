"""Waiting for other threads, in virtual time.

`Event.wait`, `Queue.get`, `Semaphore.acquire`, `Barrier.wait` and `Future.result` all wait in
`Condition.wait`, so only that is replaced. Locks wait in C, so they are not.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Final

from workkit.simulation.machine.clocks import real_monotonic, virtual_monotonic
from workkit.simulation.machine.handler_stack import SleepRequest, WaitRequest
from workkit.simulation.machine.inside import HERE
from workkit.simulation.machine.parking import Abandoned, Stack, current_stack
from workkit.simulation.machine.refusing import NotSimulated

__all__ = ["WAITS"]

#: How often a thread asks for a lock that another has, seconds of virtual time.
_ASKS_EVERY_S: Final = 0.001

_real_wait: Any = threading.Condition.wait


def _wait(self: Any, timeout: float | None = None) -> bool:
    """Wait as `Condition.wait` does: a timeout of the job interrupts it only when it is over."""
    host, stack = HERE.host, current_stack()
    if host is None or not host.name or "threads" in host.world.allowed:
        return bool(_real_wait(self, timeout))  # others may notify it
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    if stack is None:
        error = host.world.refused = NotSimulated(
            f"code that waits for another thread in async code on {host.name} would block the "
            "event loop of the pool, and with it all async handlers. Instead, wait with asyncio, "
            "such as await asyncio.Event().wait(), or in asyncio.to_thread(...)"
        )
        raise error
    request = WaitRequest(timeout)
    self._waiters.append(request)
    saved = self._release_save()
    notified: bool = False
    try:
        notified = stack.ask(request)
    finally:
        _take_again(self, saved, stack)
        if not notified and request in self._waiters:
            self._waiters.remove(request)
    return notified


def _take_again(condition: Any, saved: Any, stack: Stack) -> None:
    """Take the lock of a condition again; others may hold it while they sleep."""
    while not condition._lock.acquire(blocking=False):  # noqa: SLF001 - as its own methods do
        if stack.abandoned:
            raise Abandoned
        stack.ask(SleepRequest(_ASKS_EVERY_S, interruptible=False))
    condition._lock.release()  # noqa: SLF001
    condition._acquire_restore(saved)  # noqa: SLF001


#: What is replaced while a world runs: its module, its name, and it itself, real and virtual.
WAITS: Final = (
    (threading.Condition, "wait", _real_wait, _wait),
    (threading, "_time", real_monotonic, virtual_monotonic),  # of Condition.wait_for
    (queue, "time", real_monotonic, virtual_monotonic),
)
