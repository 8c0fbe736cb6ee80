"""Runs work on a thread, so that the kernel stays free. Only the newest request counts."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Later"]


class Later:
    """Runs the newest of several requests on a thread of its own, which ends when it is idle.

    Args:
        name: The name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._next: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether work is under way or requested."""
        return self._thread is not None

    @property
    def superseded(self) -> bool:
        """Whether a newer request waits. Work that takes long may end when it is."""
        return self._next is not None

    def run(self, work: Callable[[], None]) -> None:
        """Run work after the one that runs now; a request that has not begun is dropped."""
        with self._lock:
            self._next = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()

    def drop(self) -> None:
        """Drop a request that has not begun."""
        with self._lock:
            self._next = None

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until there is nothing left to do; in the work itself, return at once."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _loop(self) -> None:
        while True:
            with self._lock:
                work, self._next = self._next, None
                if work is None:
                    self._thread = None
                    return
            try:
                work()
            except BaseException:
                with self._lock:
                    self._thread = None
                raise
