"""Runs async handlers on an event loop of the pool's own."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from workkit.clock import Clock
from workkit.entropy import Entropy
from workkit.execution import Execution
from workkit.runners.base import Slots

__all__ = ["LoopRunner"]

_log = logging.getLogger("workkit")


class LoopRunner:
    """An event loop on a thread; both start when they are first needed.

    Args:
        slots: The pool's workers.
        done: Takes each execution that ended.
        clock: For start and end times.
        entropy: For the jitter of backoffs.
    """

    def __init__(
        self,
        slots: Slots,
        done: Callable[[Execution], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._slots = slots
        self._done = done
        self._clock = clock
        self._entropy = entropy
        self._ready: deque[Execution] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._pumping = False

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, starting it if need be."""
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                running = threading.Event()
                self._thread = threading.Thread(
                    target=self._serve, args=(loop, running), name="workkit-loop", daemon=True
                )
                self._thread.start()
                running.wait()
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop, running: threading.Event) -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(running.set)
        try:
            while True:
                try:
                    loop.run_forever()
                    break
                except (SystemExit, KeyboardInterrupt):
                    # asyncio lets these out of a task that a handler has made; jobs go on.
                    _log.exception("a task of a handler wanted to end the process")
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def submit(self, executions: Sequence[Execution]) -> None:
        """Queue executions and have the loop start what it can."""
        self._ready.extend(executions)
        self.loop().call_soon_threadsafe(self._pump)

    def _pump(self) -> None:
        if self._pumping:
            return  # called by a handler that ended where it was started, below
        self._pumping = True
        while self._ready and (worker_id := self._slots.take()):
            try:
                execution = self._ready.popleft()
            except IndexError:  # withdrawn meanwhile
                self._slots.give(worker_id)
                break
            task = _start(self._run(execution, worker_id))
            if not task.done():
                execution.runner = task
                self._tasks.add(task)
        self._pumping = False

    async def _run(self, execution: Execution, worker_id: str) -> None:
        execution.start(worker_id, self._clock)
        error: BaseException | None = None
        try:
            await execution.chain.run_async(execution.job)
        except BaseException as raised:  # noqa: BLE001 - a cancelled handler is a failed job
            error = raised
        self._tasks.discard(execution.runner)
        if execution.runner in self._abandoned:
            self._abandoned.discard(execution.runner)
            return
        execution.finish(error, self._clock, self._entropy)
        self._slots.give(worker_id)
        self._done(execution)
        self._pump()

    def withdraw(self) -> list[Execution]:
        """Take back what has not started."""
        taken = []
        while self._ready:
            try:
                taken.append(self._ready.popleft())
            except IndexError:
                break
        return taken

    def interrupt(self, execution: Execution) -> None:
        """Cancel the handler's task."""

        def cancel() -> None:
            if execution.runner is not None:
                execution.runner.cancel()

        if self._loop is not None:
            self._loop.call_soon_threadsafe(cancel)

    def abandon(self, execution: Execution) -> None:
        """Let go of a task that swallows its cancellation."""
        task = execution.runner
        if task is None or self._loop is None:
            return

        def let_go() -> None:
            if not task.done():
                self._abandoned.add(task)
                self._slots.give(execution.worker_id)
                self._pump()

        self._loop.call_soon_threadsafe(let_go)

    def abandoned(self) -> int:
        """Count the abandoned tasks that still run."""
        return len(self._abandoned)

    def close(self, *, wait_s: float) -> None:
        """Cancel what still runs and end the loop."""
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._cancel_all(wait_s), loop)
        thread.join(wait_s + 1)

    async def _cancel_all(self, wait_s: float) -> None:
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)
        asyncio.get_running_loop().stop()


def _start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task; where Python can, it runs at once up to its first wait."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)
    return asyncio.create_task(coroutine)
