"""A simulated world: virtual time, a server, pools, faults and a trace."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from workkit.client import Client
from workkit.core.entropy import Entropy
from workkit.core.text import counted
from workkit.engine.handling.results import label
from workkit.enqueuer import AsyncEnqueuer, Enqueuer
from workkit.errors import InvalidOption, PoolState
from workkit.pool import WorkerPool
from workkit.simulation.assertions import Assertions
from workkit.simulation.checkers import Checker
from workkit.simulation.disturbances import Disturbances
from workkit.simulation.faulting import Faulting
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.machine.carriers import SimulatedAsyncCarrier, SimulatedCarrier
from workkit.simulation.machine.durations import Takes, check_seconds
from workkit.simulation.machine.handler_stack import SleepRequest
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.parking import ParkedThreads, current_stack
from workkit.simulation.machine.world import HostClock, Timer, World, microseconds
from workkit.simulation.performing import Performing
from workkit.simulation.planning import PlannedCalls, answer_of
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.redis.opening import open_backend
from workkit.simulation.redis.server import SimulatedServer
from workkit.simulation.redis.tracing import TraceWriter
from workkit.simulation.trace import Trace
from workkit.store.calls.recount import scan_in_progress
from workkit.store.connections.links import Carrier
from workkit.store.keys import Keys

__all__ = ["START_S", "Simulation"]

#: When a world begins by default: 2027-01-15 08:00:00 UTC.
START_S: Final = 1_800_000_000.0


class Simulation(Assertions, Faulting, PlannedCalls, Performing):
    """A world in which the engine runs in virtual time.

        with Simulation(seed=7) as sim:
            pool = sim.pool()
            pool.job("send_email", send_email, backoff=lambda job: 60)
            job = sim.enqueuer.enqueue("send_email", {"address": "a@example.com"})
            sim.run_for(hours=1)
            assert sim.retry_schedule(job) == [0, 60, 120]

    All random choices come from the seed, so the same seed gives the same trace.

    Args:
        seed: The seed of all random choices.
        faults: Rates, from which the seed draws a plan of faults, or such a plan. Methods such as
            `crash` cause further faults.
        server: None for fakeredis; a URL, a redis-py client or a running `EmbeddedServer`;
            "fakeredis" for fakeredis on its ordinary, slower path.
        namespace: The namespace; it must be empty, and it is deleted at the end.
        start: When the world begins: a datetime with a time zone, or epoch seconds.
        jump: Whether heartbeats and looks that would find nothing new may be postponed while
            nothing goes wrong. In a world with `faults` they are not, until the faults are over.
        checkers: Rules to watch, such as `workkit.simulation.checkers.all_checkers()`; if one is
            broken, the call that runs the world raises a `Violation`.
        swarm: Whether the rates of `faults` are upper bounds; the seed then draws its own rates.
        only_faults: The faults of the plan that happen, by their indexes; None for all.
        variants: Which changes of the drawn plan, one after the other; `explore` tries such.
        raise_assertions: Whether the call that runs the world raises the AssertionError of a
            handler or a hook, so that `assert` works there. False: it only fails the job.

    Raises:
        MissingExtra: An extra is not installed that the server needs.
        InvalidOption: The namespace is not empty, or an argument is invalid.

    Attributes:
        seed: The seed of all random choices.
        namespace: The namespace.
        redis: A redis-py client of the server, as `Enqueuer`, `Client` and `WorkerPool` take it. It
            takes any command; on fakeredis, in virtual time.
        enqueuer: An enqueuer whose clock is the true time of the world.
        async_enqueuer: The same for async handlers.
        client: A client whose clock is the true time of the world.
        trace: The events of the world.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        faults: Faults | Sequence[Fault] | None = None,
        server: object = None,
        namespace: str = "simulation",
        start: datetime.datetime | float = START_S,
        jump: bool = True,
        checkers: Sequence[Checker] = (),
        swarm: bool = False,
        only_faults: Sequence[int] | None = None,
        variants: Sequence[int] = (),
        raise_assertions: bool = True,
    ) -> None:
        self.seed = seed
        self.namespace = namespace
        self.world = World(_epoch_s(start))
        self.trace = Trace(lambda: self.world.now_us)
        self.clock = HostClock(self.world)
        self.threads = ParkedThreads()
        self.pools: list[SimulatedPool] = []
        self.plan: list[Fault] = []
        self._faults = faults
        self._swarm = swarm
        self._only_faults = only_faults
        self._variants = variants
        self.raise_assertions = raise_assertions
        self._planned: list[Timer] = []
        self._closed = False
        self._running = False
        self.jumps = jump and faults is None
        self.keys = keys = Keys(namespace)
        self._asks_who_is_registered = ("SMEMBERS", keys.worker_pools)
        backend = open_backend(server)
        witness = TraceWriter(self.trace, lambda: self.clock.read().epoch_ms / 1000)
        self.server = SimulatedServer(
            self.world, keys, backend,
            lambda who, command, reply: witness.saw(_name_of(who), command, reply),
            Entropy(f"{seed}/visits"),
        )  # fmt: skip
        self.server.due_changed = self._due_changed
        self.network = Network(self.world, self.server, Entropy(f"{seed}/network"))
        self.network.before_outsiders = self._freshen
        self.redis = backend.client
        self.redis.workkit_carrier = SimulatedCarrier(self.network, keys)
        self.redis.workkit_async_carrier = SimulatedAsyncCarrier(self.redis.workkit_carrier)
        entropy = Entropy(f"{seed}/outside")
        self.enqueuer = Enqueuer(namespace, self.redis, clock=self.clock, entropy=entropy)
        self.async_enqueuer = AsyncEnqueuer(
            namespace, self.redis, clock=self.clock, entropy=entropy
        )
        self.client = Client(
            namespace, self.redis, clock=self.clock, entropy=Entropy(f"{seed}/client")
        )
        self.disturbances = Disturbances(self.world, self.network, self.pools)
        self.scene = self.watched_by(checkers) if checkers else None

    # Pools.

    def pool(
        self,
        pool: WorkerPool | None = None,
        *,
        name: str = "",
        takes: Mapping[str, Takes] | None = None,
        **options: Any,
    ) -> SimulatedPool:
        """Add a worker pool; it starts when the world first runs.

        Args:
            pool: The pool that you ship: its registered handlers run here. It must not have been
                started. Without it, a new one is made.
            name: Its name in the trace; by default "pool-1" and so on.
            takes: Job name -> how long its handlers take; see `SimulatedPool.job`.
            **options: Options of `WorkerPool` for a new pool, such as `concurrency`.

        Raises:
            InvalidOption: Options were given together with a pool.
        """
        if pool is not None and options:
            raise InvalidOption(
                f"the pool exists already, so it takes no options: {', '.join(sorted(options))}"
            )
        if pool is None:
            pool = WorkerPool(self.namespace, self.redis, **options)
        name = name or f"pool-{len(self.pools) + 1}"
        simulated = SimulatedPool(self, name, pool, takes or {})
        self.pools.append(simulated)
        self.connect_tasks(pool.tasks)
        return simulated

    # Time.

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.world.now_us / 1_000_000

    @property
    def now_s(self) -> float:
        """The true time, epoch seconds."""
        return self.clock.read().epoch_ms / 1000

    def sleep(self, seconds: float, *, interruptible: bool = True) -> None:
        """Sleep in virtual time; for sync handlers.

        Args:
            seconds: How long.
            interruptible: Whether the job's timeout can end the sleep early, as it can interrupt
                Python code; False simulates a blocking call in C.

        Raises:
            PoolState: The caller is not a sync handler of a simulated pool.
            JobTimeout: The job's timeout has passed.
            InvalidOption: The time is negative.
        """
        check_seconds("the time of sim.sleep", seconds)
        stack = current_stack()
        if stack is None:
            raise PoolState(
                "sim.sleep works in sync handlers; async ones await asyncio.sleep, and outside "
                "of handlers sim.run_for lets time pass"
            )
        stack.ask(SleepRequest(seconds, interruptible=interruptible))

    def run_for(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Run the world for this much virtual time.

        Raises:
            InvalidOption: The time is negative.
            AssertionError: A handler has failed with it; see `raise_assertions`.
        """
        total_s = seconds + 60 * minutes + 3_600 * hours + 86_400 * days
        check_seconds("the time of sim.run_for", total_s)
        self._run(self.world.now_us + microseconds(total_s), None)

    def run_until(
        self,
        when: float | datetime.datetime | Callable[[], object],
        *,
        within: float = 86_400,
    ) -> None:
        """Run the world until a time, or until a function returns true.

        Args:
            when: Seconds since the world began, a datetime with a time zone, or a function that is
                called after every event.
            within: Give up after this many virtual seconds, if `when` is a function.

        Raises:
            AssertionError: The function has not returned true in time, or a handler has failed with
                it; see `raise_assertions`.
            InvalidOption: The time is in the past.
            InvalidHandler: The function is async.
        """
        if callable(when):
            check_seconds("within", within)
            self._start_pools()
            if not self._run(self.world.now_us + microseconds(within), partial(answer_of, when)):
                self.fail(f"{label(when)} has not become true within {within:g} s")
            return
        if isinstance(when, datetime.datetime):
            when = _epoch_s(when) - self.world.start_ms / 1000
        if not microseconds(when) >= self.world.now_us:
            raise InvalidOption(
                f"sim.run_until({when:g}) is in the past: {self.now:g} s have passed since the "
                "world began; for a time from now, write sim.run_for"
            )
        self._run(microseconds(when), None)

    def run_until_idle(self, *, within: float = 86_400) -> None:
        """Run the world until no job is queued, in progress, or waiting for a retry.

        It waits for the calls that were planned with `at`. Scheduled jobs and cron slots that are
        due later do not count, nor do paused queues.

        Args:
            within: Give up after this many virtual seconds.

        Raises:
            AssertionError: It takes longer, or a handler has failed with it; see
                `raise_assertions`.
        """
        check_seconds("within", within)
        self._start_pools()
        seen = (-1, -1)

        def idle() -> bool:
            nonlocal seen
            if self._calls_left or seen == (found := (self.server.writes, self._calls_left)):
                return False  # nothing has changed since the last check
            seen = found
            return self._idle()

        if not self._run(self.world.now_us + microseconds(within), idle):
            calls = counted(self._calls_left, "planned call")
            why = f"; {calls} of sim.at did not end" if self._calls_left else ""
            self.fail(f"the world is not at rest after {within:g} s{why}")

    def _idle(self) -> bool:
        if self.network.is_away or any(pool.busy for pool in self.pools):
            return False
        carrier: Carrier = self.redis.workkit_carrier
        if carrier.carry(iter(scan_in_progress(self.keys, 0)))[1]:
            return False
        now_s = self.now_s
        if self.client.retry_jobs().total:
            return False
        if any(job.run_at <= now_s for job in self.client.scheduled_jobs().jobs):
            return False
        return not any(queue.count and not queue.paused for queue in self.client.queues())

    def _start_pools(self) -> None:
        for pool in self.pools:
            if not pool.started:
                pool.start()

    def _run(self, until_us: int, done: Callable[[], object] | None) -> bool:
        if self._closed:
            raise PoolState("the simulation is closed")
        if self._running or current_stack() is not None:
            raise PoolState("the world is running already; in handlers use sim.sleep")
        self._start_pools()
        self._plan_faults()
        self._running = True
        scene = self.scene
        try:
            if done is not None and done():
                return True
            while self.world.step(until_us):
                if scene is not None and scene.violation is not None:
                    self.report(scene.violation)
                if self.assertion is not None:
                    self.raise_assertion()
                if done is not None and done():
                    return True
            self.world.now_us = max(self.world.now_us, until_us) if done is None else until_us
        finally:
            self._running = False
        return False

    # Calm.

    def is_calm(self) -> bool:
        """Tell whether no fault is present or planned and every pool is registered and well."""
        if not self.jumps or self.server.refusal or self.network.is_troubled:
            return False
        if not all(pool.is_healthy for pool in self.pools):
            return False
        registered = self.server.read(self._asks_who_is_registered)
        living = [pool.pool_id.encode() for pool in self.pools if pool.running]
        return len(living) == len(registered) and all(each in registered for each in living)

    def run_postponed(self) -> None:
        """Run everything that was postponed in a calm world."""
        if self.jumps:
            for pool in self.pools:
                pool.run_postponed()

    def _due_changed(self) -> None:
        """Tell postponed requeuers that the next due time may have changed."""
        if self.is_calm():
            for pool in self.pools:
                pool.due_changed()

    def _freshen(self, keys: Sequence[bytes]) -> None:
        """Send postponed heartbeats before somebody outside the world reads them."""
        if self.jumps and self.is_calm() and any(map(self.keys.is_pool, keys)):
            for pool in self.pools:
                pool.beat()

    # Ending.

    def close(self) -> None:
        """End the world and delete its keys."""
        if self._closed:
            return
        self._closed = True
        self.network.over = True
        for pool in self.pools:
            pool.unwind()
        self.end_calls()
        self.release_tasks()
        self.threads.close()
        self.network.closed = True
        self.server.close()

    def __enter__(self) -> Self:
        """Return the world."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the world."""
        self.close()


def _epoch_s(when: datetime.datetime | float) -> float:
    if isinstance(when, datetime.datetime):
        if when.tzinfo is None:
            raise InvalidOption(f"{when!r} has no time zone; give it one, such as datetime.UTC")
        return when.timestamp()
    return float(when)


def _name_of(who: object) -> str:
    host = getattr(who, "host", None)
    return host.name if host is not None else ""
