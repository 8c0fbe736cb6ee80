"""Signals, taken over for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["STOPPING", "signals_to"]

#: The signals that ask a program to stop.
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_to(
    handler: Callable[[int, FrameType | None], object],
    numbers: Iterable[signal.Signals] = STOPPING,
) -> Iterator[None]:
    """Send signals to a function; does nothing on any thread but the main one.

    Args:
        handler: Called with the signal's number and the frame, on the main thread.
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
