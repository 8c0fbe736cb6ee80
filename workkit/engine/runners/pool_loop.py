"""The event loop of a pool's async handlers and hooks, on its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import threading
import traceback
from typing import Any, Final

from workkit.engine.process.courier import COURIER
from workkit.errors import PoolState

__all__ = ["PoolLoop"]

_log = logging.getLogger("workkit")

#: Frames of a blocked loop that are shown.
_FRAMES: Final = 8


class PoolLoop:
    """The event loop of a pool's async handlers and hooks, on its own thread.

    Both start when they are first needed; a call of the object returns the running loop.

    Attributes:
        fault: The reason why the loop has ended too early; "" while it works.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.fault = ""

    def __call__(self) -> asyncio.AbstractEventLoop:
        """Return the running loop; start it if necessary.

        Raises:
            PoolState: It was closed.
            RuntimeError: The system refuses to start a thread for it.
        """
        with self._lock:
            if self._closed:
                raise PoolState("the pool has stopped; its event loop is closed")
            if self._loop is None:
                loop, running = asyncio.new_event_loop(), threading.Event()
                thread = threading.Thread(
                    target=self._serve, args=(loop, running), name="workkit-loop", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                running.wait()
                self._loop, self._thread = loop, thread
            return self._loop

    def runs_here(self) -> bool:
        """Tell whether the caller runs on the loop."""
        return threading.current_thread() is self._thread

    def _serve(self, loop: asyncio.AbstractEventLoop, running: threading.Event) -> None:
        asyncio.set_event_loop(loop)
        # By default asyncio logs on this thread, where a logging handler may hang.
        loop.set_exception_handler(_log_exception)
        loop.call_soon(running.set)
        try:
            while True:
                try:
                    loop.run_forever()
                    break
                except (SystemExit, KeyboardInterrupt):
                    # asyncio lets these escape from a task that a handler has made; jobs continue.
                    _log.exception("a task of a handler tried to end the process")
            loop.set_task_factory(None)  # a handler's may raise
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException as error:  # noqa: BLE001 - any error leaves its jobs stuck
            self.fault = f"the event loop of async handlers was ended by {type(error).__name__}"
            _log.exception("the event loop of async handlers has ended")
        finally:
            if not self._closed and not self.fault:
                self.fault = "the event loop of async handlers was stopped by other code"
            running.set()
            with contextlib.suppress(Exception):  # other code may have closed its descriptors
                loop.close()

    @property
    def ident(self) -> int | None:
        """The loop's thread; None before it has started."""
        return self._thread.ident if self._thread is not None else None

    def where(self) -> str:
        """Return the innermost frames of the loop's thread, for the log."""
        frame = sys._current_frames().get(self.ident or 0)  # noqa: SLF001 - the only way
        return "".join(traceback.format_stack(frame)[-_FRAMES:]) if frame is not None else "?"

    def close(self, *, wait_s: float) -> None:
        """Cancel all tasks, wait for them for a limited time, and end the loop."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        closing = self._end(wait_s / 2)
        try:
            asyncio.run_coroutine_threadsafe(closing, loop)
        except (RuntimeError, OSError):  # the loop has ended
            closing.close()
            return
        if thread is not threading.current_thread():
            thread.join(wait_s)
            if thread.is_alive():  # blocked, or its task factory was broken
                with contextlib.suppress(RuntimeError, OSError):
                    loop.call_soon_threadsafe(loop.stop)
            if inspect.getcoroutinestate(closing) == inspect.CORO_CREATED:
                closing.close()

    @staticmethod
    async def _end(wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)
        loop.stop()


def _log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log the unhandled error of a handler's task or callback, as asyncio does."""

    def log(_record: object = None) -> None:
        loop.default_exception_handler(context)

    if not COURIER.carry(log, logging.LogRecord("workkit", logging.ERROR, "", 0, "", (), None)):
        log()
