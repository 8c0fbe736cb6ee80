"""Everything that a user registers with a pool and sets, before it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workkit.core.options import MAX_JOB_BYTES, HistoryOptions
from workkit.core.probes import NOWHERE, Probe, Where
from workkit.cron.slots import PeriodicEntry
from workkit.engine.handling.events import Events
from workkit.engine.handling.handlers import Middleware, Registration
from workkit.engine.handling.lifespans import Lifespan
from workkit.engine.handling.values import Values
from workkit.engine.observing import Observers

__all__ = ["PoolSpec"]


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
        periodic_fields: Their names in the `periodic` hash, so that each is found at once.
        events: Hooks.
        start_hooks: Called before the pool claims its first job.
        stop_hooks: Called after it has stopped.
        lifespans: Entered before the start hooks, and left after the stop hooks.
        observers: Hear what the pool does.
        values: The values that the lifespans of the present run have yielded.
        value_checks: Called with them before the start hooks; one that raises ends the start.
        where: The server, for probes.
        probes: What watches the handlers of this pool, beside the probes of the process.
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
    periodic_fields: set[str] = field(default_factory=set)
    events: Events = field(default_factory=Events)
    start_hooks: list[Callable[[], Any]] = field(default_factory=list)
    stop_hooks: list[Callable[[], Any]] = field(default_factory=list)
    lifespans: list[Lifespan] = field(default_factory=list)
    observers: Observers = field(default_factory=Observers)
    values: Values = field(default_factory=Values)
    value_checks: list[Callable[[Values], None]] = field(default_factory=list)
    where: Where = NOWHERE
    probes: tuple[Probe, ...] = ()
