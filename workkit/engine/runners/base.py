"""What a runner is, and the workers that runners share."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from workkit.engine.handling.execution import Execution

__all__ = ["Runner", "Slots"]


class Runner(Protocol):
    """Where handlers run; the simulator brings its own."""

    def submit(self, executions: Sequence[Execution]) -> None:
        """Start executions as workers become free, in this order."""
        ...

    @property
    def starved(self) -> bool:
        """Whether there is nothing that a free worker could start."""
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
