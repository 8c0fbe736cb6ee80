"""A worker pool in a simulated world: the engine of a real one, driven in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from workkit.engine.engine import PoolSpec
from workkit.engine.handling.events import call_hook
from workkit.engine.handling.execution import Execution
from workkit.errors import PoolState
from workkit.pool import WorkerPool
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.life import Life, LifeWorld
from workkit.simulation.machine.takes import Takes, read_takes
from workkit.simulation.machine.world import HostClock
from workkit.simulation.trace import Trace

__all__ = ["PoolWorld", "SimulatedPool"]

F = TypeVar("F", bound=Callable[..., Any])


class PoolWorld(LifeWorld, Protocol):
    """The world, as a pool sees it.

    Attributes:
        trace: What happened.
    """

    trace: Trace

    def rouse(self) -> None:
        """Let everything that was put off have its turn."""
        ...

    def pool_crashed(self, pool: SimulatedPool) -> None:
        """A pool's process is gone."""
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
        sim: The world.
        name: What the trace calls it.
        pool: What is registered.
        takes: Job name -> how long its handlers take.

    Attributes:
        name: What the trace calls it, and the name of its host.
        clock: The clocks of its host.
        takes: Job name -> how long its handlers take.
        asked_to_stop: Whether it was asked to stop and not started since.
    """

    def __init__(
        self, sim: PoolWorld, name: str, pool: WorkerPool, takes: Mapping[str, Takes]
    ) -> None:
        self._sim = sim
        self._pool = pool
        self._life: Life | None = None
        self._lives = 0
        self._crashed: list[Life] = []  # kept, so that nothing of them is unwound meanwhile
        self.name = name
        self.asked_to_stop = False
        self._hosts: list[Host] = []
        self.clock = HostClock(sim.world)
        self.takes = {job: read_takes(each, job) for job, each in takes.items()}

    # Registering.

    @property
    def spec(self) -> PoolSpec:
        """What has been registered and set."""
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
            takes: How long it takes in virtual time: seconds, a pair (least, most), or a function
                of an `Entropy` that returns seconds. What it sleeps itself counts.
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
        """Enqueue a job by the clock; see `WorkerPool.periodically_enqueue`."""
        self._refuse_if_started()
        self._pool.periodically_enqueue(spec, name, args, **options)

    def on(self, event: Any, hook: Callable[..., Any]) -> None:
        """Call a function when something happens; see `WorkerPool.on`."""
        self._pool.on(event, hook)

    def on_start(self, hook: Any) -> Any:
        """Call a function before the pool takes its first job."""
        return self._pool.on_start(hook)

    def on_stop(self, hook: Any) -> Any:
        """Call a function after the pool has stopped."""
        return self._pool.on_stop(hook)

    def _refuse_if_started(self) -> None:
        if self._lives:
            raise PoolState(f"cannot register with {self.name}: it has been started")

    # Running.

    @property
    def running(self) -> bool:
        """Whether the pool's process lives."""
        return self._life is not None

    @property
    def started(self) -> bool:
        """Whether the pool was ever started."""
        return self._lives > 0

    @property
    def pool_id(self) -> str:
        """The id under which the pool holds jobs at present; "" while it does not run."""
        return self._life.engine.identity.pool_id if self._life else ""

    @property
    def abandoned(self) -> int:
        """How many handlers run on that were given up after their timeouts."""
        return self._life.runner.abandoned() if self._life else 0

    @property
    def commands(self) -> int:
        """How many of its commands have reached the server, in all its lives."""
        return sum(host.sent for host in self._hosts)

    @property
    def busy(self) -> bool:
        """Whether the pool holds jobs or runs handlers."""
        return self._life is not None and self._life.engine.ledger.running > 0

    def start(self) -> None:
        """Start a process of the pool; nothing if one lives."""
        if self._life is not None:
            return
        self._lives += 1
        self.asked_to_stop = False
        for hook in self.spec.start_hooks:
            call_hook(hook)
        self._sim.rouse()
        self._life = Life(self, self._sim, self._lives)
        self._hosts.append(self._life.host)
        self._sim.trace.add("pool", self.name, does="start")
        self._life.start()

    def stop(self, timeout: float | None = None) -> None:
        """Ask the pool to stop; it does while the world runs on.

        Args:
            timeout: Seconds until unfinished jobs go back to their queues; None to wait.
        """
        if self._life is not None:
            self._sim.trace.add("pool", self.name, does="stop")
            self.asked_to_stop = True
            self._life.serving.request_stop(timeout)

    @property
    def host(self) -> Host:
        """The host of the living process.

        Raises:
            PoolState: None lives.
        """
        if self._life is None:
            raise PoolState(f"{self.name} does not run")
        return self._life.host

    def crash(self) -> None:
        """End the process here and now; its stacks are abandoned where they stand."""
        if self._life is not None:
            self._sim.rouse()
            life, self._life = self._life, None
            self._crashed.append(life)
            life.crash()
            self._sim.pool_crashed(self)

    def unwind(self) -> None:
        """End all stacks, once the world is over; what they do has no effect any more."""
        if self._life is not None:
            self.crash()
        for life in self._crashed:
            life.runner.unwind()
        self._crashed.clear()

    def ended(self, life: Life) -> None:
        """Take note that a process has ended by itself."""
        if self._life is life:
            self._life = None
            self._sim.rouse()
            self._sim.trace.add("pool", self.name, does="end")
            for hook in self.spec.stop_hooks:
                call_hook(hook)

    # Calm.

    def due_changed(self) -> None:
        """Take note that other jobs are due than before."""
        if self._life is not None:
            self._life.hurry_if_calm()

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with the pool or its connections."""
        return self._life is None or self._life.host.is_well

    def rouse(self) -> None:
        """Let all duties that doze have their turn."""
        if self._life is not None:
            self._life.rouse()

    def beat(self) -> None:
        """Beat here and now."""
        if self._life is not None:
            self._life.beat()

    # What the runner tells.

    def handler_started(self, execution: Execution) -> None:
        """Take note that a handler starts."""
        if self._life is not None and self._sim.jumps:
            self._life.hurry("observer")
        self._sim.handler_started(self.name, execution)

    def handler_ended(self, execution: Execution, error: BaseException | None) -> None:
        """Take note that a handler has ended."""
        self._sim.handler_ended(self.name, execution, error)
