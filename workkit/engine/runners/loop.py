"""Runs async handlers as tasks on the pool's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from workkit.core.current import RUNNING, WORKER
from workkit.core.stacks import StackFrame
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.failures import Failure
from workkit.engine.handling.forked import FORKS, leave
from workkit.engine.process.sources import Sources
from workkit.engine.runners.base import Slots
from workkit.engine.runners.pool_loop import PoolLoop
from workkit.engine.runners.stacks import of_task, told

__all__ = ["LoopRunner"]

_log = logging.getLogger("workkit")

#: A worker that runs jobs without a wait yields to others after this long, seconds.
_STINT_S: Final = 0.001
_MOST_AT_ONCE: Final = 16
#: A worker's context has its worker and its job; any other variable was left by a handler.
_VARIABLES: Final = 2
#: A handler that does not yield for this long after its abandonment blocks the loop, seconds.
_HANGS_S: Final = 10.0
#: A loop that does not start waiting jobs for this long is reported, seconds.
_SLOW_S: Final = 5.0


class _TaskWorker:
    """One task and its current execution.

    Attributes:
        home: The runner that owns it.
        task: The task.
        current: The current execution, or None.
        abandoned: Whether the pool has given it up; it ends after its handler.
        gate: While the worker is parked, a future that wakes it; otherwise None.
    """

    __slots__ = ("abandoned", "current", "gate", "home", "task")

    task: asyncio.Task[None]

    def __init__(self, home: LoopRunner) -> None:
        self.home = home
        self.current: Execution | None = None
        self.abandoned = False
        self.gate: asyncio.Future[None] | None = None


class LoopRunner:
    """Tasks on the pool's event loop that run async handlers.

    One task per job would cost more than a short job. So each worker is a task that runs many jobs,
    and idle workers are parked. As with threads, one worker is woken for any number of executions;
    when it waits, it wakes the next ones, twice as many each time. A worker ends and is replaced if
    it was cancelled or if a handler has changed its context, so that jobs do not affect each other.

    Args:
        slots: The pool's workers.
        done: Receives each ended execution.
        sources: For start and end times, and the jitter of backoffs.
        pool_loop: The loop.

    Attributes:
        short: Whether the system has refused to start the loop's thread.
    """

    def __init__(
        self,
        slots: Slots,
        done: Callable[[Execution], None],
        sources: Sources,
        pool_loop: PoolLoop,
    ) -> None:
        self._slots = slots
        self._done = done
        self._clock = sources.clock
        self._entropy = sources.entropy
        self._ready: deque[Execution] = deque()
        self._workers: set[_TaskWorker] = set()
        self._parked: list[_TaskWorker] = []
        self._stride = 1  # how many workers to wake at once
        self._pump_due = False
        self._abandoned: set[_TaskWorker] = set()
        self._pool_loop = pool_loop
        self._loop: asyncio.AbstractEventLoop | None = None  # after the first job
        self._waits_since_s = 0.0  # since when jobs wait for a turn of the loop; 0 if none
        self._is_slow = False  # whether the log says so
        self._asked_s = 0.0  # since when the loop has not answered a request to abandon; 0 if none
        self._fault = ""  # the error that ended a worker with its job; "" if there is none
        self._forks = FORKS[0]
        self.short = False

    @property
    def fault(self) -> str:
        """The reason why the loop runs no more jobs; "" while it works."""
        if self._asked_s and self._clock.read().monotonic_s - self._asked_s > _HANGS_S:
            return "a handler that has passed its timeout blocks the event loop of async handlers"
        self._report_slow()
        return self._fault or self._pool_loop.fault

    def _report_slow(self) -> None:
        """Log once that the loop makes no turn while jobs wait for one, and where it is."""
        since_s = self._waits_since_s
        if not since_s or self._is_slow or self._clock.read().monotonic_s - since_s < _SLOW_S:
            return
        self._is_slow = True
        _log.warning(
            "a handler blocks the event loop, so all async jobs have waited for %g s; do the work "
            "in a sync handler or in asyncio.to_thread; it is at\n%s",
            _SLOW_S,
            self._pool_loop.where(),
        )

    def staff(self) -> None:
        """Start the loop for the waiting jobs if the system has refused its thread before."""
        if self.short:
            self.submit(())

    def submit(self, executions: Sequence[Execution]) -> None:
        """Queue executions and make the loop start as many as it can."""
        self._ready.extend(executions)
        try:
            self._loop = self._pool_loop()
            self.short = False
            self._waits_since_s = self._waits_since_s or self._clock.read().monotonic_s
            self._loop.call_soon_threadsafe(self._pump)
        except (RuntimeError, OSError):  # the system refuses a thread, or the loop has ended
            self.short = self._loop is None

    def _pump(self) -> None:
        """Wake parked workers, or make new ones, while executions wait."""
        self._pump_due = self._is_slow = False
        self._waits_since_s = 0.0
        for _ in range(min(self._stride, len(self._ready))):
            if self._parked:
                gate = self._parked.pop().gate
                if gate is not None and not gate.done():
                    gate.set_result(None)
            elif self._slots.free:
                self._add_worker()

    def _add_worker(self) -> None:
        assert self._loop is not None  # noqa: S101 - it runs this
        worker = _TaskWorker(self)
        self._workers.add(worker)
        # A new context: the current one may belong to the handler that caused this call.
        context, work = contextvars.Context(), self._work(worker)
        try:
            worker.task = context.run(self._loop.create_task, work)
        except BaseException:  # a handler may have set a task factory that raises
            self._workers.discard(worker)
            work.close()
            raise

    async def _work(self, worker: _TaskWorker) -> None:
        """Run jobs, park while there are none, until this worker must be replaced."""
        WORKER.set(worker)
        stint_ends_s = 0.0
        try:
            while not worker.abandoned:
                execution = self._next()
                if execution is None:
                    RUNNING.set(None)  # a waiting worker must not keep the job
                    await self._park(worker)
                    stint_ends_s = 0.0
                    continue
                RUNNING.set(execution.payload)
                now_s = await self._run(worker, execution)
                if worker.task.cancelling() or len(contextvars.copy_context()) != _VARIABLES:
                    return
                if now_s >= stint_ends_s:
                    if stint_ends_s:
                        await asyncio.sleep(0)
                    stint_ends_s = now_s + _STINT_S
        except (asyncio.CancelledError, GeneratorExit):  # ended from outside, or the loop is gone
            raise
        except BaseException as error:  # any error leaves its job stuck
            self._fault = f"a worker of async handlers was ended by {type(error).__name__}"
            _log.exception("a worker of async handlers has ended")
            raise
        finally:
            self._workers.discard(worker)
            self._abandoned.discard(worker)
            self._wake_next()

    def _next(self) -> Execution | None:
        """Return an execution that has a slot, or None."""
        worker_id = self._slots.take() if self._ready else ""
        if not worker_id:
            return None
        try:
            execution = self._ready.popleft()
        except IndexError:  # withdrawn since the check
            self._slots.give(worker_id)
            return None
        execution.worker_id = worker_id
        return execution

    async def _park(self, worker: _TaskWorker) -> None:
        self._stride = 1
        worker.gate = worker.task.get_loop().create_future()
        self._parked.append(worker)
        try:
            await worker.gate
        finally:
            worker.gate = None
            if worker in self._parked:
                self._parked.remove(worker)

    def _wake_next(self) -> None:
        """Schedule a wake-up of other workers for when this worker waits."""
        if self._ready and not self._pump_due and self._loop is not None:
            self._pump_due = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._ready:
            self._stride = min(2 * self._stride, _MOST_AT_ONCE)
        self._pump()

    async def _run(self, worker: _TaskWorker, execution: Execution) -> float:
        """Run a handler; return the time of its end, monotonic seconds."""
        worker.current = execution
        execution.runner = worker
        self._wake_next()
        job = execution.start(execution.worker_id, self._clock)
        error: BaseException | None = None
        try:
            if execution.watched is None:
                await execution.chain.run_async(job)
            else:
                await execution.watched.run_async(execution.chain.run_async, job)
        except BaseException as raised:  # noqa: BLE001 - a cancelled handler is a failed job
            error = raised
        if FORKS[0] != self._forks:
            leave(error)
        failure: Failure | None = None
        if error is not None or job.has_unread_arg_error:
            failure = execution.examine(error, self._clock, self._entropy)
            if FORKS[0] != self._forks:  # a backoff may fork too
                leave(None)
        worker.current = None
        if worker.abandoned:
            return 0.0
        ended = execution.finish(failure, self._clock)
        error = failure = None  # breaks the cycle of this frame and those of the traceback
        self._slots.give(execution.worker_id)
        self._done(execution)
        return ended.monotonic_s

    @property
    def starved(self) -> bool:
        """Whether no execution waits for a free worker."""
        return not self._ready

    def withdraw(self) -> list[Execution]:
        """Return the executions that have not started, and forget them."""
        taken = []
        while self._ready:
            try:
                taken.append(self._ready.popleft())
            except IndexError:
                break
        return taken

    def interrupt(self, execution: Execution) -> None:
        """Cancel the handler."""

        def cancel() -> None:
            worker: _TaskWorker | None = execution.runner
            if worker is not None and worker.current is execution:
                worker.task.cancel()

        self._call(cancel)

    def stack(self, execution: Execution) -> list[StackFrame]:
        """Return where a running handler is; empty if it does not run."""
        worker: _TaskWorker | None = execution.runner
        if worker is None or worker.current is not execution:
            return []
        frames = of_task(worker.task, self._pool_loop.ident)
        return told(frames) if worker.current is execution else []  # it may have gone on meanwhile

    def abandon(self, execution: Execution) -> None:
        """Give up a handler that swallows its cancellation."""

        def let_go() -> None:
            self._asked_s = 0.0
            worker: _TaskWorker | None = execution.runner
            if worker is not None and worker.current is execution and not worker.abandoned:
                worker.abandoned = True
                self._abandoned.add(worker)
                self._slots.give(execution.worker_id)
                self._pump()

        self._asked_s = self._asked_s or self._clock.read().monotonic_s
        self._call(let_go)

    def _call(self, function: Callable[[], None]) -> None:
        """Call a function on the loop; does nothing if the loop does not exist or has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError, OSError):
                self._loop.call_soon_threadsafe(function)

    def abandoned(self) -> int:
        """Count the abandoned handlers that still run."""
        return len(self._abandoned)

    def close(self, *, wait_s: float) -> None:
        """Cancel the running tasks, and wait for them for a limited time."""
        if self._loop is None:
            return
        closing = self._cancel_all(wait_s / 2)
        try:
            ended = asyncio.run_coroutine_threadsafe(closing, self._loop)
        except (RuntimeError, OSError):  # the loop has ended
            closing.close()
            return
        try:
            ended.result(wait_s)
        except TimeoutError:  # a handler that blocks the loop
            pass
        except Exception:  # noqa: BLE001 - other code may have changed the loop's task factory
            _log.exception("the tasks of async handlers could not be cancelled")
            closing.close()

    async def _cancel_all(self, wait_s: float) -> None:
        tasks = [worker.task for worker in self._workers]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)
