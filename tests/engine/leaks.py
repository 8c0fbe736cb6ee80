"""What a pool leaves behind in its process, counted."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

__all__ = ["Traces", "traces"]


@dataclass(frozen=True)
class Traces:
    """What a process holds.

    Attributes:
        threads: Thread name -> how many.
        descriptors: Open files and sockets.
        handlers: What handles SIGINT and SIGTERM.
        at_exit: Callbacks for the end of the process.
    """

    threads: Counter[str]
    descriptors: int
    handlers: tuple[Any, ...]
    at_exit: int


def traces() -> Traces:
    """Count what this process holds now."""
    gc.collect()
    return Traces(
        Counter(thread.name for thread in threading.enumerate()),
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - the number is all that matters
        tuple(map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))),
        atexit._ncallbacks(),
    )
