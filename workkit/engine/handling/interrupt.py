"""Connects threads and an event loop: each side can wait for the other and interrupt it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import ctypes
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from workkit.errors import JobTimeout, PoolState

__all__ = ["Crossing", "Waiting", "Waits", "raise_in", "responds", "run_on_thread", "wait_for"]

#: The futures that threads of one execution wait for, the innermost last.
Waits: TypeAlias = "list[concurrent.futures.Future[BaseException | None]]"


class Waiting(Protocol):
    """Stores the futures that its threads wait for.

    Attributes:
        waits: The futures; None if there were none so far.
    """

    waits: Waits | None


class Crossing:
    """An event loop with its own way between coroutines and threads, such as the simulator's."""

    def await_on_thread(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop while the current thread waits.

        Returns:
            The coroutine's result.

        Raises:
            BaseException: The coroutine's error; `JobTimeout` if it was cancelled.
        """
        raise NotImplementedError

    async def run_on_thread(self, function: Callable[[], None]) -> None:
        """Run a function on a new thread; cancelling interrupts it.

        Raises:
            BaseException: The function's error.
        """
        raise NotImplementedError


def raise_in(thread_id: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread between two of its bytecodes.

    A thread that waits in C code (a blocking read, `time.sleep`) receives it when that returns.

    Args:
        thread_id: The thread's `ident`.
        error: The exception's class.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


async def run_on_thread(function: Callable[[], None]) -> None:
    """Run a function on a new thread, in a copy of this context; cancelling interrupts it.

    Unlike the threads of the loop's executor, such a thread never keeps the process alive.

    Raises:
        BaseException: The function's error.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, Crossing):
        await loop.run_on_thread(function)
        return
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def conclude(error: BaseException | None) -> None:
        if not done.done():
            done.set_result(error)

    # As `asyncio.to_thread` does, so that `here` finds the worker.
    context = contextvars.copy_context()

    def work() -> None:
        error: BaseException | None = None
        try:
            context.run(function)
        except BaseException as raised:  # noqa: BLE001 - raised again on the loop
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(conclude, error)

    thread = threading.Thread(target=work, name="workkit-sync-part", daemon=True)
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
    """Tell whether a loop on another thread runs a callback within some seconds."""
    turned = threading.Event()
    loop.call_soon_threadsafe(turned.set)
    return turned.wait(within_s)


def wait_for(
    coroutine: Coroutine[Any, Any, Any],
    loop: asyncio.AbstractEventLoop,
    waits: Waits | None = None,
) -> Any:
    """Run a coroutine on a loop while this thread waits, and return its result.

    A thread that waits here is interrupted by cancelling the future: an exception thrown into the
    thread could leave the future's locks held.

    Args:
        coroutine: The coroutine; a task of the loop copies the context of this thread.
        loop: A loop that runs on another thread.
        waits: Stores the future while it is waited for.

    Raises:
        JobTimeout: It was cancelled.
        PoolState: This is the thread of the loop, which cannot wait for itself.
        BaseException: The coroutine's error.
    """
    if asyncio._get_running_loop() is loop:  # noqa: SLF001 - returns None if no loop runs
        coroutine.close()
        raise PoolState("the thread of the handlers' event loop cannot wait for it; await instead")
    result: list[Any] = []
    if isinstance(loop, Crossing):
        try:
            error = loop.await_on_thread(_contained(coroutine, result))
        finally:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # it was refused
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
        waits.append(future)  # before the coroutine starts, so that it can always be cancelled
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
    """Await a user's coroutine; its SystemExit must not end the loop."""
    try:
        if ready is not None:
            await ready.wait()
    except asyncio.CancelledError:
        coroutine.close()
        raise
    try:
        result.append(await coroutine)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error  # the coroutine's own, not an interrupt
    except BaseException as error:  # noqa: BLE001 - raised again on the waiting thread
        return error
    return None
