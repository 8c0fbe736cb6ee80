"""Waits that end with a signal."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["stopped_by_signals"]


@contextmanager
def stopped_by_signals() -> Iterator[Callable[[float], bool]]:
    """Give a function that waits some seconds, and tells whether SIGTERM or SIGINT has come.

    A handler may interrupt code that holds a lock, so it only writes to a pipe. A second signal
    ends the process at once.
    """
    reads, writes = os.pipe()
    before: dict[int, Any] = {}

    def on_signal(*_: object) -> None:
        os.write(writes, b".")
        for number in before:
            signal.signal(number, signal.SIG_DFL)

    def stopped_within(seconds: float) -> bool:
        return bool(select.select([reads], [], [], seconds)[0])

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, on_signal)
    try:
        yield stopped_within
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        os.close(reads)
        os.close(writes)
