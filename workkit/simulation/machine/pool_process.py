"""One process of a simulated pool: the engine and the loops that drive it."""

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
from workkit.engine.engine import Engine
from workkit.engine.handling.events import hook_failed
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.values import Values
from workkit.engine.process.sources import Sources
from workkit.engine.runners.base import Runner
from workkit.engine.serving import Serving, draining
from workkit.engine.spec import PoolSpec
from workkit.errors import ServerError, WorkkitError
from workkit.simulation.machine.durations import Takes
from workkit.simulation.machine.hearing import WorldObserver
from workkit.simulation.machine.hooks import WorldEvents, call_in_time
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.lifespans import SimulatedLives
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.parking import ParkedThreads
from workkit.simulation.machine.postponing import POSTPONED_BRIEFLY_S, POSTPONED_S, PostponableDuty
from workkit.simulation.machine.process import Connection, RoutineDriver
from workkit.simulation.machine.runner import HandlerListener, SimulatedRunner
from workkit.simulation.machine.world import HostClock, World
from workkit.simulation.redis.server import SimulatedServer
from workkit.store.connections.routine import Wait

__all__ = ["PoolProcess", "ProcessOwner", "ProcessWorld"]

#: A process that cannot reach Redis when it starts is started again after this long, seconds.
_STARTS_AGAIN_S: Final = 1.0
#: Timeouts of the connections of dispatcher, heartbeat, maintenance and handlers, seconds, as in a
#: real pool.
_TIMEOUTS_S: Final = (5.0, 2.0, 5.0, 5.0)
#: The only instructions of an empty function.
_NOTHING: Final = frozenset({"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"})


