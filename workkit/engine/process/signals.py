"""Signals, taken over for a while."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final

__all__ = ["STOPPING", "SignalEvent", "signals_to"]

#: The signals that ask a program to stop.
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)

#: How long a wait sleeps at a time. A signal that comes between the interpreter's last look for
#: signals and the sleep, or to another thread, wakes nobody: its handler runs after the sleep.
_NAP_S: Final = 0.5


class SignalEvent:
    """A `threading.Event` that a signal handler may set, for one thread that waits.

    A handler runs between two bytecodes of the main thread. If that is waiting for an `Event` just
    then, it may hold the event's lock, and a handler that sets the event waits for it for ever. The
    queue of this one is made for that: its `put` takes no lock.
    """

    def __init__(self) -> None:
        self._raised: SimpleQueue[None] = SimpleQueue()
        self._is_set = False

    def set(self) -> None:
        """Set it; safe in a signal handler."""
        self._is_set = True
        self._raised.put(None)

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set.

        Args:
            timeout: Seconds, at most; None for no limit.

        Returns:
            Whether it is set.
        """
        left_s = math.inf if timeout is None else timeout
        while not self._is_set and left_s > 0:
            with contextlib.suppress(Empty):
                self._raised.get(timeout=min(left_s, _NAP_S))
            left_s -= _NAP_S
        return self._is_set


@contextmanager
def signals_to(
    handler: Callable[[int, FrameType | None], object],
    numbers: Iterable[signal.Signals] = STOPPING,
) -> Iterator[None]:
    """Send signals to a function; does nothing on any thread but the main one.

    Args:
        handler: Called with the signal's number and the frame, on the main thread. It must not use
            a lock that the main thread uses elsewhere; see `SignalEvent`.
        numbers: Which signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
