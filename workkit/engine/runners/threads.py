"""Runs sync handlers on threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from workkit.core.clock import Instant
from workkit.core.current import RUNNING, WORKER
from workkit.core.stacks import StackFrame
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.failures import Failure
from workkit.engine.handling.forked import FORKS, leave
from workkit.engine.handling.interrupt import raise_in
from workkit.engine.process.sources import Sources
from workkit.engine.runners.base import Slots
from workkit.engine.runners.stacks import of_thread, told
from workkit.errors import JobTimeout

__all__ = ["ThreadRunner"]

#: Loop turns that are enough for a pending interrupt to arrive.
_BYTECODES = 1_000
_MOST_WOKEN = 16

_log = logging.getLogger("workkit")


class _ThreadWorker:
    """One thread and its current execution.

    Attributes:
        home: The runner that owns it.
        thread: The thread.
        lock: Held while `current` changes or is interrupted.
        current: The current execution, or None.
        struck: The last interrupted execution, so that none is interrupted twice.
        abandoned: Whether the pool has given it up; it ends after its handler.
        gate: Closed; the thread that takes the worker from the parked ones opens it once.
    """

    __slots__ = ("abandoned", "current", "gate", "home", "lock", "struck", "thread")

    def __init__(self, home: ThreadRunner) -> None:
        self.home = home
        self.lock = threading.Lock()
        self.gate = threading.Lock()
        self.gate.acquire()
        self.current: Execution | None = None
        self.struck: Execution | None = None
        self.abandoned = False
        self.thread: threading.Thread | None = None


class ThreadRunner:
    """A group of threads with one queue; threads start when they are needed.

    Waking a thread costs more than a short job. So only one thread is woken for any number of
    executions. If it finds more than it takes itself, it wakes others before it runs its own, twice
    as many each time. So if handlers wait, all threads soon work; if handlers end at once, one
    thread does all.

    Args:
        slots: The pool's workers.
        concurrency: The most threads, without abandoned ones.
        done: Receives each ended execution.
        sources: For start and end times, and the jitter of backoffs.
        loop: Returns the event loop for the async parts of a chain.

    Attributes:
        fault: The error that ended a thread too early; "" if there is none.
        short: Whether the system has refused to start a needed thread.
    """

    def __init__(
        self,
        slots: Slots,
        concurrency: int,
        done: Callable[[Execution], None],
        sources: Sources,
        loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        self._slots = slots
        self._concurrency = concurrency
        self._done = done
        self._clock = sources.clock
        self._entropy = sources.entropy
        self._loop = loop
        self._ready: deque[Execution] = deque()
        self._parked: deque[_ThreadWorker] = deque()  # the last one parked has the warmest caches
        self._woken: set[_ThreadWorker] = set()  # woken but not yet running
        self._stride = 1  # the most workers in `_woken`
        self._closed = False
        self._workers: list[_ThreadWorker] = []
        self._abandoned: list[_ThreadWorker] = []
        self._forks = FORKS[0]
        self.fault = ""
        self.short = False

    def submit(self, executions: Sequence[Execution]) -> None:
        """Queue executions, and start threads for them up to the limit."""
        self._ready.extend(executions)
        self._wake_some()
        wanted = min(self._concurrency, len(self._workers) + len(self._ready))
        while len(self._workers) < wanted and not self.short:
            self._add_worker()

    def staff(self) -> None:
        """Start threads that the system has refused before: one, then as many as needed."""
        if self.short:
            self.short = False
            if len(self._workers) < self._concurrency:
                self._add_worker()
            self.submit(())

    @property
    def count(self) -> int:
        """The number of threads."""
        return len(self._workers)

    def _add_worker(self) -> None:
        """Start a thread. It counts only once it runs, since the system may refuse it."""
        worker = _ThreadWorker(self)
        thread = threading.Thread(
            target=self._serve, args=(worker,), name="workkit-worker", daemon=True
        )
        thread.workkit_worker = worker  # type: ignore[attr-defined]  # for `here`
        worker.thread = thread
        try:
            thread.start()
        except RuntimeError:
            self.short = True
        else:
            self._workers.append(worker)

    def _serve(self, worker: _ThreadWorker) -> None:
        WORKER.set(worker)
        try:
            self._work(worker)
        except BaseException as error:  # noqa: BLE001 - any error leaves its jobs stuck
            self.fault = f"a worker thread was ended by {type(error).__name__}"
            _log.exception("a worker thread has ended")

    @property
    def starved(self) -> bool:
        """Whether no execution waits for a free worker."""
        return not self._ready

    def withdraw(self) -> list[Execution]:
        """Return the executions that have not started, and forget them."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._ready.popleft())
        return taken

    def interrupt(self, execution: Execution) -> None:
        """Raise `JobTimeout` in the handler's thread, between two of its bytecodes."""
        worker: _ThreadWorker | None = execution.runner
        if worker is None or worker.thread is None or worker.thread.ident is None:
            return
        with worker.lock:
            if worker.current is execution and worker.struck is not execution:
                worker.struck = execution
                execution.interrupted = True
                waits = execution.waits
                if not (waits and waits[-1].cancel()):
                    raise_in(worker.thread.ident, JobTimeout)

    def stack(self, execution: Execution) -> list[StackFrame]:
        """Return where a running handler is; empty if it does not run."""
        worker: _ThreadWorker | None = execution.runner
        if worker is None or worker.thread is None:
            return []
        with worker.lock:  # the worker cannot go on to another job meanwhile
            frames = of_thread(worker.thread.ident) if worker.current is execution else []
        return told(frames)

    def abandon(self, execution: Execution) -> None:
        """Give up a thread and replace it; does nothing if its handler has just ended."""
        worker: _ThreadWorker | None = execution.runner
        if worker is None:
            return
        with worker.lock:
            if worker.current is not execution or worker.abandoned:
                return
            worker.abandoned = True
        self._workers.remove(worker)
        self._abandoned.append(worker)
        self._slots.give(execution.worker_id)
        self._add_worker()

    def abandoned(self) -> int:
        """Count the abandoned threads that still run."""
        self._abandoned = [
            w for w in self._abandoned if w.thread is not None and w.thread.is_alive()
        ]
        return len(self._abandoned)

    def close(self, *, wait_s: float) -> None:
        """End idle threads, and wait for them for a limited time; busy ones are daemons."""
        self._closed = True
        while self._wake_one():
            pass
        for worker in self._workers:
            if worker.thread is not None and worker.current is None:
                worker.thread.join(wait_s)

    def _work(self, worker: _ThreadWorker) -> None:
        ready = self._ready
        now: Instant | None = None  # while it is recent
        execution: Execution | None
        while not worker.abandoned:
            try:
                execution = ready.popleft()
            except IndexError:
                if self._closed:
                    return
                # A waiting worker must not keep a job with its args, its error and its frames.
                execution = now = None
                RUNNING.set(None)
                self._park(worker)
                continue
            if ready and self._parked and len(self._woken) < self._stride:
                self._wake_some()
            now = self._run(worker, execution, now)

    def _wake_some(self) -> None:
        """Wake as many workers as `_stride` allows."""
        while len(self._woken) < self._stride and self._wake_one():
            pass

    def _wake_one(self) -> bool:
        """Wake a parked worker, if there is one."""
        try:
            worker = self._parked.pop()
        except IndexError:
            return False
        self._woken.add(worker)
        worker.gate.release()
        return True

    def _park(self, worker: _ThreadWorker) -> None:
        """Wait until there may be something to run."""
        self._parked.append(worker)
        if self._ready or self._closed:  # this came before others could see the parked worker
            with contextlib.suppress(ValueError):  # taken already, so the gate opens soon
                self._parked.remove(worker)
                return
        worker.gate.acquire()
        self._woken.discard(worker)
        self._stride = min(2 * self._stride, _MOST_WOKEN) if self._ready else 1

    def _run(
        self, worker: _ThreadWorker, execution: Execution, now: Instant | None
    ) -> Instant | None:
        """Run a handler.

        Args:
            worker: The worker of this thread.
            execution: The execution to run.
            now: The time, if it was just read.

        Returns:
            When the handler ended; None if the pool has given it up.
        """
        execution.runner = worker
        job = execution.start(self._slots.take(), self._clock, now)
        worker.current = execution
        error: BaseException | None = None
        failure: Failure | None = None
        over = False
        try:
            try:
                RUNNING.set(execution.payload)  # the chain runs in a copy of this context
                if execution.watched is None:
                    execution.chain.run(job, self._loop, execution)
                else:
                    execution.watched.run(execution.chain.run, job, self._loop, execution)
                over = True
            except BaseException as raised:  # noqa: BLE001 - a SystemExit ends the job, not the worker
                error, over = raised, True
            if FORKS[0] != self._forks:
                leave(error)
            if error is not None or job.has_unread_arg_error:
                failure = execution.examine(error, self._clock, self._entropy)
                if FORKS[0] != self._forks:  # a backoff may fork too
                    leave(None)
            self._leave(worker, execution)
        except JobTimeout as late:  # an interrupt arrived after the handler; there is only one
            if not over:
                error = late
            self._leave(worker, execution)
            failure = failure or execution.examine(error, self._clock, self._entropy, alone=True)
        if worker.abandoned:
            _log.warning("abandoned handler of %r has ended", execution.payload.name)
            execution.finished = execution.finished or self._clock.read()
            return None
        ended = execution.finish(failure, self._clock)
        error = failure = None  # breaks the cycle of this frame and those of the traceback
        self._slots.give(execution.worker_id)
        self._done(execution)
        return ended

    @staticmethod
    def _leave(worker: _ThreadWorker, execution: Execution) -> None:
        """Leave the handler: a late interrupt must not hit another one."""
        with worker.lock:
            worker.current = worker.struck = None
        if execution.interrupted:
            # It cannot be cancelled (CPython 3.11 would then check for it for ever after), but it
            # arrives within a few bytecodes.
            for _ in range(_BYTECODES):
                pass
