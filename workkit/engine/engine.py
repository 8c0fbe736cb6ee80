"""Assembles a pool from its parts, without threads or connections.

`WorkerPool` drives an engine with threads, the simulator with its own scheduler. Both use the same
parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.history import Record
from workkit.core.options import MAX_JOB_BYTES, HistoryOptions
from workkit.core.outcomes import TOTALS
from workkit.cron.slots import PeriodicEntry
from workkit.engine.dispatch.admission import Admission
from workkit.engine.dispatch.board import QueueBoard
from workkit.engine.dispatch.deadlines import Deadlines
from workkit.engine.dispatch.dispatcher import Dispatcher
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.duties.clock_check import ClockCheck, ServerClock
from workkit.engine.duties.duty import Duty
from workkit.engine.duties.heartbeat import Heartbeat
from workkit.engine.duties.observer import Observer
from workkit.engine.duties.planner import Planner
from workkit.engine.duties.reaper import Reaper
from workkit.engine.duties.reconciler import Reconciler
from workkit.engine.duties.requeuer import Requeuer
from workkit.engine.duties.trimmer import Trimmer
from workkit.engine.handling.events import Events
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.handlers import Middleware, Registration
from workkit.engine.handling.lifespans import Lifespan
from workkit.engine.handling.values import Values
from workkit.engine.process.identity import Identity
from workkit.engine.process.vitals import Vitals
from workkit.engine.runners.base import Runner
from workkit.store.keys import Keys

__all__ = ["Engine", "PoolSpec", "RunnerFactory"]

#: Makes a runner from the worker ids and the function that receives ended executions.
RunnerFactory = Callable[[Sequence[str], Callable[[Execution], None]], Runner]


@dataclass(slots=True)
class PoolSpec:
    """Everything that the user has registered and set.

    Attributes:
        namespace: Prefix of all keys.
        concurrency: How many handlers run at once.
        context: Makes a context per job, or None.
        history: How much history to keep, or None.
        max_recoveries: A job that was recovered this often from dead pools goes to the dead set.
        max_job_bytes: Registration refuses a larger cron job.
        registrations: Job name -> handler and options.
        middleware: In the order of registration.
        periodic: Cron entries.
        events: Hooks.
        start_hooks: Called before the pool claims its first job.
        stop_hooks: Called after it has stopped.
        lifespans: Entered before the start hooks, and left after the stop hooks.
        values: What the lifespans of the present run have yielded.
    """

    namespace: str
    concurrency: int
    context: Callable[[], Any] | None
    history: HistoryOptions | None
    max_recoveries: int
    max_job_bytes: int = MAX_JOB_BYTES
    registrations: dict[str, Registration] = field(default_factory=dict)
    middleware: list[Middleware] = field(default_factory=list)
    periodic: list[PeriodicEntry] = field(default_factory=list)
    events: Events = field(default_factory=Events)
    start_hooks: list[Callable[[], Any]] = field(default_factory=list)
    stop_hooks: list[Callable[[], Any]] = field(default_factory=list)
    lifespans: list[Lifespan] = field(default_factory=list)
    values: Values = field(default_factory=Values)


class Engine:
    """The parts of one running pool.

    Args:
        spec: The pool's registrations and options.
        clock: The host's clock.
        entropy: The random source.
        make_runner: Makes the runner.
        notify: Called from any thread when a handler has ended or the pool was reaped.
        host: The name of the pool's host; by default this machine's.
        pid: The pool's process id; by default this process's.

    Attributes:
        clock: The host's clock, or the server's if the two differ much.
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
        *,
        clock: Clock,
        entropy: Entropy,
        make_runner: RunnerFactory,
        notify: Callable[[], None],
        host: str | None = None,
        pid: int | None = None,
    ) -> None:
        self.clock = clock = ServerClock(clock)
        keys = Keys(spec.namespace)
        names = list(spec.registrations)
        limits = _limits(spec.registrations)
        finished: deque[Execution] = deque()

        def done(execution: Execution) -> None:
            finished.append(execution)
            notify()

        self._notify = notify
        self.keys = keys
        self.vitals = Vitals()
        self.identity = Identity(
            job_names=names, limits=limits, concurrency=spec.concurrency,
            entropy=entropy, host=host, pid=pid,
        )  # fmt: skip
        self.ledger = Ledger(clock, keep_records=spec.history is not None)
        self.runner = make_runner(self.identity.worker_ids, done)
        self.dispatcher = Dispatcher(
            keys=keys,
            identity=self.identity,
            admission=Admission(
                keys,
                spec.registrations,
                spec.middleware,
                spec.context,
                spec.periodic,
                entropy,
                details=_details(spec.history),
                values=spec.values,
            ),
            board=QueueBoard(
                {name: item.options.priority for name, item in spec.registrations.items()},
                limits,
                entropy,
            ),
            ledger=self.ledger,
            runner=self.runner,
            deadlines=Deadlines(self.ledger, self.runner, clock, entropy),
            finished=finished,
            events=spec.events,
            history=spec.history,
            concurrency=spec.concurrency,
            max_recoveries=spec.max_recoveries,
            clock=clock,
        )
        self.heartbeat = Heartbeat(
            keys, self.identity, self.totals, self._reaped, self.vitals.dispatcher
        )
        self.observer = Observer(keys, self.ledger.held)
        self.requeuer = Requeuer(keys, entropy)
        self.reaper = self._reaper(spec, clock, entropy)
        self.duties: tuple[Duty, ...] = self._duties(spec, entropy)

    def _reaper(self, spec: PoolSpec, clock: Clock, entropy: Entropy) -> Reaper:
        return Reaper(
            self.keys,
            self.identity,
            list(spec.registrations),
            spec.max_recoveries,
            spec.events.reaped,
            self._reaped,
            entropy,
            self._remember,
            lambda: self.heartbeat.is_heard,
            clock,
        )

    def _duties(self, spec: PoolSpec, entropy: Entropy) -> tuple[Duty, ...]:
        """Make the duties of the maintenance thread."""
        keys, history = self.keys, spec.history
        duties: tuple[Duty, ...] = (
            ClockCheck(self.clock),
            self.requeuer,
            self.observer,
            Planner(keys, spec.periodic, entropy),
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

    def _reaped(self) -> None:
        self.dispatcher.reaped()
        self._notify()


def _limits(registrations: Mapping[str, Registration]) -> dict[str, int]:
    """Return the limits that the pool declares; a job without a limit is left out."""
    return {
        name: registration.options.max_concurrency
        for name, registration in registrations.items()
        if registration.options.max_concurrency
    }


def _details(history: HistoryOptions | None) -> HistoryOptions | None:
    """Return the options if history keeps details that cost extra time per job."""
    return history if history is not None and (history.args or history.checkins) else None
