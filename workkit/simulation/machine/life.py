"""One process of a pool in a simulated world: the engine, and the loops that drive it."""

from __future__ import annotations

import dis
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import FunctionType
from typing import Any, Final, Protocol

from workkit.core.entropy import Entropy
from workkit.engine.duties.scheduler import DutyScheduler
from workkit.engine.engine import Engine, PoolSpec
from workkit.engine.handling.events import Events, call_hook
from workkit.engine.handling.execution import Execution
from workkit.engine.runners.base import Runner
from workkit.engine.serving import Serving
from workkit.errors import ServerError
from workkit.simulation.machine.calm import DOZE_S, NAP_S, Dozing
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.parking import ParkedThreads
from workkit.simulation.machine.process import Connection, RoutineDriver
from workkit.simulation.machine.runner import HandlerWitness, SimulatedRunner
from workkit.simulation.machine.takes import Takes
from workkit.simulation.machine.world import HostClock, World
from workkit.simulation.redis.server import SimulatedServer
from workkit.store.connections.routine import Wait

__all__ = ["Life", "LifeOwner", "LifeWorld"]

#: A process that cannot reach Redis when it starts is started again after this long, seconds.
_STARTS_AGAIN_S: Final = 1.0
#: Of dispatcher, heartbeat, maintenance and handlers, as in a real pool, seconds.
_TIMEOUTS_S: Final = (5.0, 2.0, 5.0, 5.0)
#: Of what an empty function consists.
_NOTHING: Final = frozenset({"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"})


class LifeWorld(Protocol):
    """The world, as a process of a pool sees it.

    Attributes:
        seed: Where chance comes from.
        namespace: The namespace.
        world: Where time passes.
        network: What is between hosts and the server.
        server: The server.
        threads: For sync handlers.
        jumps: Whether turns that would find nothing may be put off at all.
        redis: A client of the server.
    """

    seed: int | str
    namespace: str
    world: World
    network: Network
    server: SimulatedServer
    threads: ParkedThreads
    jumps: bool
    redis: Any

    def is_calm(self) -> bool:
        """Tell whether nothing is wrong and nothing is about to go wrong."""
        ...


class LifeOwner(HandlerWitness, Protocol):
    """The pool that a process belongs to.

    Attributes:
        name: What the trace calls it.
        clock: The clocks of its host.
        takes: Job name -> how long its handlers take.
    """

    name: str
    clock: HostClock
    takes: dict[str, Takes]

    @property
    def spec(self) -> PoolSpec:
        """What has been registered and set."""
        ...

    def ended(self, life: Life) -> None:
        """A process has ended by itself."""
        ...


class _WorldEvents(Events):
    """Calls the hooks of a pool in virtual time."""

    def __init__(self, hooks: dict[str, list[Callable[..., Any]]], host: Host) -> None:
        super().__init__()
        self.hooks = hooks
        self._host = host

    def tell(self, name: str, *arguments: Any) -> None:
        """Have the hooks of an event called."""
        for hook in self.hooks[name]:
            self._host.soon(call_hook, hook, *arguments)


