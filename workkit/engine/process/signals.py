"""Handles signals for a limited time."""

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

#: The longest sleep of a wait. A signal wakes nobody if it arrives between the interpreter's last
#: check for signals and the sleep, or on another thread: its handler runs after the sleep.
_NAP_S: Final = 0.5


class SignalEvent:
    """A `threading.Event` that a signal handler may set, for one waiting thread.

    A signal handler runs between two bytecodes of the main thread. If that thread then waits for an
    `Event`, it may hold the event's lock, and a handler that sets the event deadlocks. This class
    uses a `SimpleQueue`, whose `put` takes no lock.
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
    """Pass signals to a function; does nothing except on the main thread.

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
