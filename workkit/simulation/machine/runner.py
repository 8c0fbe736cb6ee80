"""Runs handlers in virtual time: sync ones on parked threads, async ones on a virtual loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Protocol

from workkit.core.clock import Clock
from workkit.core.current import RUNNING, WORKER
from workkit.core.entropy import Entropy
from workkit.core.stacks import StackFrame
from workkit.engine.handling.execution import Execution
from workkit.engine.runners.base import Slots
from workkit.errors import InvalidArgs, JobTimeout
from workkit.simulation.machine.durations import Takes, draw
from workkit.simulation.machine.handler_stack import HandlerStack
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.inside import HERE
from workkit.simulation.machine.loop import VirtualLoop
from workkit.simulation.machine.parking import ParkedThreads
from workkit.simulation.machine.process import Connection
from workkit.simulation.machine.world import Timer, World, microseconds

__all__ = ["HandlerListener", "SimulatedRunner"]


class HandlerListener(Protocol):
    """Is told when a handler starts or ends."""

    def handler_started(self, execution: Execution) -> None:
        """A handler starts."""
        ...

    def handler_ended(self, execution: Execution, error: BaseException | None) -> None:
        """A handler has ended, or was given up after its timeout."""
        ...


class _RunningHandler:
    """A running execution.

    Attributes:
        stack: Its stack, if it is sync.
        task: Its task, if it is async.
        remainder: The timer for the time that it still takes after its code has run, or None.
        abandoned: Whether its pool has given it up.
        current: The execution while its code runs, or None.
    """

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.current: Execution | None = execution
        self.stack: HandlerStack | None = None
        self.task: asyncio.Task[Any] | None = None
        self.remainder: Timer | None = None
        self.abandoned = False


class SimulatedRunner:
    """The runner of a simulated pool.

    Args:
        worker_ids: The ids of the pool's workers.
        done: Called with each execution that has ended.
        clock: Tells start and end times.
        entropy: Draws the jitter of backoffs and the durations of handlers.
        host: The machine that the pool runs on.
        connection: Sends the commands of handlers.
        threads: Provides the threads of sync handlers.
        takes: Job name -> how long its handlers take.
        idle: Names of jobs whose handlers do nothing that takes time, and so need no thread.
        listener: Is told when a handler starts or ends.
    """

    def __init__(
        self,
        worker_ids: Sequence[str],
        done: Callable[[Execution], None],
        *,
        clock: Clock,
        entropy: Entropy,
        host: Host,
        connection: Connection,
        threads: ParkedThreads,
        takes: Mapping[str, Takes],
        idle: AbstractSet[str],
        listener: HandlerListener,
    ) -> None:
        self._slots = Slots(worker_ids)
        self._size = len(worker_ids)
        self._done = done
        self._clock = clock
        self._entropy = entropy
        self._host = host
        self._connection = connection
        self._threads = threads
        self._takes = takes
        self._idle = idle
        self._listener = listener
        self._waiting: deque[Execution] = deque()
        self._running: dict[int, _RunningHandler] = {}
        self._abandoned: list[_RunningHandler] = []
        self._pumping = False
        self.loop = VirtualLoop(host, self._new_stack)

    # Called by the dispatcher.

    def submit(self, executions: Sequence[Execution]) -> None:
        """Start executions in this order, as workers become free."""
        self._waiting.extend(executions)
        self._host.soon(self._pump)

    @property
    def starved(self) -> bool:
        """Whether no execution waits for a free worker."""
        return not self._waiting

    fault = ""
    short = False

    @property
    def capacity(self) -> int:
        """How many handlers can run at once."""
        return self._size

    def runs_here(self) -> bool:
        """Tell whether this is called from within one of the handlers."""
        return False

    def staff(self) -> None:
        """Do nothing: a simulated system starts every thread."""

    def withdraw(self) -> list[Execution]:
        """Return the executions that have not started, and forget them."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def interrupt(self, execution: Execution) -> None:
        """Interrupt a running handler, as far as Python could."""
        run = self._running.get(id(execution))
        if run is None:
            return
        execution.interrupted = True
        if run.task is not None:
            self._host.soon(run.task.cancel)
        elif run.remainder is not None:
            World.cancel(run.remainder)
            run.remainder = self._host.soon(self._ended, run, JobTimeout())
        elif run.stack is not None:
            run.stack.interrupt()

    def abandon(self, execution: Execution) -> None:
        """Give up a handler that does not stop, and free its worker."""
        run = self._running.pop(id(execution), None)
        if run is not None:
            run.abandoned = True
            self._abandoned.append(run)
            self._slots.give(execution.worker_id)
            self._host.soon(self._pump)

    def stack(self, execution: Execution) -> list[StackFrame]:
        """Name the handler, if it runs; the frames of threads differ from run to run."""
        if id(execution) not in self._running:
            return []
        return [StackFrame("simulated", 1, execution.payload.name, "")]

    def abandoned(self) -> int:
        """Count the abandoned handlers that still run."""
        return len(self._abandoned)

    def close(self, *, wait_s: float) -> None:
        """Cancel the async handlers."""
        del wait_s
        for run in self._running.values():
            if run.task is not None:
                run.task.cancel()

    def unwind(self) -> None:
        """End all stacks once the world is over."""
        self.loop.close()
        for run in (*self._running.values(), *self._abandoned):
            if run.stack is not None:
                run.stack.unwind()
        self.loop.unwind()

    # Running.

    def _pump(self) -> None:
        """Start waiting executions, as long as there are free workers."""
        if self._pumping:
            return  # a handler has ended as soon as it started; the loop below goes on
        self._pumping = True
        try:
            while self._waiting and (worker_id := self._slots.take()):
                self._start(self._waiting.popleft(), worker_id)
        finally:
            self._pumping = False

    def _start(self, execution: Execution, worker_id: str) -> None:
        run = _RunningHandler(execution)
        self._running[id(execution)] = run
        execution.runner = run
        execution.start(worker_id, self._clock)
        self._listener.handler_started(execution)
        if execution.chain.on_loop:
            # In a separate context, since each worker of a real loop has its own.
            run.task = contextvars.Context().run(self.loop.create_task, self._run_task(run))
        elif (name := execution.payload.name) in self._idle:
            error: BaseException | None = None
            try:
                _run_sync(execution)
            except Exception as raised:  # noqa: BLE001 - how a job of a replay fails
                error = raised
            self._returned(run, error)
        else:
            run.stack = self._new_stack()
            run.stack.start(
                partial(self._run_sync, run),
                f"the handler of {name!r}",
                partial(self._returned, run),
            )

    def _leftover_s(self, execution: Execution) -> float:
        """Return how long a handler still takes after its code has run."""
        takes = self._takes.get(execution.payload.name)
        assert execution.started is not None  # noqa: S101 - it runs
        passed_s = self._clock.read().monotonic_s - execution.started.monotonic_s
        return draw(takes, self._entropy) - passed_s if takes is not None else 0.0

    def _ended(self, run: _RunningHandler, error: BaseException | None) -> None:
        execution = run.execution
        if run.abandoned:
            self._abandoned.remove(run)
            execution.finished = execution.finished or self._clock.read()
            self._listener.handler_ended(execution, error)
            return
        del self._running[id(execution)]
        caller, HERE.host = HERE.host, self._host  # it calls the backoff
        is_unread = error is None and execution.job.has_unread_arg_error
        try:
            failure = execution.examine(error, self._clock, self._entropy)
        finally:
            HERE.host = caller
        if is_unread and execution.options.check_args:
            error = InvalidArgs(execution.job.arg_error)
        execution.finish(failure, self._clock)
        self._slots.give(execution.worker_id)
        self._listener.handler_ended(execution, error)
        self._done(execution)
        self._pump()

    # Async handlers.

    async def _run_task(self, run: _RunningHandler) -> None:
        error: BaseException | None = None
        try:
            _enter(run)
            await _run_async(run.execution)
        except BaseException as raised:  # noqa: BLE001 - a cancelled handler is a failed job
            error = raised
        run.current = None
        leftover_s = self._leftover_s(run.execution)
        if leftover_s > 0 and not isinstance(error, asyncio.CancelledError):
            try:
                await asyncio.sleep(leftover_s)
            except BaseException as raised:  # noqa: BLE001
                error = raised
        self._ended(run, error)

    # Sync handlers.

    def _run_sync(self, run: _RunningHandler) -> None:
        _enter(run)  # in the context of the stack's thread
        try:
            _run_sync(run.execution, lambda: self.loop)
        finally:
            run.current = None
            RUNNING.set(None)
            WORKER.set(None)

    def _returned(self, run: _RunningHandler, error: BaseException | None) -> None:
        """Wait for the time that a handler still takes; this needs no stack."""
        leftover_s = self._leftover_s(run.execution)
        if leftover_s <= 0 or isinstance(error, JobTimeout):
            self._ended(run, error)
        else:
            run.remainder = self._host.later(microseconds(leftover_s), self._ended, run, error)

    def _new_stack(self) -> HandlerStack:
        return HandlerStack(self._host, self._connection, self._threads, self.loop)


def _run_sync(
    execution: Execution, loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run a sync chain inside its probes, as real runners do."""
    if execution.watched is None:
        execution.chain.run(execution.job, loop)
    else:
        execution.watched.run(execution.chain.run, execution.job, loop)


async def _run_async(execution: Execution) -> None:
    """Run an async chain inside its probes."""
    if execution.watched is None:
        await execution.chain.run_async(execution.job)
    else:
        await execution.watched.run_async(execution.chain.run_async, execution.job)


def _enter(run: _RunningHandler) -> None:
    """Name a job in the current context, as real runners do."""
    WORKER.set(run)
    RUNNING.set(run.execution.payload)
