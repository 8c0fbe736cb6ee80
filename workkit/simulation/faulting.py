"""Causes faults: by calls, or from a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption
from workkit.simulation import naming
from workkit.simulation.disturbances import AFTER_STEP_S, UNANSWERED_S, Disturbances
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.machine.durations import check_seconds
from workkit.simulation.machine.host import Trap
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.world import Timer, World, microseconds
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.redis.losing import Snapshot
from workkit.simulation.redis.refusals import Refusal
from workkit.simulation.spoiling import SPOILING, Spoiling
from workkit.simulation.trace import Trace

__all__ = ["Faulting"]

#: What is lost when the connections of a pool are cut -> the kind of the fault.
_CUTS: Final = {"": "cut", "requests": "unheard", "replies": "deaf"}


class Faulting(Spoiling):
    """The part of a simulation that causes faults.

    Attributes:
        plan: The faults that were given or drawn from the seed.
    """

    seed: int | str
    network: Network
    trace: Trace
    pools: list[SimulatedPool]
    plan: list[Fault]
    disturbances: Disturbances
    jumps: bool
    _faults: Faults | Sequence[Fault] | None
    _swarm: bool
    _only_faults: Sequence[int] | None
    _variants: Sequence[int]
    _planned: list[Timer]
    _refusals: list[Refusal]

    def _plan_faults(self) -> None:
        """Draw the plan once the pools are known, and schedule its faults."""
        faults, self._faults = self._faults, None
        if faults is None:
            return
        if isinstance(faults, Faults):
            if self._swarm:
                faults = faults.swarm(Entropy(f"{self.seed}/swarm"))
            self.network.latency = faults.latency
            names = [pool.name for pool in self.pools]
            self.plan = faults.draw(Entropy(f"{self.seed}/faults"), names)
            for at in range(len(self._variants)):
                way = "/".join(map(str, self._variants[: at + 1]))
                self.plan = faults.vary(Entropy(f"{self.seed}/variant/{way}"), names, self.plan)
        else:
            self.plan = list(faults)
        naming.check_indexes(self._only_faults, len(self.plan))
        for at, fault in enumerate(self.plan):
            if self._only_faults is None or at in self._only_faults:
                self._planned.append(self.world.at(microseconds(fault.at_s), self.inject, fault))

    def end_faults(self) -> None:
        """End the faults: from now on the world should come to rest.

        Planned faults are cancelled, clocks are corrected, and crashed pools start again. Frozen,
        cut or slow pools, and a server that is away, recover at their planned times.
        """
        for timer in self._planned:
            World.cancel(timer)
        self._planned.clear()
        self.network.latency = None
        self.disturbances.strike("")
        self.jumps = True
        for pool in self.pools:
            if pool.clock.skew_us:
                self.disturbances.strike(pool.name, AFTER_STEP_S)
            pool.clock.skew_us = 0
            if pool.running:
                pool.host.line.traps.clear()
            elif pool.started and not pool.asked_to_stop:
                pool.start()

    def inject(self, fault: Fault) -> None:
        """Cause a fault now, despite its `at_s`; on a stopped pool, only "step" has an effect."""
        if fault.pool:
            pool = next((each for each in self.pools if each.name == fault.pool), None)
            if pool is None:
                names = ", ".join(each.name for each in self.pools)
                raise InvalidOption(f"there is no pool {fault.pool!r}; there are {names}")
            self._inject_into(pool, fault)
        elif fault.kind in {"away", "outage"}:
            self.stop_redis(fault.for_s)
        elif fault.kind == "wipe":
            self.wipe_redis()
        elif fault.kind in {"failover", "aof"}:
            self.lose_writes(fault.for_s, restarts=fault.kind == "aof")
        elif fault.kind == "evict":
            self.evict()
        elif fault.kind in SPOILING:
            self.spoil(fault.kind, fault.for_s)
        elif fault.kind in {"oom", "readonly"}:
            self.refuse_writes(fault.for_s, "OOM" if fault.kind == "oom" else "READONLY")
        else:
            raise ValueError(f"no rule says how the fault {fault.kind!r} begins")

    def _inject_into(self, pool: SimulatedPool, fault: Fault) -> None:
        if not pool.running and fault.kind != "step":
            return
        for_s, by_s, number = fault.for_s, fault.by_s, fault.after or 1
        begin: dict[str, Callable[[], object]] = {
            "step": lambda: self.step_clock(pool, by_s),
            "crash": lambda: self.crash(
                pool, before=fault.before or None, after=fault.after or None,
                restart_after=for_s or None,
            ),
            "lose": lambda: self.lose_reply(pool, number),
            "drop": lambda: self.drop_request(pool, number),
            "freeze": lambda: self.freeze(pool, for_s),
            "stall": lambda: self.freeze(pool, for_s, after=number),
            "slow": lambda: self.slow(pool, for_s, by=by_s),
            "cut": lambda: self.cut(pool, for_s),
            "unheard": lambda: self.cut(pool, for_s, only="requests"),
            "deaf": lambda: self.cut(pool, for_s, only="replies"),
            "hold": lambda: self.hold(pool, for_s),
            "stop": lambda: self.deploy(pool, timeout=by_s, restart_after=for_s),
        }  # fmt: skip
        if fault.kind not in begin:
            raise ValueError(f"no rule says how the fault {fault.kind!r} begins")
        begin[fault.kind]()

    # Pools.

    def crash(
        self,
        pool: SimulatedPool,
        *,
        before: int | str | None = None,
        after: int | str | None = None,
        restart_after: float | None = None,
    ) -> None:
        """Crash a pool: its process ends without a word to Redis, and its stacks are abandoned.

        Args:
            pool: The pool.
            before: Crash just before a command reaches Redis: the name of a command (a script such
                as "exchange", or a verb), or N for the Nth command from now.
            after: The same, but Redis has carried the command out and its reply is lost.
            restart_after: Start the pool again after this many seconds.
        """

        def happen(command: str) -> bool:
            self.trace.add(
                "fault", pool.name, fault="crash", **({"at": command} if command else {})
            )
            pool.crash()
            if restart_after is not None:
                self.world.after(microseconds(restart_after), self._start_when_stopped, pool)
            return False

        naming.check_pool(pool, self.pools)
        if restart_after is not None:
            check_seconds("restart_after", restart_after)
        if before is None and after is None:
            if pool.running:
                happen("")
        elif before is not None:
            self._set_trap(pool, "before", before, happen)
        elif after is not None:
            self._set_trap(pool, "after", after, happen)

    def lose_reply(self, pool: SimulatedPool, of: int | str = 1) -> None:
        """Lose the reply to a command that Redis has carried out.

        Args:
            pool: The sender of the command.
            of: A command name, or N for the Nth command from now.
        """
        self._set_trap(pool, "after", of, lambda command: self._struck(pool, "lose", command))

    def drop_request(self, pool: SimulatedPool, of: int | str = 1) -> None:
        """Lose a command before it reaches Redis; takes the arguments of `lose_reply`."""
        self._set_trap(pool, "before", of, lambda command: self._struck(pool, "drop", command))

    def _struck(self, pool: SimulatedPool, fault: str, command: str) -> bool:
        self._fault(pool.name, UNANSWERED_S, fault=fault, at=command)
        return False

    def _set_trap(
        self,
        pool: SimulatedPool,
        when: Literal["before", "after"],
        which: int | str,
        spring: object,
    ) -> None:
        naming.check_pool(pool, self.pools)
        count, name = naming.read_command(which)
        self._start_pools()
        self.run_postponed()
        pool.host.line.traps.append(Trap(when, count, name, spring))  # type: ignore[arg-type]

    def _fault(self, where: str, lasts_s: float = 0.0, after_s: float = 0.0, **detail: Any) -> None:
        """Add a fault to the trace, and run everything that was postponed.

        Args:
            where: The name of a pool; "" for Redis.
            lasts_s: How long it lasts, seconds.
            after_s: How long its effects may last after its end, seconds.
            **detail: Facts for the trace.
        """
        self.trace.add("fault", where, **detail)
        self.disturbances.strike(where, lasts_s, detail["fault"], after_s)
        self.run_postponed()

    def _start_pools(self) -> None:
        raise NotImplementedError

    def run_postponed(self) -> None:
        """Run everything that was postponed in a calm world."""
        raise NotImplementedError

    def restart(self, pool: SimulatedPool) -> None:
        """Start a pool again after a crash or a stop."""
        pool.start()

    def freeze(
        self, pool: SimulatedPool, seconds: float, *, after: int | str | None = None
    ) -> None:
        """Freeze a pool: nothing happens on it. When it thaws, all that was due happens.

        Args:
            pool: The pool.
            seconds: For how long.
            after: Freeze when Redis has carried out a command: its name, or N for the Nth command
                from now. Its reply waits for the pool.
        """
        naming.check_pool(pool, self.pools)
        check_seconds("the time of sim.freeze", seconds)

        def happen(_command: str) -> bool:
            kind = "freeze" if after is None else "stall"
            self._fault(pool.name, seconds, fault=kind, for_s=seconds)
            host, until_us = pool.host, self.world.now_us + microseconds(seconds)
            host.frozen_until_us = max(host.frozen_until_us, until_us)
            return True

        if after is None:
            happen("")
        else:
            self._set_trap(pool, "after", after, happen)

    def step_clock(self, pool: SimulatedPool, seconds: float) -> None:
        """Step the wall clock of a pool's host; its monotonic clock is not affected."""
        naming.check_pool(pool, self.pools)
        naming.check_step(seconds)
        self._fault(pool.name, AFTER_STEP_S, fault="step", by_s=seconds)
        pool.clock.skew_us += microseconds(seconds)

    def slow(self, pool: SimulatedPool, seconds: float, *, by: float) -> None:
        """Make the connections of a pool slow.

        Args:
            pool: The pool.
            seconds: For how long.
            by: How long a request or a reply takes for one way, seconds. A caller gives up after
                its timeout (5 s, heartbeats 2 s), but its request still arrives.
        """
        naming.check_pool(pool, self.pools)
        check_seconds("the time of sim.slow", seconds)
        check_seconds("by", by)
        self._fault(
            pool.name, seconds + 2 * by + UNANSWERED_S, fault="slow", for_s=seconds, by_s=by
        )
        line = pool.host.line
        line.slow_until_us = self.world.now_us + microseconds(seconds)
        line.slow_us = microseconds(by)

    def cut(
        self,
        pool: SimulatedPool,
        seconds: float,
        *,
        only: Literal["", "requests", "replies"] = "",
    ) -> None:
        """Cut the connections of a pool silently.

        Args:
            pool: The pool.
            seconds: For how long.
            only: "requests" if only these are lost, "replies" if only these are (and announcements
                of changes); "" for both.
        """
        naming.check_pool(pool, self.pools)
        check_seconds("the time of sim.cut", seconds)
        naming.check_choice("only", only, _CUTS)
        kind = _CUTS[only]
        self._fault(pool.name, seconds + UNANSWERED_S, fault=kind, for_s=seconds)
        setattr(pool.host.line, f"{kind}_until_us", self.world.now_us + microseconds(seconds))

    def hold(self, pool: SimulatedPool, seconds: float) -> None:
        """Hold the requests of a pool back; all of them arrive when the time is over."""
        naming.check_pool(pool, self.pools)
        check_seconds("the time of sim.hold", seconds)
        self._fault(pool.name, seconds + UNANSWERED_S, fault="hold", for_s=seconds)
        pool.host.line.hold_until_us = self.world.now_us + microseconds(seconds)

    def deploy(
        self, pool: SimulatedPool, *, timeout: float | None, restart_after: float | None
    ) -> None:
        """Stop a pool, and start it again with a new process.

        Args:
            pool: The pool.
            timeout: Seconds until unfinished jobs return to their queues; None waits for them.
            restart_after: Start it after this many seconds, once it has stopped; None for never.
        """
        naming.check_pool(pool, self.pools)
        self._fault(pool.name, fault="stop", timeout=timeout)
        pool.stop(timeout)
        if restart_after is not None:
            check_seconds("restart_after", restart_after)
            self.world.after(microseconds(restart_after), self._start_when_stopped, pool)

    def _start_when_stopped(self, pool: SimulatedPool) -> None:
        if pool.running and pool.asked_to_stop:
            self.world.after(microseconds(1), self._start_when_stopped, pool)
        else:
            pool.start()

    # Redis.

    def stop_redis(self, seconds: float) -> None:
        """Stop Redis for a while, as in a restart; it keeps its data."""
        check_seconds("the time of sim.stop_redis", seconds)
        self._fault("", seconds, UNANSWERED_S, fault="away", for_s=seconds)
        until_us = self.world.now_us + microseconds(seconds)
        self.network.away_until_us = max(self.network.away_until_us, until_us)
        self.network.hang_up()

    def lose_writes(self, seconds: float, *, restarts: bool = False) -> None:
        """Let Redis lose everything that is written from now on for a while.

        Args:
            seconds: The writes of this time are lost when it is over: a replica that has lagged
                takes over.
            restarts: Redis crashes instead, reads its log, and is away for a second.
        """
        check_seconds("the time of sim.lose_writes", seconds)
        snapshot = self.server.snapshot()
        self.world.after(microseconds(seconds), self._lose, snapshot, restarts)

    def _lose(self, snapshot: Snapshot, restarts: bool) -> None:
        self._fault("", 0, UNANSWERED_S, fault="aof" if restarts else "failover")
        self.server.roll_back(snapshot)
        if restarts:
            self.stop_redis(1.0)
        else:
            self.network.hang_up()

    def evict(self) -> None:
        """Evict a key that pools write again: a limit, a heartbeat or a lease."""
        keys = self.server.evictable()
        if keys:
            key = keys[self.server.dice.below(len(keys))]
            self._fault("", 0, UNANSWERED_S, fault="evict", key=key.decode("utf-8", "replace"))
            self.server.evict(key)

    def wipe_redis(self) -> None:
        """Delete everything in Redis."""
        self._fault("", fault="wipe")
        self.server.wipe()

    def refuse_writes(self, seconds: float, code: Literal["OOM", "READONLY"] = "OOM") -> None:
        """Make Redis refuse writes for a while.

        Args:
            seconds: For how long.
            code: "OOM" simulates a full server; it lets a script finish whose first write needs no
                memory. "READONLY" simulates a replica.
        """
        check_seconds("the time of sim.refuse_writes", seconds)
        naming.check_choice("code", code, ("OOM", "READONLY"))
        self._fault("", seconds, UNANSWERED_S, fault=code.lower(), for_s=seconds)
        refusal = Refusal(code)
        self._refusals.append(refusal)
        self.server.refusal = refusal
        self.world.after(microseconds(seconds), self._accept_writes, refusal)

    def _accept_writes(self, refusal: Refusal) -> None:
        """End a refusal; another one may have begun before it, and last longer."""
        self._refusals = [each for each in self._refusals if each is not refusal]
        self.server.refusal = self._refusals[-1] if self._refusals else None
