"""Interrupting Python code that runs on a thread, as far as Python allows."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from workkit.errors import JobTimeout

__all__ = ["Crossing", "raise_in", "run_on_thread"]


class Crossing:
    """An event loop that goes between coroutines and threads in its own way, as the simulator's."""

    def await_on_thread(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine on the loop while the present thread waits.

        Raises:
            BaseException: Whatever the coroutine raised; `JobTimeout` if it was cancelled.
        """
        raise NotImplementedError

    async def run_on_thread(self, function: Callable[[], None]) -> None:
        """Run a function on a thread of its own; cancelling interrupts it.

        Raises:
            BaseException: Whatever the function raised.
        """
        raise NotImplementedError


def raise_in(thread_id: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread between two of its bytecodes.

    A thread that waits in C code (a blocking read, `time.sleep`) gets it when that returns.

    Args:
        thread_id: The thread's `ident`.
        error: The exception's class.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


async def run_on_thread(function: Callable[[], None]) -> None:
    """Run a function on a thread of its own; cancelling interrupts it.

    Unlike those of the loop's executor, such a thread never keeps the process from ending.

    Raises:
        BaseException: Whatever the function raised.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, Crossing):
        await loop.run_on_thread(function)
        return
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def conclude(error: BaseException | None) -> None:
        if not done.done():
            done.set_result(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            function()
        except BaseException as raised:  # noqa: BLE001 - carried over to the loop
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(conclude, error)

    # In a copy of the context, as `asyncio.to_thread` does: it knows on which worker it is.
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(work,), name="workkit-sync-part", daemon=True
    )
    thread.start()
    try:
        error = await done
    except asyncio.CancelledError:
        if thread.ident is not None and thread.is_alive():
            raise_in(thread.ident, JobTimeout)
        raise
    if error is not None:
        raise error
