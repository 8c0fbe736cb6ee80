"""Tells where the handlers of a pool are, for those who ask."""

from __future__ import annotations

from typing import Final

from workkit.core.clock import Clock
from workkit.core.masks import Masks
from workkit.core.secrets import SECRETS
from workkit.core.stacks import RunningStack, bounded, encode
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.handling.execution import Execution
from workkit.engine.runners.base import Runner

__all__ = ["Stacks"]

_MASKS: Final = Masks(SECRETS)


class Stacks:
    """The stacks of the handlers of one pool.

    Args:
        ledger: The jobs that the pool holds.
        runner: Looks at their handlers.
        clock: Tells when.
    """

    def __init__(self, ledger: Ledger, runner: Runner, clock: Clock) -> None:
        self._ledger = ledger
        self._runner = runner
        self._clock = clock

    def of(self, job_id: str) -> bytes:
        """Return where the handler of a job is, encoded; from any thread."""
        now_ms = self._clock.read().epoch_ms
        for execution in (*self._ledger.held(), *self._ledger.ghosts):
            if execution.payload.id == job_id and execution.finished is None:
                stack = self._taken(execution, now_ms)
                if stack is not None:
                    return encode(stack)
        return encode(RunningStack(job_id, taken_ms=now_ms))

    def _taken(self, execution: Execution, now_ms: int) -> RunningStack | None:
        started, frames = execution.started, self._runner.stack(execution)
        if started is None or not frames:
            return None
        told, left_out = bounded([each._replace(code=_MASKS.text(each.code)) for each in frames])
        return RunningStack(
            execution.payload.id,
            execution.payload.name,
            execution.worker_id,
            "task" if execution.chain.on_loop else "thread",
            now_ms,
            started.epoch_ms,
            told,
            left_out,
        )
