"""Puts a pool together from its parts, without threads or connections.

`WorkerPool` drives an engine with threads, the simulator with its own scheduler; the parts are the
same objects.
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
from workkit.engine.process.identity import Identity
from workkit.engine.process.vitals import Vitals
from workkit.engine.runners.base import Runner
from workkit.store.keys import Keys

__all__ = ["Engine", "PoolSpec", "RunnerFactory"]

#: Makes a runner from the worker ids and the function that takes what has ended.
RunnerFactory = Callable[[Sequence[str], Callable[[Execution], None]], Runner]


@dataclass(slots=True)
class PoolSpec:
    """What a pool is to be: everything that the user has registered and set.

    Attributes:
        namespace: Prefix of all keys.
        concurrency: How many handlers run at once.
        context: Makes a context a job, or None.
        history: How much history to keep, or None.
        max_recoveries: At how many recoveries from dead pools a job is dead itself.
        max_job_bytes: A cron job that takes more than this is refused.
        registrations: Job name -> handler and options.
        middleware: In the order of registration.
        periodic: Cron entries.
        events: Hooks.
        start_hooks: Called before the pool takes its first job.
        stop_hooks: Called after it has stopped.
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


class Engine:
    """The parts of one running pool.

    Args:
        spec: What the pool is to be.
        clock: The host's clock.
        entropy: Where chance comes from.
        make_runner: Makes the runner.
        notify: Called, on whatever thread, when a handler has ended or the pool was reaped.
        host: The name of the pool's host; by default this machine's.
        pid: The pool's process id; by default this process's.

    Attributes:
        clock: Where times come from: the host's clock, or the server's where that is far off.
        identity: The pool's ids.
        vitals: The signs of life of the pool's loops.
        ledger: What the pool holds.
        runner: Where handlers run.
        dispatcher: Claims and settles.
        heartbeat: The duty that has a thread of its own.
        observer: The duty that also clears up at the end.
        requeuer: The duty that can be hurried.
        reaper: The duty that watches other pools.
        duties: All other duties, in turn.
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
        """Put together what maintenance takes turns among."""
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
        """Return what a heartbeat says beyond the original's fields."""
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
    """Return the limits that the pool declares; a job without one has no say in it."""
    return {
        name: registration.options.max_concurrency
        for name, registration in registrations.items()
        if registration.options.max_concurrency
    }


def _details(history: HistoryOptions | None) -> HistoryOptions | None:
    """Return the options if something is kept that costs each job a little."""
    return history if history is not None and (history.args or history.checkins) else None
