"""Combines the thread runner and the event-loop runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workkit.core.stacks import StackFrame
from workkit.engine.handling.execution import Execution
from workkit.engine.process.sources import Sources
from workkit.engine.runners.base import Slots, here
from workkit.engine.runners.loop import LoopRunner
from workkit.engine.runners.pool_loop import PoolLoop
from workkit.engine.runners.threads import ThreadRunner

__all__ = ["HandlerRunner"]


class HandlerRunner:
    """Sends each execution to the runner of its chain.

    Args:
        worker_ids: The pool's workers; handlers of both kinds share them.
        done: Receives each ended execution.
        sources: For start and end times, and the jitter of backoffs.
        pool_loop: The event loop; by default one that ends with the runner.
    """

    def __init__(
        self,
        worker_ids: Sequence[str],
        done: Callable[[Execution], None],
        sources: Sources,
        pool_loop: PoolLoop | None = None,
    ) -> None:
        slots = Slots(worker_ids)
        self._concurrency = len(worker_ids)
        loop = pool_loop or PoolLoop()
        self._own_loop = loop if pool_loop is None else None
        self._loop = LoopRunner(slots, done, sources, loop)
        self._threads = ThreadRunner(slots, len(worker_ids), done, sources, loop)

    def submit(self, executions: Sequence[Execution]) -> None:
        """Start executions as workers become free, in this order."""
        on_loop = [execution for execution in executions if execution.chain.on_loop]
        if not on_loop:
            self._threads.submit(executions)
            return
        self._loop.submit(on_loop)
        if len(on_loop) < len(executions):
            self._threads.submit([e for e in executions if not e.chain.on_loop])

    @property
    def starved(self) -> bool:
        """Whether no execution waits for a free worker."""
        return self._threads.starved and self._loop.starved

    @property
    def fault(self) -> str:
        """The permanent fault of the workers; "" if there is none."""
        return self._threads.fault or self._loop.fault

    @property
    def short(self) -> bool:
        """Whether the system has refused to start a needed worker."""
        return self._threads.short or self._loop.short

    @property
    def capacity(self) -> int:
        """How many handlers can run at once now."""
        if self._loop.short:
            return 0
        return self._threads.count if self._threads.short else self._concurrency

    def staff(self) -> None:
        """Start workers that the system has refused before."""
        self._threads.staff()
        self._loop.staff()

    def runs_here(self) -> bool:
        """Tell whether the caller is one of the handlers."""
        worker = here()
        return worker is not None and worker.home in {self._threads, self._loop}

    def withdraw(self) -> list[Execution]:
        """Return the executions that have not started, and forget them."""
        return self._threads.withdraw() + self._loop.withdraw()

    def interrupt(self, execution: Execution) -> None:
        """Make a running handler stop, as far as Python allows."""
        self._of(execution).interrupt(execution)

    def abandon(self, execution: Execution) -> None:
        """Give up a handler that does not stop."""
        self._of(execution).abandon(execution)

    def stack(self, execution: Execution) -> list[StackFrame]:
        """Return where a running handler is; empty if it does not run."""
        return self._of(execution).stack(execution)

    def _of(self, execution: Execution) -> LoopRunner | ThreadRunner:
        return self._loop if execution.chain.on_loop else self._threads

    def abandoned(self) -> int:
        """Count the abandoned handlers that still run."""
        return self._threads.abandoned() + self._loop.abandoned()

    def close(self, *, wait_s: float) -> None:
        """End the workers."""
        self._threads.close(wait_s=wait_s)
        self._loop.close(wait_s=wait_s)
        if self._own_loop is not None:
            self._own_loop.close(wait_s=wait_s)
