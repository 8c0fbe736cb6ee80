"""A worker pool in a simulated world: the real engine, driven in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from workkit.core.options import near_match
from workkit.core.probes import Probe
from workkit.core.records import Drained
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.values import Values
from workkit.engine.spec import PoolSpec
from workkit.errors import InvalidOption, PoolState
from workkit.pool import WorkerPool
from workkit.simulation.machine.durations import Takes, read_takes
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.pool_process import PoolProcess, ProcessWorld
from workkit.simulation.machine.world import HostClock
from workkit.simulation.trace import Trace

__all__ = ["PoolWorld", "SimulatedPool"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class PoolWorld(ProcessWorld, Protocol):
    """The parts of the world that a pool needs.

    Attributes:
        trace: The events of the world.
    """

    trace: Trace

    def drain(self, pool: SimulatedPool, timeout: float | None) -> Drained:
        """Run the world until a pool has no job that could run now."""
        ...

    def pool_crashed(self, pool: SimulatedPool) -> None:
        """A pool's process is gone."""
        ...

    def pool_stops(self, pool: SimulatedPool, timeout_s: float | None) -> None:
        """A pool is asked to stop."""
        ...

    def pool_left(self, pool: SimulatedPool) -> None:
        """A pool's process ends by itself."""
        ...

    def handler_started(self, where: str, execution: Execution) -> None:
        """A handler starts."""
        ...

    def handler_ended(self, where: str, execution: Execution, error: BaseException | None) -> None:
        """A handler has ended."""
        ...


