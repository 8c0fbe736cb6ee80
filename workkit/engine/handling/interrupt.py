"""Between threads and an event loop: waiting for each other, and interrupting the other side."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import ctypes
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from workkit.errors import JobTimeout, PoolState

__all__ = ["Crossing", "Waiting", "Waits", "raise_in", "responds", "run_on_thread", "wait_for"]

#: What threads of one execution wait for, the innermost last.
Waits: TypeAlias = "list[concurrent.futures.Future[BaseException | None]]"


class Waiting(Protocol):
    """Has a place for what its threads wait for.

    Attributes:
        waits: What that is; None for nothing so far.
    """

    waits: Waits | None


class Crossing:
    """An event loop that goes between coroutines and threads in its own way, as the simulator's."""

    def await_on_thread(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop while the present thread waits.

        Returns:
            What it returned.

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
    """Run a function on a thread of its own, in a copy of this context; cancelling interrupts it.

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

    context = contextvars.copy_context()

    def work() -> None:
        error: BaseException | None = None
        try:
            context.run(function)
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


def responds(loop: asyncio.AbstractEventLoop, within_s: float) -> bool:
    """Tell whether a loop on another thread has a turn within some seconds."""
    turned = threading.Event()
    loop.call_soon_threadsafe(turned.set)
    return turned.wait(within_s)


def wait_for(
    coroutine: Coroutine[Any, Any, Any],
    loop: asyncio.AbstractEventLoop,
    waits: Waits | None = None,
) -> Any:
    """Run a coroutine on a loop while this thread waits, and return its result.

    A thread that waits here is interrupted by cancelling what it waits for: an exception thrown
    into it could leave the locks of the future behind.

    Args:
        coroutine: The coroutine; a task of the loop copies the context of this thread.
        loop: A loop that runs on another thread.
        waits: Where to leave what is waited for.

    Raises:
        JobTimeout: It was cancelled.
        PoolState: This is the thread of the loop, which cannot wait for itself.
        BaseException: Whatever the coroutine raised.
    """
    if asyncio._get_running_loop() is loop:  # noqa: SLF001 - None where there is none
        coroutine.close()
        raise PoolState("the thread of the handlers' event loop cannot wait for it; await instead")
    result: list[Any] = []
    if isinstance(loop, Crossing):
        error = loop.await_on_thread(_contained(coroutine, result))
    else:
        error = _waited(coroutine, result, loop, waits if waits is not None else [])
    if error is not None:
        raise error
    return result[0]


def _waited(
    coroutine: Coroutine[Any, Any, Any],
    result: list[Any],
    loop: asyncio.AbstractEventLoop,
    waits: Waits,
) -> BaseException | None:
    ready = asyncio.Event()
    future = asyncio.run_coroutine_threadsafe(_contained(coroutine, result, ready), loop)
    try:
        waits.append(future)  # before the coroutine starts, so that it is never out of reach
        loop.call_soon_threadsafe(ready.set)
        return future.result()
    except concurrent.futures.CancelledError:
        raise JobTimeout from None
    except BaseException:
        future.cancel()
        raise
    finally:
        if future in waits:
            waits.remove(future)


async def _contained(
    coroutine: Coroutine[Any, Any, Any], result: list[Any], ready: asyncio.Event | None = None
) -> BaseException | None:
    """Await a user's coroutine; a SystemExit of its must not end the loop."""
    try:
        if ready is not None:
            await ready.wait()
    except asyncio.CancelledError:
        coroutine.close()
        raise
    try:
        result.append(await coroutine)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised again on the waiting thread
        return error
    return None
