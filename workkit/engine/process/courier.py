"""Delivers log lines on a thread of its own while a pool runs.

A logging handler is the application's code, or a pipe that another process reads. It may raise, and
it may block for ever. A thread of the pool that logs must not raise or block with it. So while a
pool runs, what workkit logs goes into a bounded queue, and one thread hands it to the handlers. If
that thread cannot keep up, lines are lost, and their number is logged later. The pool goes on.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeAlias

__all__ = ["COURIER", "Courier"]

_log = logging.getLogger("workkit")

#: How many lines wait at most; a record may keep a traceback and what its frames refer to.
_MOST_WAITING: Final = 1_000

_Deliver: TypeAlias = Callable[[logging.LogRecord], object]


class Courier:
    """A queue of log records and the thread that delivers them; see the module.

    It works while somebody has it open. Otherwise records are delivered where they are made.
    """

    def __init__(self) -> None:
        self._detour = _Detour(self)
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin with nothing: at first, and in a forked child, which has no thread of ours."""
        self._lock = threading.Lock()
        self._users = 0
        self._lost = 0
        self._queue: SimpleQueue[tuple[_Deliver, logging.LogRecord] | threading.Event | None] = (
            SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Deliver on a thread from now on, until as many `close` as `open` were called."""
        with self._lock:
            self._users += 1
        _log.addFilter(self._detour)  # once, however often

    def close(self, wait_s: float) -> None:
        """Deliver what waits, for a while; as `open`.

        Args:
            wait_s: How long to wait for handlers, seconds.
        """
        self.flush(wait_s)
        with self._lock:
            self._users = max(self._users - 1, 0)
            if not self._users and self._thread is not None:
                self._queue.put(None)
                self._thread = None

    def flush(self, wait_s: float) -> bool:
        """Wait until what was logged so far has been delivered.

        Args:
            wait_s: How long to wait at most, seconds.

        Returns:
            Whether it was.
        """
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return self._queue.empty()
        delivered = threading.Event()
        self._queue.put(delivered)
        return delivered.wait(wait_s)

    def runs_here(self) -> bool:
        """Tell whether this is called by a handler of the log, on the courier's thread."""
        return threading.current_thread() is self._thread

    def carry(self, deliver: _Deliver, record: logging.LogRecord) -> bool:
        """Take a record, unless it is to be delivered here and now; never raises, never blocks.

        Args:
            deliver: Hands the record to handlers.
            record: The record.

        Returns:
            False if nobody has the courier open, or this is its own thread: the caller delivers.
        """
        if not self._users or threading.current_thread() is self._thread:
            return False
        if self._queue.qsize() >= _MOST_WAITING:
            self._lost += 1
        else:
            self._queue.put((deliver, record))
        if self._thread is None or not self._thread.is_alive():
            self._start()
        return True

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="workkit-log", daemon=True)
        if not self._lock.acquire(blocking=False):
            return  # another thread starts it; this may be a signal handler, which must not wait
        try:
            if self._thread is None or not self._thread.is_alive():
                self._thread = thread  # before it runs: it asks whether it is the one
                thread.start()
        except RuntimeError:
            pass  # the system starts no more threads; the next record tries again
        finally:
            self._lock.release()

    def _serve(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._deliver(*item)
            except BaseException:  # noqa: BLE001 - the application's code; anything can come out
                self._lost += 1
            del item  # it may keep a traceback

    def _deliver(self, deliver: _Deliver, record: logging.LogRecord) -> None:
        deliver(record)
        if self._lost:
            lost, self._lost = self._lost, 0
            _log.warning("%d lines of the log were lost: a logging handler failed or hung", lost)


class _Detour(logging.Filter):
    """Sends what workkit logs to the courier, which comes back with it on its own thread."""

    def __init__(self, courier: Courier) -> None:
        super().__init__()
        self._courier = courier

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record through if it is to be delivered here and now."""
        return not self._courier.carry(_log.handle, record)


#: The only one of a process, since there is only one log.
COURIER: Final = Courier()
