"""Assembles a pool from its parts, without threads or connections.

`WorkerPool` drives an engine with threads, the simulator with its own scheduler. Both use the same
parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from workkit.core.history import Record
from workkit.core.outcomes import TOTALS
from workkit.engine.dispatch import stacks
from workkit.engine.dispatch.admission import Admission
from workkit.engine.dispatch.board import QueueBoard
from workkit.engine.dispatch.deadlines import Deadlines
from workkit.engine.dispatch.dispatcher import Dispatcher
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.dispatch.parts import PoolParts
from workkit.engine.dispatch.portion import Portion
from workkit.engine.duties.callbacks import Callbacks
from workkit.engine.duties.clock_check import ClockCheck, ServerClock
from workkit.engine.duties.duty import Duty
from workkit.engine.duties.heartbeat import Heartbeat
from workkit.engine.duties.observer import Observer
from workkit.engine.duties.planner import Planner
from workkit.engine.duties.reaper import Reaper
from workkit.engine.duties.reconciler import Reconciler
from workkit.engine.duties.requeuer import Requeuer
from workkit.engine.duties.trimmer import Trimmer
from workkit.engine.handling.events import ReapedPool
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.handlers import Registration
from workkit.engine.process.identity import Identity
from workkit.engine.process.sources import Sources
from workkit.engine.process.vitals import Vitals
from workkit.engine.runners.base import Runner
from workkit.engine.spec import PoolSpec
from workkit.store.calls.publish import Signatures
from workkit.store.keys import Keys

__all__ = ["Engine", "RunnerFactory"]

#: Makes a runner from the worker ids, the function that receives ended executions, and the sources
#: of the engine: times of executions, and so of retries, follow the server's clock.
RunnerFactory = Callable[[Sequence[str], Callable[[Execution], None], Sources], Runner]


class Engine:
    """The parts of one running pool.

    Args:
        spec: The pool's registrations and options.
        sources: The host's clock and the random source.
        make_runner: Makes the runner.
        notify: Called from any thread when a handler has ended or the pool was reaped.
        host: The name of the pool's host; by default this machine's.
        pid: The pool's process id; by default this process's.

    Attributes:
        spec: The pool's registrations and options.
        clock: The host's clock, or the server's if the two differ much.
        sources: That clock and the random source.
        vitals: The signs of life of the pool's loops.
        ledger: The jobs that the pool holds.
        heartbeat: The duty with its own thread.
        observer: The duty that also cleans up at the end.
        requeuer: The duty that can be hurried.
        reaper: The duty that watches other pools.
        duties: All duties except the heartbeat, in turn.
    """

    def __init__(
        self,
        spec: PoolSpec,
        sources: Sources,
        *,
        make_runner: RunnerFactory,
        notify: Callable[[], None],
        host: str | None = None,
        pid: int | None = None,
    ) -> None:
        self.clock = ServerClock(sources.clock)
        self.sources = Sources(self.clock, sources.entropy)
        self.spec = spec
        self.keys = Keys(spec.namespace)
        self.vitals = Vitals()
        self.identity = Identity(
            job_names=list(spec.registrations), limits=_limits(spec.registrations),
            concurrency=spec.concurrency, entropy=sources.entropy, host=host, pid=pid,
            signatures=Signatures.of(
                {name: each.signature for name, each in spec.registrations.items()}
            ),
        )  # fmt: skip
        self.ledger = Ledger(
            self.clock, keep_records=spec.history is not None, observers=spec.observers
        )
        finished: deque[Execution] = deque()

        def done(execution: Execution) -> None:
            finished.append(execution)
            notify()

        self._notify = notify
        self.runner = make_runner(self.identity.worker_ids, done, self.sources)
        self.dispatcher = Dispatcher(self._parts(finished))
        callbacks = Callbacks(
            totals=self.totals,
            expelled=self._expelled,
            reaped=self._reaped,
            remember=self._remember,
            is_heard=lambda: self.heartbeat.is_heard,
            stack=stacks.Stacks(self.ledger, self.runner, self.clock).of,
        )
        self.heartbeat = Heartbeat(self.keys, self.identity, self.vitals.dispatcher, callbacks)
        self.observer = Observer(
            self.keys, self.identity.worker_ids, self.ledger.held, lambda: self.dispatcher.resyncs
        )
        self.requeuer = Requeuer(self.keys, sources.entropy, spec.observers)
        self.reaper = Reaper(
            self.keys, self.identity, self.sources, callbacks,
            job_names=spec.registrations, max_recoveries=spec.max_recoveries,
        )  # fmt: skip
        self.duties: tuple[Duty, ...] = self._duties()
        spec.observers.starts(sorted(spec.registrations))

    def _parts(self, finished: deque[Execution]) -> PoolParts:
        """Put together what the dispatcher and its helpers share."""
        spec, entropy = self.spec, self.sources.entropy
        priorities = {name: item.options.priority for name, item in spec.registrations.items()}
        return PoolParts(
            spec=spec,
            keys=self.keys,
            clock=self.clock,
            identity=self.identity,
            admission=Admission(self.keys, spec, entropy),
            board=QueueBoard(priorities, self.identity.limits, entropy),
            ledger=self.ledger,
            runner=self.runner,
            deadlines=Deadlines(self.ledger, self.runner, self.sources),
            portion=Portion(),
            finished=finished,
        )

    def _duties(self) -> tuple[Duty, ...]:
        """Make the duties of the maintenance thread."""
        keys, history, entropy = self.keys, self.spec.history, self.sources.entropy
        duties: tuple[Duty, ...] = (
            ClockCheck(self.clock),
            self.requeuer,
            self.observer,
            Planner(keys, self.spec.periodic, entropy),
            self.reaper,
            Reconciler(keys, self.identity, self.reaper, entropy),
        )
        if history is None or history.max_age_s is None:
            return duties
        return (*duties, Trimmer(keys, history.max_age_s))

    def totals(self) -> Mapping[str, int]:
        """Return the heartbeat's fields that the original does not have."""
        totals = self.ledger.totals
        return {
            "busy": self.ledger.running,
            "abandoned": self.runner.abandoned(),
            **{field: totals[outcome] for field, outcome in TOTALS.items()},
        }

    def _remember(self, record: Record) -> None:
        self.ledger.report(record)
        self._notify()

    def _reaped(self, pool: ReapedPool) -> None:
        self.spec.observers.reaped(pool)
        self.spec.events.reaped(pool)

    def _expelled(self) -> None:
        self.dispatcher.reaped()
        self._notify()


def _limits(registrations: Mapping[str, Registration]) -> dict[str, int]:
    """Return the limits that the pool declares; a job without a limit is left out."""
    return {
        name: registration.options.max_concurrency
        for name, registration in registrations.items()
        if registration.options.max_concurrency
    }
