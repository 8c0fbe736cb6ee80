"""What a runner is, and the workers that runners share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final, Protocol

from workkit.engine.handling.execution import Execution

__all__ = ["WORKER", "Runner", "Slots", "Worker", "here"]


class Worker(Protocol):
    """What runs one handler at a time."""

    @property
    def current(self) -> Execution | None:
        """What it runs, or None."""
        ...

    @property
    def home(self) -> object:
        """The runner whose worker it is."""
        ...


#: The worker on which the present code runs. It is set once for each worker, not for each job.
WORKER: Final[ContextVar[Worker | None]] = ContextVar("workkit_worker", default=None)


def here() -> Worker | None:
    """Return the worker on which this is called; None outside handlers."""
    # A handler may run in a context that does not know the variable; the thread knows it.
    return WORKER.get() or getattr(threading.current_thread(), "workkit_worker", None)


class Runner(Protocol):
    """Where handlers run; the simulator brings its own."""

    def submit(self, executions: Sequence[Execution]) -> None:
        """Start executions as workers become free, in this order."""
        ...

    @property
    def starved(self) -> bool:
        """Whether there is nothing that a free worker could start."""
        ...

    @property
    def fault(self) -> str:
        """What has happened to the workers that cannot be mended; "" if nothing."""
        ...

    @property
    def short(self) -> bool:
        """Whether the system has refused to start workers that are wanted."""
        ...

    @property
    def capacity(self) -> int:
        """How many handlers can run at once at present."""
        ...

    def staff(self) -> None:
        """Start workers that the system has refused to start before."""
        ...

    def withdraw(self) -> list[Execution]:
        """Take back what has not started."""
        ...

    def interrupt(self, execution: Execution) -> None:
        """Make a running handler stop, as far as Python allows."""
        ...

    def abandon(self, execution: Execution) -> None:
        """Let go of a handler that does not stop: its worker is free, its end is not reported."""
        ...

    def abandoned(self) -> int:
        """Count the abandoned handlers that still run."""
        ...

    def runs_here(self) -> bool:
        """Tell whether this is called from within one of the handlers."""
        ...

    def close(self, *, wait_s: float) -> None:
        """Let the workers end; nothing is submitted any more."""
        ...


class Slots:
    """The workers of a pool, by id; a handler holds one while it runs.

    Args:
        worker_ids: One a worker.
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