class Life:
    """One process of a pool, from its start to its end or its crash."""

    def __init__(self, pool: LifeOwner, sim: LifeWorld, number: int) -> None:
        self.host = Host(sim.world, pool.name, pool.clock)
        self._pool = pool
        self._sim = sim
        entropy = Entropy(f"{sim.seed}/{pool.name}/{number}")
        spec = replace(
            pool.spec,
            namespace=sim.namespace,
            events=_WorldEvents(pool.spec.events.hooks, self.host),
        )
        links = [Connection(self.host, sim.network, timeout_s=_TIMEOUTS_S[at]) for at in range(4)]
        processes = [RoutineDriver(self.host, link) for link in links[:3]]
        self._dispatcher, self._heartbeat, self._maintenance = processes
        self._links = links

        def make_runner(worker_ids: Sequence[str], done: Callable[[Execution], None]) -> Runner:
            self.runner = SimulatedRunner(
                worker_ids, done, clock=pool.clock, entropy=entropy, host=self.host,
                connection=links[3], threads=sim.threads, takes=pool.takes, idle=_idle(spec),
                witness=pool,
            )  # fmt: skip
            return self.runner

        self.engine = Engine(
            spec, clock=pool.clock, entropy=entropy, make_runner=make_runner,
            notify=self._dispatcher.wake, host=pool.name, pid=number,
        )  # fmt: skip
        duties = [Dozing(duty, partial(self._doze, duty.name)) for duty in self.engine.duties]
        self._duties = {duty.name: duty for duty in duties}
        self._beat = Dozing(self.engine.heartbeat, partial(self._doze, "heartbeat"))
        self._beats = DutyScheduler([self._beat], pool.clock, entropy, self._heartbeat)
        self._scheduler = DutyScheduler(duties, pool.clock, entropy, self._maintenance)
        self.serving = Serving(
            self.engine, spec.concurrency, clock=pool.clock, entropy=entropy,
            sleep_backoffs_s=[1.0], alarm=self._dispatcher, listener=links[0],
            hurry_requeuer=self._hurry_requeuer,
            safety_look_s=DOZE_S if sim.jumps else None,
        )  # fmt: skip

    def start(self) -> None:
        """Register the pool, then run its loops."""

        def serve() -> Any:
            while True:
                try:
                    yield from self.engine.dispatcher.register()
                    break
                except ServerError:
                    yield Wait(_STARTS_AGAIN_S)  # as whoever watches over the process would
            self._heartbeat.start(self._beats.routine())
            self._maintenance.start(self._scheduler.routine())
            yield from self.serving.routine()

        self._dispatcher.start(serve(), self._served)

    # Dozing.

    def _doze(self, duty: str, delay_s: float) -> float:
        """Say how long a duty can sleep, beyond what it wants itself."""
        if duty == "requeuer":
            put_off_s = min(NAP_S, self._until_due_s()) if delay_s else 0.0
        elif duty in {"periodic", "trimmer"}:
            put_off_s = NAP_S
        elif duty == "observer" and len(self.engine.ledger):
            put_off_s = 0.0
        elif duty in {"reaper", "reconciler"} and self.engine.reaper.has_suspects:
            if duty == "reconciler":
                self.hurry("reaper")  # it may doze since before they were found
            put_off_s = 0.0
        else:
            put_off_s = DOZE_S
        if put_off_s > delay_s and self._sim.is_calm():
            return put_off_s
        return delay_s

    def _until_due_s(self) -> float:
        """Return how long until a job is due, by the clock of this host, seconds."""
        now_s = self._pool.clock.read().epoch_ms / 1000
        return max(self._sim.server.next_due_s() - now_s, 0.0)

    def _hurry_requeuer(self, at_s: float) -> None:
        """Let the requeuer have its turn at a time; in a calm world not before a job is due."""
        requeuer = self._duties["requeuer"]
        if self._scheduler.is_due_by(requeuer, at_s):
            return  # often, and then it does not matter whether the world is calm
        if self._sim.is_calm():
            at_s = max(at_s, self._pool.clock.read().monotonic_s + self._until_due_s())
        self._scheduler.hurry(requeuer, at_s)

    def hurry_if_calm(self) -> None:
        """Let the requeuer have its turn when the next job is due, whatever it dozes over."""
        self._hurry_requeuer(self._pool.clock.read().monotonic_s)

    def hurry(self, duty: str) -> None:
        """Let a duty that dozes have its turn."""
        self._scheduler.hurry(self._duties[duty], self._pool.clock.read().monotonic_s)

    def rouse(self) -> None:
        """Let all that dozes have its turn."""
        self._beats.hurry(self._beat, self._pool.clock.read().monotonic_s)
        for duty in self._duties:
            self.hurry(duty)

    def beat(self) -> None:
        """Beat here and now, before somebody from outside looks."""
        with suppress(ServerError):
            self._sim.redis.workkit_carrier.carry(
                self.engine.heartbeat.step(self._pool.clock.read())
            )

    def _served(self) -> None:
        """Stop the other loops once the dispatcher has left."""
        self._scheduler.stop()
        self._beats.stop()

        def clear() -> Any:
            with suppress(ServerError):  # they expire
                yield from self.engine.observer.clear()

        self._dispatcher.start(clear(), self._gone)

    def crash(self) -> None:
        """End here and now: nothing that runs on this host happens any more."""
        self.host.crashed = True
        for link in self._links:
            link.close()

    def _gone(self) -> None:
        self.engine.runner.close(wait_s=0.5)
        self._pool.ended(self)


def _idle(spec: PoolSpec) -> frozenset[str]:
    """Return the names of jobs of which nothing runs but an empty function."""
    if spec.middleware or spec.context is not None:
        return frozenset()
    return frozenset(
        name for name, each in spec.registrations.items() if _is_empty(each.handler.function)
    )


def _is_empty(function: object) -> bool:
    """Tell whether a function does nothing but return: it can ask for nothing, nor wait."""
    if type(function) is not FunctionType:
        return False
    return {each.opname for each in dis.get_instructions(function)} <= _NOTHING