class ProcessWorld(Protocol):
    """The parts of the world that a pool process needs.

    Attributes:
        seed: The seed of all random choices.
        namespace: The namespace.
        world: The virtual clock and its events.
        network: The network between hosts and the server.
        server: The server.
        threads: The threads of sync handlers.
        jumps: Whether duties may be postponed while nothing goes wrong.
        redis: A redis-py client of the server.
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
        """Tell whether no fault is present or planned and every pool is registered and well."""
        ...

    def run_postponed(self) -> None:
        """Run everything that was postponed."""
        ...

    def note_assertion(self, error: BaseException) -> None:
        """Keep the error of a hook if it is a failed assertion of a test."""
        ...

    def hooks_called(self, where: str, event: str, arguments: Sequence[Any]) -> None:
        """A pool calls the hooks of an event."""
        ...

    @property
    def hears_observers(self) -> bool:
        """Whether somebody wants to know what observers hear."""
        ...

    def observers_heard(self, where: str, what: str, report: Any) -> None:
        """The observers of a pool hear what it does."""
        ...


class ProcessOwner(HandlerListener, Protocol):
    """The parts of its pool that a pool process needs.

    Attributes:
        name: Its name in the trace.
        clock: The clocks of its host.
        takes: Job name -> how long its handlers take.
    """

    name: str
    clock: HostClock
    takes: dict[str, Takes]

    @property
    def spec(self) -> PoolSpec:
        """The handlers and options of the pool."""
        ...

    def ended(self, process: PoolProcess) -> None:
        """A process has ended by itself."""
        ...


class PoolProcess:
    """One process of a pool, from its start to its end or its crash."""

    def __init__(self, pool: ProcessOwner, sim: ProcessWorld, number: int) -> None:
        self.host = Host(sim.world, pool.name, pool.clock)
        self._pool = pool
        self._sim = sim
        self._spec = pool.spec
        self._watches = False  # whether the reaper watches pools that are not registered
        self.runner: SimulatedRunner
        entropy = Entropy(f"{sim.seed}/{pool.name}/{number}")
        events = WorldEvents(pool.spec.events.hooks, self.host, self._hook_failed, sim.hooks_called)
        events.loop = lambda: self.runner.loop
        observers = pool.spec.observers
        if sim.hears_observers:
            observers = observers.plus(WorldObserver(pool.name, sim.observers_heard))
        spec = replace(
            pool.spec, namespace=sim.namespace, events=events, values=Values(), observers=observers
        )
        self.values = spec.values
        links = [Connection(self.host, sim.network, timeout_s=_TIMEOUTS_S[at]) for at in range(4)]
        processes = [RoutineDriver(self.host, link) for link in links[:3]]
        self._dispatcher, self._heartbeat, self._maintenance = processes
        self._links = links

        def make_runner(
            worker_ids: Sequence[str], done: Callable[[Execution], None], sources: Sources
        ) -> Runner:
            self.runner = SimulatedRunner(
                worker_ids, done, clock=sources.clock, entropy=entropy, host=self.host,
                connection=links[3], threads=sim.threads, takes=pool.takes, idle=_idle(spec),
                listener=pool,
            )  # fmt: skip
            return self.runner

        self.engine = Engine(
            spec, Sources(pool.clock, entropy), make_runner=make_runner,
            notify=self._dispatcher.wake, host=pool.name, pid=number,
        )  # fmt: skip
        self._lives = SimulatedLives(tuple(spec.lifespans), spec.values, self.runner.loop)
        duties = [
            PostponableDuty(duty, partial(self._postpone, duty.name)) for duty in self.engine.duties
        ]
        self._duties = {duty.name: duty for duty in duties}
        self._beat = PostponableDuty(self.engine.heartbeat, partial(self._postpone, "heartbeat"))
        self._beats = DutyScheduler([self._beat], self.engine.sources, self._heartbeat)
        self._scheduler = DutyScheduler(duties, self.engine.sources, self._maintenance)
        self.serving = Serving(
            self.engine, sleep_backoffs_s=[1.0], alarm=self._dispatcher, listener=links[0],
            hurry_requeuer=self._hurry_requeuer,
            safety_look_s=POSTPONED_S if sim.jumps else None,
        )  # fmt: skip

    def start(self) -> None:
        """Enter lifespans, call the start hooks, register the pool, then run its loops."""

        def entered(failed: BaseException | None) -> None:
            if failed is not None:
                self._fail(failed)
                return
            try:
                for check in self._spec.value_checks:
                    check(self.values)
            except WorkkitError as error:
                self._start_failed(check, error)
                return
            if not self._spec.start_hooks:
                self._serve()
            else:  # when the world runs, so that they have its time
                self.host.soon(
                    self.call_hooks, self._spec.start_hooks, self._start_failed, self._serve
                )

        self._lives.enter(entered)

    def _start_failed(self, _what: object, error: BaseException) -> None:
        self._lives.leave(lambda _failed: self._fail(error))

    def _fail(self, error: BaseException) -> None:
        """Raise an error to whoever runs the world."""

        def fail() -> None:
            raise error

        self.host.soon(fail)

    def call_hooks(
        self,
        hooks: Sequence[Callable[[], Any]],
        failed: Callable[[Callable[[], Any], BaseException], object],
        then: Callable[[], object],
        *,
        go_on: bool = False,
    ) -> None:
        """Call hooks one after the other; each waits for the end of the one before.

        Args:
            hooks: The hooks.
            failed: Called with each hook that failed, and its error.
            then: Called after the last.
            go_on: Whether the others are called after a failure.
        """
        if not hooks:
            then()
            return
        hook, *others = hooks

        def ended(error: BaseException | None) -> None:
            if error is not None:
                failed(hook, error)
            if error is None or go_on:
                self.call_hooks(others, failed, then, go_on=go_on)

        call_in_time(hook, (), self.runner.loop, ended)

    def _serve(self) -> None:
        def serve() -> Any:
            while True:
                try:
                    yield from self.engine.clock.ask()
                    yield from self.engine.dispatcher.register()
                    break
                except ServerError:
                    if self.serving.stopping:
                        return
                    yield Wait(_STARTS_AGAIN_S)  # as if a supervisor started it again
            self._heartbeat.start(self._beats.routine())
            self._maintenance.start(self._scheduler.routine())
            yield from self.serving.routine()

        self._dispatcher.start(serve(), self._served)

    # Postponing duties.

    def _postpone(self, duty: str, delay_s: float) -> float:
        """Return the delay until a duty's next turn; in a calm world, longer than it asks for."""
        self._watches = self._watches and self.engine.reaper.has_suspects
        if duty == "requeuer":
            put_off_s = min(POSTPONED_BRIEFLY_S, self._until_due_s()) if delay_s else 0.0
        elif duty in {"periodic", "trimmer"}:
            put_off_s = POSTPONED_BRIEFLY_S
        elif duty == "observer" and (len(self.engine.ledger) or self.engine.observer.is_due):
            put_off_s = 0.0
        elif duty in {"reaper", "reconciler"} and self.engine.reaper.has_suspects:
            if not self._watches:
                self._watches = True
                self._sim.run_postponed()  # it looks at heartbeats: nobody may postpone them now
            put_off_s = 0.0
        else:
            put_off_s = POSTPONED_S
        if put_off_s > delay_s and self._sim.is_calm():
            return put_off_s
        return delay_s

    def _until_due_s(self) -> float:
        """Return how long until a job is due, by the pool's clock, seconds."""
        now_s = self.engine.clock.read().epoch_ms / 1000
        return max(self._sim.server.next_due_s() - now_s, 0.0)

    def _hurry_requeuer(self, at_s: float) -> None:
        """Run the requeuer at a time; in a calm world not before a job is due."""
        requeuer = self._duties["requeuer"]
        if self._scheduler.is_due_by(requeuer, at_s):
            return  # checked first: it is cheap and often true, and then calm does not matter
        if self._sim.is_calm():
            at_s = max(at_s, self._pool.clock.read().monotonic_s + self._until_due_s())
        self._scheduler.hurry(requeuer, at_s)

    def hurry_if_calm(self) -> None:
        """Run the requeuer when the next job is due, even if it was postponed."""
        self._hurry_requeuer(self._pool.clock.read().monotonic_s)

    def hurry(self, duty: str) -> None:
        """Run a postponed duty now."""
        self._scheduler.hurry(self._duties[duty], self._pool.clock.read().monotonic_s)

    def run_postponed(self) -> None:
        """Run the heartbeat and all duties now."""
        self._beats.hurry(self._beat, self._pool.clock.read().monotonic_s)
        for duty in self._duties:
            self.hurry(duty)

    def beat(self) -> None:
        """Send a heartbeat at once, because somebody outside the world is about to read it."""
        with suppress(ServerError):
            self._sim.redis.workkit_carrier.carry(
                self.engine.heartbeat.step(self._pool.clock.read())
            )

    def look(self) -> tuple[list[str], dict[str, int], bool]:
        """Return paused queues with jobs, lengths of queues, and whether no job could run now."""
        names = list(self._spec.registrations)
        step = draining(self.engine, names, self._pool.clock, 0.0)
        looked: tuple[list[str], dict[str, int], bool] = self._sim.redis.workkit_carrier.carry(step)
        return looked

    def _served(self) -> None:
        """Stop the other loops once the dispatcher has left."""
        self._scheduler.stop()
        self._beats.stop()

        def clear() -> Any:
            with suppress(ServerError):  # the observations expire
                yield from self.engine.observer.clear()

        self._dispatcher.start(clear(), self._gone)

    def crash(self) -> None:
        """End at once: nothing happens on this host any more."""
        self.host.crashed = True
        for link in self._links:
            link.close()

    def _gone(self) -> None:
        self.engine.runner.close(wait_s=0.5)
        leave = partial(self._lives.leave, self._left)
        self.call_hooks(self._spec.stop_hooks, self._hook_failed, leave, go_on=True)

    def _left(self, failed: BaseException | None) -> None:
        self._pool.ended(self)
        if failed is not None:
            self._fail(failed)

    def _hook_failed(self, hook: Callable[..., Any], error: BaseException) -> None:
        self._sim.note_assertion(error)
        hook_failed(hook, error)


def _idle(spec: PoolSpec) -> frozenset[str]:
    """Return the names of jobs whose functions need no thread: they do nothing, or say so."""
    if spec.middleware or spec.context is not None:
        return frozenset()
    return frozenset(
        name for name, each in spec.registrations.items() if _needs_no_thread(each.handler.function)
    )


def _needs_no_thread(function: object) -> bool:
    """Tell whether a function needs no thread, since it neither sleeps nor waits."""
    if type(function) is not FunctionType:
        return False
    if getattr(function, "needs_no_thread", False):
        return True
    return {each.opname for each in dis.get_instructions(function)} <= _NOTHING
