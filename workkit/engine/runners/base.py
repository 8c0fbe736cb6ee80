"""The interface of a runner, and the workers that runners share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from workkit.core.current import WORKER
from workkit.core.stacks import StackFrame
from workkit.engine.handling.execution import Execution

__all__ = ["Runner", "Slots", "Worker", "here"]


class Worker(Protocol):
    """Runs one handler at a time."""

    @property
    def current(self) -> Execution | None:
        """The current execution, or None."""
        ...

    @property
    def home(self) -> object:
        """The runner that owns it."""
        ...


def here() -> Worker | None:
    """Return the worker that runs the caller; None outside handlers."""
    # A handler may run in a context without the variable; then its thread has the worker.
    found: Worker | None = WORKER.get()
    return found or getattr(threading.current_thread(), "workkit_worker", None)


class Runner(Protocol):
    """Runs handlers; the simulator has its own runner."""

    def submit(self, executions: Sequence[Execution]) -> None:
        """Start executions as workers become free, in this order."""
        ...

    @property
    def starved(self) -> bool:
        """Whether no execution waits for a free worker."""
        ...

    @property
    def fault(self) -> str:
        """The permanent fault of the workers; "" if there is none."""
        ...

    @property
    def short(self) -> bool:
        """Whether the system has refused to start a needed worker."""
        ...

    @property
    def capacity(self) -> int:
        """How many handlers can run at once now."""
        ...

    def staff(self) -> None:
        """Start workers that the system has refused before."""
        ...

    def withdraw(self) -> list[Execution]:
        """Return the executions that have not started, and forget them."""
        ...

    def interrupt(self, execution: Execution) -> None:
        """Make a running handler stop, as far as Python allows."""
        ...

    def abandon(self, execution: Execution) -> None:
        """Give up a handler that does not stop: free its worker, do not report its end."""
        ...

    def abandoned(self) -> int:
        """Count the abandoned handlers that still run."""
        ...

    def runs_here(self) -> bool:
        """Tell whether the caller is one of the handlers."""
        ...

    def stack(self, execution: Execution) -> list[StackFrame]:
        """Return where a running handler is, from any thread; empty if it does not run."""
        ...

    def close(self, *, wait_s: float) -> None:
        """End the workers; no execution may be submitted afterwards."""
        ...


class Slots:
    """The workers of a pool, by id; a handler holds one while it runs.

    Args:
        worker_ids: One per worker.
    """

    def __init__(self, worker_ids: Sequence[str]) -> None:
        self._free = deque(worker_ids)

    @property
    def free(self) -> bool:
        """Whether there is a free worker."""
        return bool(self._free)

    def take(self) -> str:
        """Return a free worker's id; "" if there is none."""
        try:
            return self._free.pop()
        except IndexError:
            return ""

    def give(self, worker_id: str) -> None:
        """Free a worker."""
        self._free.append(worker_id)
