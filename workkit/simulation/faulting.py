"""Making things go wrong: by call, or from a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.machine.host import Trap
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.world import Timer, World, microseconds
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.redis.refusing import Refusal
from workkit.simulation.redis.server import SimulatedServer
from workkit.simulation.trace import Trace

__all__ = ["Faulting"]


class Faulting:
    """The faults of a simulation.

    Attributes:
        plan: The faults that were drawn from the seed, or given.
    """

    seed: int | str
    world: World
    server: SimulatedServer
    network: Network
    trace: Trace
    pools: list[SimulatedPool]
    plan: list[Fault]
    jumps: bool
    _faults: Faults | Sequence[Fault] | None
    _swarm: bool
    _only_faults: Sequence[int] | None
    _planned: list[Timer]

    def _plan_faults(self) -> None:
        """Draw the plan once the pools are known, and lay it out in time."""
        faults, self._faults = self._faults, None
        if faults is None:
            return
        if isinstance(faults, Faults):
            if self._swarm:
                faults = faults.swarm(Entropy(f"{self.seed}/swarm"))
            self.network.latency = faults.latency
            names = [pool.name for pool in self.pools]
            self.plan = faults.draw(Entropy(f"{self.seed}/faults"), names)
        else:
            self.plan = list(faults)
        for at, fault in enumerate(self.plan):
            if self._only_faults is None or at in self._only_faults:
                self._planned.append(self.world.at(microseconds(fault.at_s), self.inject, fault))

    def end_faults(self) -> None:
        """Let nothing go wrong from now on: for the phase in which everything must come to rest.

        Planned faults do not happen, clocks are put right, pools that have crashed start again, and
        what is frozen, cut, slow or away recovers when its time has come.
        """
        for timer in self._planned:
            World.call_off(timer)
        self._planned.clear()
        self.network.latency = None
        self.jumps = True
        for pool in self.pools:
            pool.clock.skew_us = 0
            if pool.running:
                pool.host.line.traps.clear()
            elif pool.started and not pool.asked_to_stop:
                pool.start()

    def inject(self, fault: Fault) -> None:
        """Let a fault happen now, whatever its `at_s` says; a pool that does not run has none."""
        if fault.pool:
            pool = next((each for each in self.pools if each.name == fault.pool), None)
            if pool is None:
                names = ", ".join(each.name for each in self.pools)
                raise InvalidOption(f"there is no pool {fault.pool!r}; there are {names}")
            self._inject_into(pool, fault)
        elif fault.kind == "away":
            self.stop_redis(fault.for_s)
        elif fault.kind == "wipe":
            self.wipe_redis()
        else:
            self.refuse_writes(fault.for_s, "OOM" if fault.kind == "oom" else "READONLY")

    def _inject_into(self, pool: SimulatedPool, fault: Fault) -> None:
        if fault.kind == "step":
            self.step_clock(pool, fault.by_s)
        elif not pool.running:
            return
        elif fault.kind == "crash":
            self.crash(
                pool, before=fault.before or None, after=fault.after or None,
                restart_after=fault.for_s or None,
            )  # fmt: skip
        elif fault.kind == "lose":
            self.lose_reply(pool, fault.after or 1)
        elif fault.kind == "drop":
            self.drop_request(pool, fault.after or 1)
        elif fault.kind == "freeze":
            self.freeze(pool, fault.for_s)
        elif fault.kind == "slow":
            self.slow(pool, fault.for_s, by=fault.by_s)
        else:
            self.cut(pool, fault.for_s)

    # Pools.

    def crash(
        self,
        pool: SimulatedPool,
        *,
        before: int | str | None = None,
        after: int | str | None = None,
        restart_after: float | None = None,
    ) -> None:
        """Crash a pool: its process ends, its stacks are abandoned, nothing is said to Redis.

        Args:
            pool: The pool.
            before: Not now, but just before a command reaches Redis: the next of a name (a script
                such as "exchange", or a verb), or the so-manyeth from now on.
            after: The same, but the command was carried out, and only its reply is lost.
            restart_after: Start the pool again after so many seconds.
        """

        def happen(command: str) -> bool:
            self.trace.add(
                "fault", pool.name, fault="crash", **({"at": command} if command else {})
            )
            pool.crash()
            if restart_after is not None:
                self.world.after(microseconds(restart_after), pool.start)
            return False

        if before is None and after is None:
            if pool.running:
                happen("")
        elif before is not None:
            self._lay(pool, "before", before, happen)
        elif after is not None:
            self._lay(pool, "after", after, happen)

    def lose_reply(self, pool: SimulatedPool, of: int | str = 1) -> None:
        """Lose the reply to a command that Redis has carried out.

        Args:
            pool: Whose command.
            of: The next of a name, or the so-manyeth from now on.
        """
        self._lay(pool, "after", of, lambda command: self._struck(pool, "lose", command))

    def drop_request(self, pool: SimulatedPool, of: int | str = 1) -> None:
        """Lose a command before Redis has carried it out; the arguments are `lose_reply`'s."""
        self._lay(pool, "before", of, lambda command: self._struck(pool, "drop", command))

    def _struck(self, pool: SimulatedPool, fault: str, command: str) -> bool:
        self._fault(pool.name, fault=fault, at=command)
        return False

    def _lay(
        self,
        pool: SimulatedPool,
        when: Literal["before", "after"],
        which: int | str,
        spring: object,
    ) -> None:
        count, name = (which, "") if isinstance(which, int) else (1, which)
        if count < 1:
            raise InvalidOption(f"commands are counted from 1, not {count}")
        self._start_pools()
        self.rouse()
        pool.host.line.traps.append(Trap(when, count, name, spring))  # type: ignore[arg-type]

    def _fault(self, where: str, **detail: Any) -> None:
        """Add a fault to the trace, and end the calm."""
        self.trace.add("fault", where, **detail)
        self.rouse()

    def _start_pools(self) -> None:
        raise NotImplementedError

    def rouse(self) -> None:
        """Let everything that was put off in a calm world have its turn."""
        raise NotImplementedError

    def restart(self, pool: SimulatedPool) -> None:
        """Start a pool again after a crash or a stop."""
        pool.start()

    def freeze(self, pool: SimulatedPool, seconds: float) -> None:
        """Let a pool stand still: nothing happens on it, then everything that was due does."""
        self._fault(pool.name, fault="freeze", for_s=seconds)
        host = pool.host
        host.frozen_until_us = max(host.frozen_until_us, self.world.now_us + microseconds(seconds))

    def step_clock(self, pool: SimulatedPool, seconds: float) -> None:
        """Step the wall clock of a pool's host; its monotonic clock goes on."""
        self._fault(pool.name, fault="step", by_s=seconds)
        pool.clock.skew_us += microseconds(seconds)

    def slow(self, pool: SimulatedPool, seconds: float, *, by: float) -> None:
        """Make the connections of a pool slow.

        Args:
            pool: The pool.
            seconds: For how long.
            by: How long a request or a reply is under way, seconds. Who waits for more than its
                timeout (5 s, heartbeats 2 s) gives up, and the request arrives all the same.
        """
        self._fault(pool.name, fault="slow", for_s=seconds, by_s=by)
        line = pool.host.line
        line.slow_until_us = self.world.now_us + microseconds(seconds)
        line.slow_us = microseconds(by)

    def cut(self, pool: SimulatedPool, seconds: float) -> None:
        """Cut the connections of a pool without a word: requests and replies vanish."""
        self._fault(pool.name, fault="cut", for_s=seconds)
        pool.host.line.cut_until_us = self.world.now_us + microseconds(seconds)

    # Redis.

    def stop_redis(self, seconds: float) -> None:
        """Let Redis be away for a while, as in a restart; it keeps its data."""
        self._fault("", fault="away", for_s=seconds)
        until_us = self.world.now_us + microseconds(seconds)
        self.network.away_until_us = max(self.network.away_until_us, until_us)
        self.network.hang_up()

    def wipe_redis(self) -> None:
        """Let Redis lose everything."""
        self._fault("", fault="wipe")
        self.server.wipe()

    def refuse_writes(self, seconds: float, code: Literal["OOM", "READONLY"] = "OOM") -> None:
        """Make Redis refuse writes for a while.

        Args:
            seconds: For how long.
            code: "OOM" as a server that is full, which lets a script finish that has written what
                takes no memory; "READONLY" as a replica.
        """
        self._fault("", fault=code.lower(), for_s=seconds)
        refusal = Refusal(code)
        self.server.refusal = refusal
        self.world.after(microseconds(seconds), self._accept_writes, refusal)

    def _accept_writes(self, refusal: Refusal) -> None:
        if self.server.refusal is refusal:
            self.server.refusal = None
