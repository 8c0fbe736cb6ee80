"""Runs a blocking function on a thread of its own while a coroutine waits."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from workkit.errors import PoolState

__all__ = ["off_loop"]

R = TypeVar("R")


async def off_loop(function: Callable[[], R], name: str, cancelled: Callable[[], object]) -> R:
    """Run a function on a new thread, in a copy of this context, and return its result.

    The executor of the loop is for the application: it may be full, and its threads stay. If the
    wait is cancelled, the function goes on, and its result is dropped.

    Args:
        function: The function.
        name: The thread's name.
        cancelled: Called if the wait is cancelled; must not block.

    Raises:
        PoolState: The system refuses a thread.
        BaseException: The function's error.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    results, errors = list[R](), list[BaseException]()

    def conclude() -> None:
        if not ended.done():
            ended.set_result(None)

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting coroutine
            errors.append(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(conclude)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise PoolState(
            f"the system refuses to start a thread ({error}); raise its limit of threads, such as "
            "ulimit -u or the pids limit of the container"
        ) from None
    try:
        await ended
    except asyncio.CancelledError:
        cancelled()
        raise
    if errors:
        raise errors.pop()
    return results[0]
