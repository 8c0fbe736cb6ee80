"""Stacks of sync handlers in virtual time: the world answers their requests when they are due."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from workkit.errors import JobTimeout, ServerError
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.parking import ParkedThreads, Stack
from workkit.simulation.machine.process import Connection
from workkit.simulation.machine.world import Timer, World, microseconds

__all__ = ["AwaitRequest", "HandlerStack", "SendRequest", "SleepRequest", "WaitRequest"]


class SleepRequest:
    """A request to sleep.

    Args:
        seconds: How long, virtual seconds.
        interruptible: Whether a timeout ends it early.
    """

    def __init__(self, seconds: float, *, interruptible: bool) -> None:
        self.seconds = seconds
        self.interruptible = interruptible


class WaitRequest:
    """A request to wait until another thread of the simulation calls `release`.

    It stands in for the lock on which a thread waits in `threading.Condition`.

    Args:
        timeout_s: How long at most, virtual seconds; None for ever.

    Attributes:
        wake: Ends the wait; None before it has begun and after it has ended.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self.timeout_s = timeout_s
        self.wake: Callable[[], object] | None = None

    def release(self) -> None:
        """End the wait.

        Raises:
            RuntimeError: It has ended already, so that `Condition.notify` wakes another one.
        """
        if self.wake is None:
            raise RuntimeError("release unlocked lock")
        wake, self.wake = self.wake, None
        wake()


class SendRequest:
    """A request to send commands to the server."""

    def __init__(self, commands: Sequence[Any]) -> None:
        self.commands = commands


class AwaitRequest:
    """A request to run a coroutine on the pool's event loop and wait for it.

    As in a real pool, the coroutine sees the context variables of the thread that waits.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self.context = contextvars.copy_context()


class HandlerStack:
    """Runs one function on a thread of a host, and answers its requests.

    Args:
        host: The machine that it runs on.
        connection: Sends its commands.
        threads: Provides its thread.
        loop: Runs the coroutines that it awaits.
    """

    def __init__(
        self,
        host: Host,
        connection: Connection,
        threads: ParkedThreads,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._host = host
        self._connection = connection
        self._threads = threads
        self._loop = loop
        self._stack: Stack | None = None
        self._ended: Callable[[BaseException | None], None] | None = None
        self._sleeping: Timer | None = None
        self._awaiting: asyncio.Task[Any] | None = None
        self._interrupted = False

    def start(
        self, body: Callable[[], object], what: str, ended: Callable[[BaseException | None], None]
    ) -> None:
        """Run a function on a stack.

        Args:
            body: The function.
            what: A name for the function, for the error that it blocks.
            ended: Called with the exception that the function raised, or None.
        """
        self._stack, self._ended = Stack(body, what, self._host), ended
        self._go_on()

    def interrupt(self) -> None:
        """Throw `JobTimeout` into the function as soon as real Python could."""
        self._interrupted = True
        if self._sleeping is not None:
            World.cancel(self._sleeping)
            self._sleeping = self._host.soon(self._slept)
        elif self._awaiting is not None:
            self._awaiting.cancel()

    def unwind(self) -> None:
        """End the stack, once the world is over."""
        if self._stack is not None:
            self._stack.unwind(self._threads)

    def _go_on(self, answer: Any = None, error: BaseException | None = None) -> None:
        stack = self._stack
        assert stack is not None  # noqa: S101 - it was started
        assert self._ended is not None  # noqa: S101
        stack.go_on(self._threads, answer, error)
        request = stack.request
        if stack.ended:
            self._ended(stack.error)
        elif isinstance(request, SleepRequest):
            self._sleep(request)
        elif isinstance(request, WaitRequest):
            self._wait(request)
        elif isinstance(request, AwaitRequest):
            self._awaiting = self._loop.create_task(request.coroutine, context=request.context)
            self._awaiting.add_done_callback(self._awaited)
        else:
            self._connection.send(request.commands, self._answered)

    def _sleep(self, sleep: SleepRequest) -> None:
        delay_us = microseconds(max(sleep.seconds, 0))
        if not sleep.interruptible:
            self._host.later(delay_us, self._slept)
        else:
            self._sleeping = self._host.later(0 if self._interrupted else delay_us, self._slept)

    def _slept(self) -> None:
        self._sleeping = None
        self._go_on(error=self._interrupt())

    def _wait(self, wait: WaitRequest) -> None:
        timer: Timer | None = None

        def end(*, notified: bool) -> None:
            wait.wake = None
            self._go_on(notified, self._interrupt())

        def wake() -> None:
            if timer is not None:
                World.cancel(timer)
            self._host.soon(partial(end, notified=True))

        wait.wake = wake
        if wait.timeout_s is not None:
            delay_us = microseconds(max(wait.timeout_s, 0))
            timer = self._host.later(delay_us, partial(end, notified=False))

    def _awaited(self, task: asyncio.Task[Any]) -> None:
        self._awaiting = None
        error = JobTimeout() if task.cancelled() else task.exception()
        answer = None if error is not None else task.result()
        self._go_on(answer, self._interrupt() or error)

    def _answered(self, outcome: Any) -> None:
        error = self._interrupt() or (outcome if isinstance(outcome, ServerError) else None)
        self._go_on(outcome, error)

    def _interrupt(self) -> BaseException | None:
        """Return the pending interrupt, once."""
        interrupted, self._interrupted = self._interrupted, False
        return JobTimeout() if interrupted else None
