"""A simulated world: virtual time, a server, pools, faults and a trace."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final, Self

from workkit.client import Client
from workkit.core.entropy import Entropy
from workkit.enqueuer import AsyncEnqueuer
from workkit.errors import InvalidOption
from workkit.pool import WorkerPool
from workkit.simulation.checkers import Checker
from workkit.simulation.disturbances import Disturbances
from workkit.simulation.enqueuing import WatchedEnqueuer
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.machine.carriers import SimulatedAsyncCarrier, SimulatedCarrier
from workkit.simulation.machine.durations import Takes
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.parking import ParkedThreads
from workkit.simulation.machine.world import HostClock, Timer, World
from workkit.simulation.naming import check_faults
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.redis.opening import is_real, open_backend
from workkit.simulation.redis.server import SimulatedServer
from workkit.simulation.redis.tracing import TraceWriter
from workkit.simulation.replaying import Replaying
from workkit.simulation.running import NothingRan, Running, epoch_s
from workkit.simulation.trace import Trace
from workkit.store.keys import Keys

__all__ = ["START_S", "Simulation"]

#: When a world begins by default: 2027-01-15 08:00:00 UTC.
START_S: Final = 1_800_000_000.0


#: Who acts through the client of a world: not who runs it, so that each machine has one trace.
_ACTOR: Final = "operator@simulation"


class Simulation(Running, Replaying):
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
        raise_errors: Whether it raises every error of a handler or a hook; `Retry`, `Fail` and
            `Discard`, which say what becomes of the job, stay with the job.
        other_namespaces: Namespaces of other services, into which handlers may enqueue. No pool
            of this world runs their jobs.
        patch: Whether `time`, `datetime`, `random`, `uuid`, `secrets` and `os.urandom` have the
            time of the host and chance from the seed in handlers and hooks, and real things are
            refused there.
        allow: Kinds of real things that are not refused: "sockets", "subprocesses", "threads",
            "loops" (event loops of one's own). A real server allows sockets.

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
        raise_errors: bool = False,
        other_namespaces: Collection[str] = (),
        patch: bool = True,
        allow: Collection[str] = (),
    ) -> None:
        self.seed = seed
        self.namespace = namespace
        self.world = World(epoch_s(start))
        self.world.chance = Entropy(f"{seed}/handlers")
        self.patch = patch
        self.trace = Trace(lambda: self.world.now_us, self.world.start_ms)
        self.clock = HostClock(self.world)
        self._calls_host = Host(self.world, "", self.clock)
        self.threads = ParkedThreads()
        self.pools: list[SimulatedPool] = []
        self.plan: list[Fault] = []
        check_faults(faults)
        self._faults = faults
        self._swarm = swarm
        self._only_faults = only_faults
        self._variants = variants
        self._refusals = []
        self.raise_assertions = raise_assertions
        self.raise_errors = raise_errors
        self._planned: list[Timer] = []
        self.jumps = jump and faults is None
        self.keys = keys = Keys(namespace)
        self._asks_who_is_registered = ("SMEMBERS", keys.worker_pools)
        self._asks_for_limits = ("HGETALL", keys.limits)
        backend = open_backend(server)
        if is_real(backend):
            self._server_needs = frozenset({"sockets"})
        witness = TraceWriter(self.trace, lambda: self.clock.read().epoch_ms / 1000)
        self.allow = allow
        self.server = SimulatedServer(
            self.world, keys, backend,
            lambda who, command, reply: witness.saw(_name_of(who), command, reply),
            Entropy(f"{seed}/visits"),
        )  # fmt: skip
        self.server.due_changed = self._due_changed
        self.network = Network(self.world, self.server, Entropy(f"{seed}/network"))
        self.network.before_outsiders = self._freshen
        self.redis = backend.client
        self.redis.workkit_carrier = SimulatedCarrier(self.network, keys, other_namespaces)
        self.redis.workkit_async_carrier = SimulatedAsyncCarrier(self.redis.workkit_carrier)
        entropy = Entropy(f"{seed}/outside")
        self.enqueuer = WatchedEnqueuer(namespace, self.redis, clock=self.clock, entropy=entropy)
        self.async_enqueuer = AsyncEnqueuer(
            namespace, self.redis, clock=self.clock, entropy=entropy
        )
        self.client = Client(
            namespace, self.redis, clock=self.clock, entropy=Entropy(f"{seed}/client"), actor=_ACTOR
        )
        self.client.actions.logic.log.program = ""
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

    # Calm.

    def is_calm(self) -> bool:
        """Tell whether no fault is present or planned and every pool is registered and well."""
        if not self.jumps or self.server.refusal or self.network.is_troubled:
            return False
        if self.spoilt_until_us > self.world.now_us:
            return False
        if not all(pool.is_healthy for pool in self.pools):
            return False
        registered = self.server.read(self._asks_who_is_registered)
        living = [pool.pool_id.encode() for pool in self.pools if pool.running]
        are_there = len(living) == len(registered) and all(each in registered for each in living)
        return are_there and self._is_tidy()

    def _is_tidy(self) -> bool:
        """Tell whether there is no wrong lock to correct and no limit to lift."""
        limits = self.server.read(self._asks_for_limits)
        if isinstance(limits, dict):
            for name in map(bytes.decode, limits):
                if not any(pool.running and name in pool.spec.registrations for pool in self.pools):
                    return False
        return not self.server.has_wrong_locks()

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
        """End the world and delete its keys.

        Warns:
            NothingRan: The world has run, and no handler has started in it.
        """
        if not self._closed:
            nothing_ran = self.why_nothing_ran()
            self._end_world()
            if nothing_ran:
                warnings.warn(nothing_ran, NothingRan, stacklevel=2)

    def _end_world(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.network.over = True
        virtual = self._virtual if self._virtual is not None and self._virtual.is_open else None
        with virtual or nullcontext():
            for pool in self.pools:
                pool.unwind()
            self.end_calls()
        if virtual is not None:
            virtual.close()
        self.release_tasks()
        self.threads.close()
        self.network.closed = True
        self.server.close()

    def __enter__(self) -> Self:
        """Return the world."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the world; after an error, without a warning."""
        nothing_ran = "" if kind is not None else self.why_nothing_ran()
        self._end_world()
        if nothing_ran:
            warnings.warn(nothing_ran, NothingRan, stacklevel=2)


def _name_of(who: object) -> str:
    host = getattr(who, "host", None)
    return host.name if host is not None else ""
