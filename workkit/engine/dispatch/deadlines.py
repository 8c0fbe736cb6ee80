"""Interrupts handlers at their timeout, and abandons those that do not stop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from workkit.core.clock import Instant
from workkit.core.fingerprint import type_name
from workkit.core.text import clean
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.handling.execution import Execution, decide
from workkit.engine.process.sources import Sources
from workkit.engine.runners.base import Runner
from workkit.errors import JobTimeout

__all__ = ["GRACE_S", "Deadlines"]

_log = logging.getLogger("workkit")

#: An interrupted handler that still runs after this long is abandoned, seconds.
GRACE_S: Final = 2.0
#: How often a job that has not started is checked again, seconds.
_NOT_STARTED_S: Final = 0.1
#: The user's code that runs after a handler has failed.
_AFTER: Final = "the error's message or the backoff"


class Deadlines:
    """The running jobs that have a timeout.

    Args:
        ledger: The jobs that the pool holds.
        runner: Where the handlers run.
        sources: For the end time of abandoned handlers, and the jitter of their backoff.
    """

    def __init__(self, ledger: Ledger, runner: Runner, sources: Sources) -> None:
        self._ledger = ledger
        self._runner = runner
        self._sources = sources
        self._timed: list[Execution] = []

    def add(self, executions: Sequence[Execution]) -> None:
        """Watch jobs that are about to start; skips those without a timeout."""
        self._timed += [e for e in executions if e.options.timeout is not None]

    def next_s(self, now: Instant) -> float:
        """Return when the next action is due, monotonic seconds; infinity if there is none."""
        return min((self._due(execution, now) for execution in self._timed), default=float("inf"))

    def watch(self, now: Instant) -> None:
        """Interrupt and abandon the handlers whose time is over."""
        if not self._timed:
            return
        # A handler whose job was fenced off still occupies a worker.
        self._timed = [e for e in self._timed if self._ledger.is_open(e) or self._is_ghost(e)]
        for execution in self._timed:
            if execution.started is None or now.monotonic_s < self._due(execution, now):
                continue
            if not execution.interrupted:
                execution.interrupted = True
                self._runner.interrupt(execution)
            elif execution.finished is None:
                self._abandon(execution)

    @staticmethod
    def _is_ghost(execution: Execution) -> bool:
        return execution.fenced and execution.started is not None and execution.finished is None

    @staticmethod
    def _due(execution: Execution, now: Instant) -> float:
        if execution.started is None:
            return now.monotonic_s + _NOT_STARTED_S
        deadline = execution.started.monotonic_s + (execution.options.timeout or 0)
        return deadline + GRACE_S if execution.interrupted else deadline

    def _abandon(self, execution: Execution) -> None:
        """Settle a job as failed although its handler still runs; replace its worker."""
        payload, timeout = execution.payload, execution.options.timeout
        failing = execution.failing
        _log.error(
            "job %r %s still runs %g s after its timeout of %g s%s; it is settled as failed and "
            "its worker replaced",
            payload.name,
            clean(payload.id),
            GRACE_S,
            timeout,
            "" if failing is None else f", in {_AFTER}",
        )
        self._runner.abandon(execution)
        why = f"timed out after {timeout:g} s and did not stop when interrupted"
        if failing is not None:
            why += f": it has raised {type_name(failing)}, and then {_AFTER} did not return"
        error, alone = JobTimeout(why), failing is not None
        failure = execution.examine(error, self._sources.clock, self._sources.entropy, alone=alone)
        execution.finish(failure, self._sources.clock)
        self._ledger.conclude(decide(execution))
