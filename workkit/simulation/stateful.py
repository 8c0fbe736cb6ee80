"""A state machine of Hypothesis that works a simulated world: it enqueues, waits, breaks things.

from workkit.simulation.stateful import WorkkitMachine


class Mails(WorkkitMachine):
def build(self):
self.sim.pool().job("send_email", send_email, max_concurrency=2)


TestMails = Mails.TestCase
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from workkit.core.call import Call
from workkit.core.options import near_match
from workkit.errors import InvalidOption, MissingExtra
from workkit.simulation.checkers import Checker, all_checkers
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.simulation import Simulation

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
except ImportError:
    raise MissingExtra("workkit.simulation.stateful", "hypothesis") from None

__all__ = ["WorkkitMachine"]

#: The longest time that one step lets pass, seconds: more than any duty waits for its turn.
_LONGEST_S: Final = 3_600
#: How long a deploy waits for handlers, seconds.
_GRACE_S: Final = 30
#: After this long at rest, every duty that recovers something has run, seconds.
_AFTERMATH_S: Final = 180.0

#: A pool stops within its grace and this, seconds.
_STOPS_WITHIN_S: Final = _GRACE_S + 120.0
#: A pool crashes at one of this many next commands.
_COMMANDS: Final = 20
_BACK_AFTER_S: Final = 2.0
#: The jobs and the names of the pools of a machine.
_calls: Final = st.runner().flatmap(lambda machine: machine._calls)  # noqa: SLF001 - its own
_pools: Final = st.runner().flatmap(
    lambda machine: st.sampled_from([pool.name for pool in machine.sim.pools])
)


class WorkkitMachine(RuleBasedStateMachine):
    """Steps that happen to a service in any order, in virtual time; a failure has few of them.

    Override `build`, which adds the pools. Hypothesis then enqueues jobs, lets time pass, crashes
    and deploys pools, in many orders, while the checkers watch. At the end of each run the faults
    are over, the world must come to rest, and nothing may be left. Add rules and invariants of
    your own as in any `RuleBasedStateMachine`; `self.sim` is the world.

    Attributes:
        options: Options of `Simulation`, such as `seed` or `raise_assertions`.
        args: Job name -> a strategy of its args, a dict or None. Jobs that it does not name are
            enqueued without args.
        checkers: The rules that are watched, `all_checkers()` by default; each run has copies of
            its own.
        settles_within_s: How long the world may take to come to rest at the end of a run, virtual
            seconds.
        sim: The world of this run.
    """

    options: ClassVar[Mapping[str, Any]] = {}
    args: ClassVar[Mapping[str, st.SearchStrategy[Any]]] = {}
    checkers: ClassVar[Sequence[Checker] | None] = None
    settles_within_s: ClassVar[float] = 7 * 86_400.0

    sim: Simulation

    def __init__(self) -> None:
        super().__init__()
        checkers = all_checkers() if self.checkers is None else copy.deepcopy(self.checkers)
        self.sim = Simulation(**{"checkers": checkers, **self.options})
        self.build()
        self.sim.run_for(0)  # starts the pools
        self._calls = st.sampled_from(self._names()).flatmap(self._call)

    def build(self) -> None:
        """Add pools to `self.sim`; called once at the beginning of each run."""
        raise NotImplementedError(f"{type(self).__name__} needs a method build that adds pools")

    def _names(self) -> list[str]:
        """Return the names of all jobs.

        Raises:
            InvalidOption: There is none, or `args` names a job that no pool has.
        """
        names = sorted({name for pool in self.sim.pools for name in pool.spec.registrations})
        if not names:
            raise InvalidOption(f"{type(self).__name__}.build has registered no job with a pool")
        if unknown := sorted(self.args.keys() - set(names)):
            raise InvalidOption(
                f"args of {type(self).__name__} names {unknown[0]!r}, and no pool has such a job"
                f"{near_match(unknown[0], names)}"
            )
        return names

    def _call(self, name: str) -> st.SearchStrategy[Call]:
        return st.builds(Call, st.just(name), self.args.get(name, st.none()))

    def pool(self, name: str) -> SimulatedPool:
        """Return the pool of a name."""
        return next(pool for pool in self.sim.pools if pool.name == name)

    # What happens.

    @rule(call=_calls)
    def enqueue(self, call: Call) -> None:
        """Enqueue a job."""
        self.sim.enqueuer.enqueue(call)

    @rule(call=_calls, seconds=st.integers(1, _LONGEST_S))
    def enqueue_in(self, call: Call, seconds: int) -> None:
        """Schedule a job."""
        self.sim.enqueuer.enqueue_in(call, seconds)

    @rule(call=_calls)
    def enqueue_unique(self, call: Call) -> None:
        """Enqueue a unique job."""
        self.sim.enqueuer.enqueue_unique(call)

    @rule(seconds=st.integers(1, _LONGEST_S))
    def let_time_pass(self, seconds: int) -> None:
        """Run the world."""
        self.sim.run_for(seconds)

    @rule(pool=_pools)
    def crash(self, pool: str) -> None:
        """Crash a pool, unless it has crashed already."""
        self.sim.crash(self.pool(pool))

    @rule(pool=_pools, command=st.integers(1, _COMMANDS))
    def crash_at(self, pool: str, command: int) -> None:
        """Crash a pool at one of its next commands, whose reply is lost; it starts again."""
        if self.pool(pool).running:
            self.sim.crash(self.pool(pool), after=command, restart_after=_BACK_AFTER_S)

    @rule(pool=_pools)
    def start(self, pool: str) -> None:
        """Start a pool that has crashed."""
        if not self.pool(pool).running:
            self.pool(pool).start()

    @rule(pool=_pools)
    def deploy(self, pool: str) -> None:
        """Stop a pool, wait for its end, and start a new process of it."""
        deployed = self.pool(pool)
        if deployed.running:
            deployed.stop(_GRACE_S)
            self.sim.run_until(lambda: not deployed.running, within=_STOPS_WITHIN_S)
        deployed.start()

    @invariant()
    def rules_hold(self) -> None:
        """No rule of a checker is broken."""
        scene = self.sim.scene
        if scene is not None and scene.violation is not None:
            self.sim.report(scene.violation)

    def teardown(self) -> None:
        """End the faults, and let the world come to rest, unless a step has failed."""
        self.sim.asked_what_ran = True  # Hypothesis also tries runs without any job
        with self.sim as sim:
            if sys.exc_info()[0] is not None:
                return
            sim.end_faults()
            sim.run_until_idle(within=self.settles_within_s)
            sim.run_for(_AFTERMATH_S)
            sim.run_until_idle(within=self.settles_within_s)
            sim.check_at_rest()
