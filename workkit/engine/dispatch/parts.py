"""The parts that the dispatcher of a pool and its helpers share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from workkit.core.clock import Clock
from workkit.engine.dispatch.admission import Admission
from workkit.engine.dispatch.board import QueueBoard
from workkit.engine.dispatch.deadlines import Deadlines
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.dispatch.portion import Portion
from workkit.engine.handling.execution import Execution
from workkit.engine.process.identity import Identity
from workkit.engine.runners.base import Runner
from workkit.engine.spec import PoolSpec
from workkit.store.keys import Keys

__all__ = ["PoolParts"]


@dataclass(frozen=True, slots=True)
class PoolParts:
    """The parts of one pool that decide about its jobs; only `Engine` builds this record.

    A constructor takes the record and stores the parts that it uses as attributes of its own, so
    that a job costs no further look-up.

    Attributes:
        spec: The pool's registrations and options.
        keys: The namespace.
        clock: The pool's clock.
        identity: The pool's ids.
        admission: Turns claimed bytes into executions.
        board: The pool's view of its queues.
        ledger: The jobs that the pool holds.
        runner: Runs the handlers.
        deadlines: Handlers with a timeout.
        portion: How many jobs one reply may carry.
        finished: Ended executions; the runner appends, the dispatcher removes.
    """

    spec: PoolSpec
    keys: Keys
    clock: Clock
    identity: Identity
    admission: Admission
    board: QueueBoard
    ledger: Ledger
    runner: Runner
    deadlines: Deadlines
    portion: Portion
    finished: deque[Execution]
