"""Delivers log records and reports to telemetry on separate threads while a pool runs.

A logging handler is the application's code, or a pipe that another process reads. It may raise, and
it may block forever. That must not affect the pool's threads. So while a pool runs, workkit's log
records go into a bounded queue, and one thread passes them to the handlers. If that thread cannot
keep up, records are lost, and their number is logged later. The pool continues. The same holds for
exporters and observers, which hear on another thread what a pool has done.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from workkit.core.current import stamp

__all__ = ["COURIER", "TELLER", "Courier"]

_log = logging.getLogger("workkit")

#: At most this many records wait: a record may keep a traceback and the objects in its frames.
_MOST_WAITING: Final = 1_000

#: How long a caller waits for room while reports are delivered, seconds, and how often it looks.
_ROOM_S: Final = 1.0
_LOOK_S: Final = 0.005

_Deliver: TypeAlias = Callable[[Any], object]
#: A record and what passes it on; an event to set when it is reached; None ends the thread.
_Item: TypeAlias = tuple[_Deliver, Any] | threading.Event | None


class Courier:
    """A queue of records and the thread that delivers them; see the module.

    It works while at least one user has it open. Otherwise the calling thread delivers records.

    Args:
        thread_name: The name of the thread.
        complaint: What is logged about lost records, with their number as ``%d``.
    """

    def __init__(self, thread_name: str, complaint: str) -> None:
        self._thread_name = thread_name
        self._complaint = complaint
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start empty: at first, and in a forked child, which does not have our thread."""
        self._lock = threading.Lock()
        self._users = 0
        self._lost = 0
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Deliver on a thread until each `open` is matched by a `close`."""
        with self._lock:
            self._users += 1

    def close(self, wait_s: float) -> None:
        """Deliver waiting records, for a limited time; undo one `open`.

        Args:
            wait_s: How long to wait for handlers, seconds.
        """
        flushed, thread = self.flush(wait_s), self._thread
        with self._lock:
            self._users = max(self._users - 1, 0)
            if self._users or self._thread is None:
                return
            self._queue.put(None)
            # The next thread gets a queue of its own: it must not take this one's end, and a
            # handler may hold this one up for long.
            self._queue, self._thread = SimpleQueue(), None
        if flushed and thread is not None and thread is not threading.current_thread():
            thread.join(wait_s)  # else it would outlive the pool for a moment

    def flush(self, wait_s: float) -> bool:
        """Wait until all records so far are delivered.

        The caller delivers them if no thread can: from Python 3.12 on, an interpreter that exits
        starts no thread.

        Args:
            wait_s: How long to wait at most, seconds.

        Returns:
            Whether they were.
        """
        caller = threading.current_thread()
        if self._thread is caller:
            return self._queue.empty()
        try:
            if self._claim(caller, wait_s):
                self._deliver_here(caller)
                return True
        finally:
            if self._thread is caller:
                self._thread = None
        delivered = threading.Event()
        self._queue.put(delivered)
        return delivered.wait(wait_s)

    def _claim(self, caller: threading.Thread, wait_s: float) -> bool:
        """Make the caller the thread that delivers, unless another thread does.

        Only one thread may do it: a second one would wait for records for ever.
        """
        if (self._thread and self._thread.is_alive()) or not self._lock.acquire(timeout=wait_s):
            return False
        try:
            if self._thread and self._thread.is_alive():
                return False
            self._thread = caller
            return True
        finally:
            self._lock.release()

    def runs_here(self) -> bool:
        """Tell whether the caller is a logging handler on the courier's thread."""
        return threading.current_thread() is self._thread

    def carry(self, deliver: _Deliver, record: Any) -> bool:
        """Queue a record unless the caller must deliver it; never raises, never blocks.

        Args:
            deliver: Passes the record to handlers.
            record: The record.

        Returns:
            False if the courier is not open, or on its own thread: the caller delivers.
        """
        if not self._users or threading.current_thread() is self._thread:
            return False
        if self._queue.qsize() >= _MOST_WAITING and not self._room():
            self._lost += 1
        else:
            self._queue.put((deliver, record))
        if self._thread is None or not self._thread.is_alive():
            self._start()
        return True

    def _room(self) -> bool:
        """Tell whether there is room for a record after all."""
        return False

    def _start(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread starts it; a signal handler must not wait for the lock
        try:
            if self._thread is None or not self._thread.is_alive():
                serve = partial(self._serve, self._queue)
                # Set before the start: the thread compares itself with it.
                self._thread = threading.Thread(target=serve, name=self._thread_name, daemon=True)
                self._thread.start()
                if not self._users:  # the last pool has ended since the caller looked
                    self._queue.put(None)
                    self._queue, self._thread = SimpleQueue(), None
        except RuntimeError:
            pass  # the system refuses threads; the next record tries again
        finally:
            self._lock.release()

    def _deliver_here(self, caller: threading.Thread) -> None:
        """Deliver waiting records on the calling thread, which has the claim; give up the claim."""
        while True:
            while not self._queue.empty():
                self._hand_over(self._queue.get())
            self._thread = None
            # Who has put a record in between has seen a thread that delivers, and has started none.
            if self._queue.empty() or not self._claim(caller, 0.0):
                return

    def _serve(self, queue: SimpleQueue[_Item]) -> None:
        ends = False
        while not (ends and queue.empty()):  # a record may come while the last pool ends
            item = queue.get()
            ends = ends or item is None
            self._hand_over(item)
            del item  # it may hold a traceback

    def _hand_over(self, item: _Item) -> None:
        if isinstance(item, threading.Event):
            item.set()
        elif item is not None:
            try:
                self._deliver(*item)
            except BaseException:  # noqa: BLE001 - the application's code may raise anything
                self._lost += 1

    def _deliver(self, deliver: _Deliver, record: Any) -> None:
        deliver(record)
        if self._lost:
            lost, self._lost = self._lost, 0
            _log.warning(self._complaint, lost)


class _LogCourier(Courier):
    """Delivers log records; those of workkit take a detour over it while it is open."""

    def __init__(self) -> None:
        self._detour = _Detour(self)
        super().__init__(
            "workkit-log", "%d log records were lost: a logging handler failed or hung"
        )

    def open(self) -> None:
        """Deliver on a thread until each `open` is matched by a `close`."""
        super().open()
        if self._detour not in _log.filters:
            # In front of the application's filters, which may raise and block as its handlers may.
            _log.filters.insert(0, self._detour)
            vars(_log)["makeRecord"] = _make_record


class _Teller(Courier):
    """Delivers reports to telemetry. A caller waits for room while they are taken one by one."""

    def __init__(self) -> None:
        self._delivered = 0
        self._stuck_at = -1
        super().__init__(
            "workkit-telemetry",
            "%d reports to telemetry were lost: a probe, an exporter or an observer hung",
        )

    def tell(self, hear: _Deliver, report: object) -> None:
        """Deliver a report: soon and on the thread, or now if no pool runs.

        Args:
            hear: Takes the report. It must not raise.
            report: The report.
        """
        if not self.carry(hear, report):
            hear(report)

    def close(self, wait_s: float) -> None:
        """Deliver waiting reports, for a limited time; undo one `open`."""
        if not self.flush(wait_s):
            _log.warning(
                "telemetry did not take its last %d reports in time: an exporter or an observer "
                "hangs",
                max(self._queue.qsize(), 1),
            )
            wait_s = 0.0
        super().close(wait_s)

    def _deliver(self, deliver: _Deliver, record: Any) -> None:
        super()._deliver(deliver, record)
        self._delivered += 1

    def _room(self) -> bool:
        before = self._delivered
        if before == self._stuck_at:
            return False
        never = threading.Event()
        for _ in range(round(_ROOM_S / _LOOK_S)):
            never.wait(_LOOK_S)
            if self._queue.qsize() < _MOST_WAITING:
                return True
        if self._delivered == before:
            self._stuck_at = before
            _log.warning(
                "telemetry hangs: a probe, an exporter or an observer has not returned for %g s, "
                "so its reports are lost until it does; jobs are not affected",
                _ROOM_S,
            )
        return False


def _make_record(
    name: str,
    level: int,
    path: str,
    line: int,
    message: object,
    args: Any,
    exc_info: Any,
    function: str | None = None,
    extra: Mapping[str, object] | None = None,
    stack: str | None = None,
) -> logging.LogRecord:
    """Make a record of workkit's logger, also if the application's factory of records fails.

    Such a factory may need a web request, or set attributes that are ours.
    """
    rest = (name, level, path, line, message, args, exc_info, function)
    try:
        return type(_log).makeRecord(_log, *rest, extra, stack)
    except Exception:  # noqa: BLE001 - the application's code may raise anything
        record = logging.LogRecord(*rest, stack)
        vars(record).update(extra or {})
        return record


class _Detour(logging.Filter):
    """Diverts workkit's log records to the courier, which passes them on from its own thread."""

    def __init__(self, courier: Courier) -> None:
        super().__init__()
        self._courier = courier

    def filter(self, record: logging.LogRecord) -> bool:
        """Accept a record if the caller must deliver it; only the caller knows its job."""
        stamp(record)
        return not self._courier.carry(_log.handle, record)


#: One per process, since logging is global.
COURIER: Final = _LogCourier()
#: One per process, as the probes of the process.
TELLER: Final = _Teller()
