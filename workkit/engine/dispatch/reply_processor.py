"""Processes the reply to an exchange: confirmed fates and claimed jobs."""

from __future__ import annotations

from typing import Final, NamedTuple

from workkit.core.clock import Instant
from workkit.core.history import Record
from workkit.engine.dispatch.parts import PoolParts
from workkit.engine.dispatch.start_checks import StartChecks
from workkit.engine.handling.execution import Execution, Fate
from workkit.store.calls.exchange import ExchangeReply

__all__ = ["ReplyProcessor"]

#: After this long, a queue whose key has a wrong type is tried again, seconds.
_BROKEN_S: Final = 1.0


class _Answer(NamedTuple):
    reply: ExchangeReply
    fates: list[Fate]
    records: list[Record]
    at: Instant


class ReplyProcessor:
    """Keeps the last reply of Redis and processes it when there is time.

    If there are many jobs, that is during the next exchange.

    Args:
        parts: The pool's parts.
        start_checks: Checks jobs that need an atomic check in Redis.
    """

    def __init__(self, parts: PoolParts, start_checks: StartChecks) -> None:
        self._admission = parts.admission
        self._start_checks = start_checks
        self._board = parts.board
        self._ledger = parts.ledger
        self._events = parts.spec.events
        self._deadlines = parts.deadlines
        self._runner = parts.runner
        self._answer: _Answer | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is an unprocessed reply."""
        return self._answer is not None

    def receive(
        self, reply: ExchangeReply, fates: list[Fate], records: list[Record], now: Instant
    ) -> None:
        """Store a reply, to be processed later.

        Args:
            reply: The reply to an exchange.
            fates: The fates that the exchange sent.
            records: The other records that it sent.
            now: When it was sent.
        """
        for queue, _, stopped_by in reply.claimed:
            if stopped_by == "type":
                # No announcement follows when the key is repaired: not all keys are watched.
                self._board.leave_alone(queue, now.monotonic_s + _BROKEN_S)
            elif stopped_by:
                self._board.mark_empty(queue, blocked=stopped_by in {"paused", "limit"})
        self._answer = _Answer(reply, fates, records, now)
        self._ledger.expected = reply.jobs

    def take(self) -> None:
        """Process the stored reply, if there is one."""
        if self._answer is None:
            return
        answer, self._answer = self._answer, None
        self._ledger.expected = 0
        applied = answer.reply.applied
        for fate in self._ledger.confirmed(answer.fates, applied, answer.records):
            execution = fate.execution
            if execution.options.max_concurrency:
                self._board.mark_candidates([execution.queue])
            if execution.error_text:
                self._events.settled(fate)
        self._admit(answer.reply, answer.at)

    def _admit(self, reply: ExchangeReply, now: Instant) -> None:
        """Admit the claimed jobs and start those that can start."""
        admission, check = self._admission, reply.recovering > 0
        admitted = [
            admission.admit(queue, raw, now) for queue, raws, _ in reply.claimed for raw in raws
        ]
        self._ledger.hold(*[execution for execution, _ in admitted])
        ready: list[Execution] = []
        for execution, fate in admitted:
            if fate is not None:
                self._ledger.conclude(fate)
            elif check or execution.asks:
                self._start_checks.add(execution, ask_recoveries=check)
            else:
                ready.append(execution)
        self.start(ready)

    def start(self, executions: list[Execution]) -> None:
        """Hand jobs to the runner."""
        if executions:
            self._deadlines.add(executions)
            self._runner.submit(executions)
