"""The thread that delivers log records ends when the last pool does."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import Any

from workkit.engine.process.courier import _LogCourier


def log_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "workkit-log"}


def test_a_handler_that_hung_when_its_pool_ended_leaves_no_thread_behind_the_next_pool() -> None:
    others = log_threads()
    courier, hangs, released = _LogCourier(), threading.Event(), threading.Event()
    delivered: list[str] = []

    def hang(_: logging.LogRecord) -> None:
        hangs.set()
        released.wait(60)

    def note(record: logging.LogRecord) -> None:
        delivered.append(record.getMessage())

    courier.open()
    assert courier.carry(hang, logging.makeLogRecord({}))
    assert hangs.wait(60)
    courier.close(0)

    courier.open()
    assert courier.carry(note, logging.makeLogRecord({"msg": "of the next pool"}))
    assert courier.flush(60)
    assert delivered == ["of the next pool"], "the handler that hangs holds up no other pool"
    released.set()
    courier.close(60)
    for thread in log_threads() - others:
        thread.join(60)
        assert not thread.is_alive()


def test_a_record_that_comes_while_the_last_pool_ends_leaves_no_thread() -> None:
    others, courier = log_threads(), _LogCourier()
    delivered: list[str] = []

    class Ending(SimpleQueue[Any]):
        def qsize(self) -> int:  # the caller has seen an open courier, and looks for room
            courier.close(60)
            return 0

    courier.open()
    courier._queue = Ending()
    record = logging.makeLogRecord({"msg": "the last"})
    assert courier.carry(lambda it: delivered.append(it.getMessage()), record)
    for thread in log_threads() - others:
        thread.join(60)
        assert not thread.is_alive()
    assert delivered == ["the last"]


def test_a_record_that_comes_while_the_caller_delivers_starts_no_thread_that_stays() -> None:
    others = log_threads()
    delivered: list[str] = []

    def note(record: logging.LogRecord) -> None:
        delivered.append(record.getMessage())

    class Interrupted(_LogCourier):
        def _deliver_here(self, *args: Any) -> None:
            record = logging.makeLogRecord({"msg": "from another thread"})
            thread = threading.Thread(target=self.carry, args=(note, record))
            thread.start()
            thread.join()
            super()._deliver_here(*args)

    courier = Interrupted()
    courier.open()
    courier.close(60)
    for thread in log_threads() - others:
        thread.join(5)
        assert not thread.is_alive()
    assert delivered == ["from another thread"]
