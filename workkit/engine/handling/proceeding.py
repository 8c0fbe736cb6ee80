"""Calls of `next`: what middleware begins has ended before its job is settled."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from workkit.engine.handling.interrupt import run_on_thread
from workkit.engine.handling.results import finished, label
from workkit.errors import InvalidHandler

__all__ = ["MIDDLEWARE", "Call", "Next", "await_middleware", "drop", "ended", "too_late"]

_log = logging.getLogger("workkit")

MIDDLEWARE: Final = "the middleware"
#: How long a thread waits for another without a chance to be interrupted, seconds.
_GLANCE_S: Final = 0.05
#: A coroutine; `typing` does not declare the frames of coroutines.
Call: TypeAlias = Any


class Next:
    """The `next` of one middleware around one job, on a thread.

    A call counts only while the middleware runs. What another thread has begun by then is waited
    for; a later call would run the handler of a job that is settled.

    Attributes:
        calls: The coroutines that calls have returned if the middleware is awaited; None if calls
            run the rest on their thread.
    """

    __slots__ = ("_error", "_function", "_go", "_idle", "_lock", "_over", "_running", "calls")

    def __init__(self, go: Callable[[], None], function: object) -> None:
        self._go = go
        self._function = function
        self._lock = threading.Lock()
        self._over = False
        self._running = 0
        self._idle: threading.Event | None = None
        self._error: BaseException | None = None
        self.calls: list[Call] | None = None

    def call(self) -> Any:
        """Run the rest of the chain, or return a coroutine that does."""
        with self._lock:
            if self._over:
                raise too_late(self._function)
            if self.calls is not None:
                self.calls.append(call := run_on_thread(self._go))
                return call
            self._running += 1
        try:
            self._go()
        except BaseException as error:
            self._keep(error)
            raise
        finally:
            with self._lock:
                self._running -= 1
                if self._idle is not None and not self._running:
                    self._idle.set()
        return None

    def _keep(self, error: BaseException) -> None:
        if self._over:  # the middleware does not see it; `end` waits for it
            self._error = error

    def close(self) -> None:
        """Refuse all further calls."""
        with self._lock:
            self._over = True

    def end(self) -> None:
        """Refuse all further calls, and wait for those that run on other threads.

        Raises:
            InvalidHandler: A callback of the loop has made a call that nobody can await any more.
            BaseException: The error of one that was waited for.
        """
        with self._lock:
            self._over = True
            if self.calls and any(map(_has_not_begun, self.calls)):
                _drop_unbegun(self.calls)
                raise _unawaited(self._function)
            if not self._running:
                return
            self._idle = threading.Event()
        while not self._idle.wait(_GLANCE_S):
            pass  # so that a timeout can interrupt this thread
        self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def too_late(function: object) -> InvalidHandler:
    """Log that `next` was called too late, since nobody may see the error, and return the error."""
    error = InvalidHandler(
        f"the middleware {label(function)} called next() after it had returned, when its job was "
        "settled, so the handler has not run; call next() before returning"
    )
    _log.error("%s", error)
    return error


async def await_middleware(result: object, function: object, calls: Sequence[Call]) -> None:
    """Await the result of a middleware on the loop, and its calls of `next`."""
    try:
        await finished(result, function, MIDDLEWARE)
    except BaseException:
        drop(calls)
        raise
    await ended(function, calls)


async def ended(function: object, calls: Sequence[Call]) -> None:
    """Make sure that the calls of `next` have ended when their middleware ends.

    Raises:
        InvalidHandler: Nobody awaited a call, or its awaiter is unknown.
        BaseException: The error of a call that ran in a task.
    """
    if any(_has_not_begun(call) for call in calls):
        await asyncio.sleep(0)  # a task for the call may not have started
    if any(_has_not_begun(call) for call in calls):
        drop(calls)
        raise _unawaited(function)
    running = [call for call in calls if call.cr_frame is not None]
    tasks = _tasks_of(running)
    if len(tasks) < len(running):
        raise InvalidHandler(
            f"the middleware {label(function)} has ended, but its call of next() still runs; "
            "write: await next()"
        )
    await asyncio.gather(*tasks)


def _unawaited(function: object) -> InvalidHandler:
    return InvalidHandler(
        f"the middleware {label(function)} called next() and did not await it, so the handler "
        "has not run; write: await next()"
    )


def drop(calls: Sequence[Call]) -> None:
    """End the calls of `next` of a middleware that has failed."""
    _drop_unbegun(calls)
    for task in _tasks_of([call for call in calls if call.cr_frame is not None]):
        task.cancel()


def _drop_unbegun(calls: Sequence[Call]) -> None:
    """Close the calls that nobody will await, so that Python does not warn."""
    for call in calls:
        if _has_not_begun(call):
            call.close()


def _tasks_of(calls: Sequence[Call]) -> list[asyncio.Task[Any]]:
    """Return the tasks that run some calls."""
    if not calls:
        return []
    return [task for task in asyncio.all_tasks() if task.get_coro() in calls]


def _has_not_begun(call: Call) -> bool:
    return inspect.getcoroutinestate(call) == inspect.CORO_CREATED