class SimulatedPool:
    """A worker pool in a simulated world.

    It takes the same registrations as `WorkerPool` and starts when the world first runs.

    Args:
        name: Its name in the trace.
        pool: The real pool with its handlers and options.
        takes: Job name -> how long its handlers take.

    Attributes:
        name: Its name in the trace, and the name of its host.
        clock: The clocks of its host.
        takes: Job name -> how long its handlers take.
        asked_to_stop: Whether it was asked to stop and has not been started since.
        started_us: When its process has started, microseconds since the world began.
    """

    def __init__(
        self, sim: PoolWorld, name: str, pool: WorkerPool, takes: Mapping[str, Takes]
    ) -> None:
        self._sim = sim
        self._pool = pool
        self._process: PoolProcess | None = None
        self._starts = 0
        # Kept, so that their stacks are not unwound before the world is over.
        self._crashed: list[PoolProcess] = []
        self.name = name
        self.asked_to_stop = False
        self.started_us = 0
        self._hosts: list[Host] = []
        self.clock = HostClock(sim.world)
        self.takes = {job: read_takes(each, job) for job, each in takes.items()}

    # Registering.

    @property
    def spec(self) -> PoolSpec:
        """The handlers and options of the pool."""
        return self._pool.spec

    @overload
    def job(self, name: F) -> F: ...
    @overload
    def job(self, name: str, handler: F, *, takes: Takes | None = None, **options: Any) -> F: ...
    @overload
    def job(
        self,
        name: str | None = None,
        handler: None = None,
        *,
        takes: Takes | None = None,
        **options: Any,
    ) -> Callable[[F], F]: ...

    def job(
        self,
        name: str | Callable[..., Any] | None = None,
        handler: Callable[..., Any] | None = None,
        *,
        takes: Takes | None = None,
        **options: Any,
    ) -> Any:
        """Register a handler, by a call or as a decorator; see `WorkerPool.job`.

        Args:
            name: The job's name; as a decorator it may be left out for the function's own.
            handler: The function.
            takes: How long it takes in virtual time: seconds, a pair (minimum, maximum), or a
                function of an `Entropy` that returns seconds. Time that it sleeps counts.
            **options: The fields of `JobOptions`.
        """
        self._refuse_if_started()
        if callable(name):
            return self.job()(name)
        if handler is None:

            def register(function: F) -> F:
                own = name if name is not None else getattr(function, "__name__", "")
                self.job(own, function, takes=takes, **options)
                return function

            return register
        self._pool.job(name or "", handler, **options)
        if takes is not None:
            self.takes[str(name)] = read_takes(takes, str(name))
        return handler

    def middleware(self, function: Any) -> Any:
        """Register a function around every job; see `WorkerPool.middleware`."""
        self._refuse_if_started()
        return self._pool.middleware(function)

    def periodically_enqueue(
        self, spec: str, name: str, args: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """Enqueue a job by a cron schedule; see `WorkerPool.periodically_enqueue`."""
        self._refuse_if_started()
        self._pool.periodically_enqueue(spec, name, args, **options)

    def on(self, event: Any, hook: Callable[..., Any]) -> None:
        """Call a function at an event; see `WorkerPool.on`."""
        self._pool.on(event, hook)

    def on_start(self, hook: Any) -> Any:
        """Call a function before the pool takes its first job."""
        return self._pool.on_start(hook)

    def on_stop(self, hook: Any) -> Any:
        """Call a function after the pool has stopped."""
        return self._pool.on_stop(hook)

    def lifespan(self, function: Any) -> Any:
        """Open what handlers use, and close it; see `WorkerPool.lifespan`.

        An error of a lifespan is raised to whoever runs the world. A crash leaves no lifespan.
        """
        self._refuse_if_started()
        return self._pool.lifespan(function)

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What watches the handlers of this pool; see `WorkerPool.probes`."""
        return self._pool.probes

    @probes.setter
    def probes(self, probes: tuple[Probe, ...]) -> None:
        self._refuse_if_started()
        self._pool.probes = probes

    def lifespan_value(self, kind: type[T]) -> T:
        """Return what a lifespan of the running process has yielded.

        Raises:
            PoolState: No lifespan has yielded such a value, or no process runs.
        """
        return self._process.values.find(kind) if self._process else Values().find(kind)

    def _refuse_if_started(self) -> None:
        if self._starts:
            raise PoolState(f"cannot register with {self.name}: it has been started")

    # Running.

    @property
    def running(self) -> bool:
        """Whether a process of the pool is running."""
        return self._process is not None

    @property
    def started(self) -> bool:
        """Whether the pool was ever started."""
        return self._starts > 0

    @property
    def pool_id(self) -> str:
        """The id under which the pool holds jobs now; "" while it does not run."""
        return self._process.engine.identity.pool_id if self._process else ""

    @property
    def abandoned(self) -> int:
        """How many handlers still run although they were given up after their timeouts."""
        return self._process.runner.abandoned() if self._process else 0

    @property
    def commands(self) -> int:
        """How many of its commands have reached the server, in all its processes."""
        return sum(host.sent for host in self._hosts)

    @property
    def busy(self) -> bool:
        """Whether the pool holds jobs or runs handlers."""
        return self._process is not None and self._process.engine.ledger.running > 0

    def start(self) -> None:
        """Start a process of the pool, unless one is running.

        A pool that has stopped or crashed starts again, with a new process.

        Raises:
            InvalidOption: `takes` names a job that the pool does not have.
            PoolState: It was asked to stop, and has not stopped yet.
        """
        if self._process is not None:
            if self.asked_to_stop:
                raise PoolState(f"{self.name} is being stopped; start it when it has stopped")
            return
        self._check_takes()
        self._starts += 1
        self.started_us = self._sim.world.now_us
        self.asked_to_stop = False
        self._sim.run_postponed()
        self._process = PoolProcess(self, self._sim, self._starts)
        self._hosts.append(self._process.host)
        self._sim.trace.add("pool", self.name, does="start")
        self._process.start()

    def _check_takes(self) -> None:
        """Refuse durations of jobs that the pool does not have."""
        known = self.spec.registrations
        if unknown := sorted(self.takes.keys() - known.keys()):
            names = ", ".join(map(repr, unknown))
            raise InvalidOption(
                f"takes of {self.name} names {names}, and the pool has no such job"
                f"{near_match(unknown[0], known)}; it has {', '.join(map(repr, known)) or 'none'}"
            )

    def stop(self, timeout: float | None = None) -> None:
        """Ask the pool to stop; it stops while the world runs on.

        Args:
            timeout: Seconds until unfinished jobs return to their queues; None waits for them.
        """
        if self._process is not None:
            self._sim.trace.add("pool", self.name, does="stop")
            self.asked_to_stop = True
            self._sim.pool_stops(self, timeout)
            self._process.serving.request_stop(timeout)

    def drain(self, timeout: float | None = None) -> Drained:
        """Run the world until no job of this pool is left that could run now.

        As in `WorkerPool.drain`, retries and scheduled jobs that are not due do not count, nor do
        paused queues. Calls that are planned with `Simulation.at` do not count either.

        Args:
            timeout: Virtual seconds after which it returns what is left; None fails after a day.

        Raises:
            PoolState: The pool has stopped or crashed, or a handler calls this.
            AssertionError: Jobs are left after a day, or a handler has failed with it.
            InvalidOption: The time is negative.
        """
        return self._sim.drain(self, timeout)

    def look(self) -> Drained:
        """Tell which jobs of this pool are left that could run now.

        Raises:
            PoolState: No process is running.
        """
        if self._process is None:
            raise PoolState(f"only a running pool can be drained, and {self.name} does not run")
        paused, waiting, complete = self._process.look()
        return Drained(complete, tuple(paused), waiting)

    @property
    def host(self) -> Host:
        """The host of the running process.

        Raises:
            PoolState: No process is running.
        """
        if self._process is None:
            raise PoolState(f"{self.name} does not run")
        return self._process.host

    def crash(self) -> None:
        """Crash the process; its stacks are abandoned where they are."""
        if self._process is not None:
            self._sim.run_postponed()
            process, self._process = self._process, None
            self._crashed.append(process)
            process.crash()
            self._sim.pool_crashed(self)

    def unwind(self) -> None:
        """End all stacks once the world is over; their commands have no effect any more."""
        if self._process is not None:
            self.crash()
        for process in self._crashed:
            process.runner.unwind()
        self._crashed.clear()

    def ended(self, process: PoolProcess) -> None:
        """Record that a process has ended by itself."""
        if self._process is process:
            self._sim.pool_left(self)
            self._process = None
            self._sim.run_postponed()
            self._sim.trace.add("pool", self.name, does="end")

    # Calm.

    def due_changed(self) -> None:
        """Let the requeuer check when the next job is due."""
        if self._process is not None:
            self._process.hurry_if_calm()

    @property
    def is_healthy(self) -> bool:
        """Whether the pool and its connections have no fault, and its reaper watches nobody.

        A reaper that watches a pool that is not registered looks at all heartbeats.
        """
        process = self._process
        if process is None:
            return True
        return process.host.is_healthy and not process.engine.reaper.has_suspects

    def run_postponed(self) -> None:
        """Run all postponed duties."""
        if self._process is not None:
            self._process.run_postponed()

    def beat(self) -> None:
        """Send a heartbeat at once."""
        if self._process is not None:
            self._process.beat()

    # Called by the runner.

    def handler_started(self, execution: Execution) -> None:
        """Report that a handler starts."""
        if self._process is not None and self._sim.jumps:
            self._process.hurry("observer")
        self._sim.handler_started(self.name, execution)

    def handler_ended(self, execution: Execution, error: BaseException | None) -> None:
        """Report that a handler has ended."""
        self._sim.handler_ended(self.name, execution, error)
