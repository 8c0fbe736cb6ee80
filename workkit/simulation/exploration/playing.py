"""Plays a scenario once: first with faults, then without, while checkers watch."""

from __future__ import annotations

import copy
import datetime
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from workkit.simulation.checkers import Checker, Tally, Violation, all_checkers
from workkit.simulation.exploration.coverage import Seed, StateWatch
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.naming import NoSuchFault
from workkit.simulation.simulation import START_S, Simulation
from workkit.simulation.trace import Trace

__all__ = [
    "DEFAULT_FAULTS",
    "Failure",
    "PlayResult",
    "PlaySettings",
    "Scenario",
    "WorldCase",
    "play",
]

#: Builds a world: adds pools, enqueues jobs, plans further events.
Scenario: TypeAlias = Callable[[Simulation], Any]

#: The maximum rates of faults by default, per hour. Redis keeps its data: if it loses accepted
#: jobs, scenarios that wait for them do not come to rest.
DEFAULT_FAULTS: Final = Faults(
    crash=40, lose=80, drop=80, freeze=25, step=12, slow=25, cut=25, away=20, oom=15, readonly=10,
    stop=15, unheard=10, deaf=15, hold=15, evict=10,
)  # fmt: skip
#: After this long, every duty that recovers something has run, seconds.
_AFTERMATH_S: Final = 180.0
_TRACEBACK_LINES: Final = 15


@dataclass(frozen=True)
class PlaySettings:
    """How a scenario is played.

    Attributes:
        scenario: Builds the world.
        faults: The maximum rates of faults; each seed draws its own rates below these. None for a
            world with only the faults of the scenario.
        checkers: The checkers; every world gets its own copies.
        trouble_s: How long faults happen, seconds of virtual time.
        settle_s: How long the world may then take to come to rest, seconds of virtual time.
        server: The server, as `Simulation` takes it.
        start: When the world begins.
        counts_only: Whether to stop after `trouble_s`, because only commands are to be counted.
    """

    scenario: Scenario
    faults: Faults | None = DEFAULT_FAULTS
    checkers: Sequence[Checker] = field(default_factory=all_checkers)
    trouble_s: float = 180.0
    settle_s: float = 21_600.0
    server: Any = None
    start: datetime.datetime | float = START_S
    counts_only: bool = False


@dataclass(frozen=True)
class WorldCase:
    """One world to play.

    Attributes:
        seed: The seed of all random choices.
        plan: The faults; None to draw them from the seed.
        only: The faults of the plan that happen, by their indexes; None for all.
        variants: Which changes of the drawn plan, one after the other.
    """

    seed: int
    plan: tuple[Fault, ...] | None = None
    only: tuple[int, ...] | None = None
    variants: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The seed, and the numbers of the variants behind it, such as "41.3"."""
        return str(Seed(self.seed, self.variants))


@dataclass(frozen=True)
class Failure:
    """A broken rule in one world.

    Attributes:
        case: The world.
        rule: The rule.
        what: The event that breaks it.
        job_id: The job concerned, or "".
        plan: All faults of the world.
        timeline: The events around it.
        worlds: How many worlds break the rule together; 1 if it is broken in this one.
    """

    case: WorldCase
    rule: str
    what: str
    job_id: str
    plan: tuple[Fault, ...]
    timeline: str
    worlds: int = 1

    @property
    def faults(self) -> list[tuple[int, Fault]]:
        """The faults that happened, with their indexes in the plan."""
        only = self.case.only
        return [(at, each) for at, each in enumerate(self.plan) if only is None or at in only]


@dataclass(frozen=True)
class PlayResult:
    """The result of one world.

    Attributes:
        case: The world.
        failure: The broken rule, or None.
        jobs: How many handlers were started.
        faults: How many faults happened.
        virtual_s: How much virtual time has passed, seconds.
        commands: Pool -> how many of its commands have reached the server.
        states: The abstract states that it has reached; see `StateWatch`.
        tallies: Rule and name -> what chance has decided; see `Checker.tallies`.
    """

    case: WorldCase
    failure: Failure | None
    jobs: int
    faults: int
    virtual_s: float
    commands: dict[str, int]
    states: frozenset[int] = frozenset()
    tallies: Mapping[tuple[str, str], Tally] = field(default_factory=dict)


def play(
    settings: PlaySettings, case: WorldCase, look: Callable[[Trace], object] | None = None
) -> PlayResult:
    """Play a scenario once.

    Args:
        settings: How it is played.
        case: The world.
        look: Receives the trace when the world is over.
    """
    faults: Any = case.plan
    if case.plan is None and settings.faults is not None:
        faults = settings.faults.within_s(settings.trouble_s)
    watch, checkers = StateWatch(), copy.deepcopy(list(settings.checkers))
    sim = Simulation(
        case.seed, faults=faults, swarm=case.plan is None, only_faults=case.only,
        checkers=[*checkers, watch], server=settings.server,
        start=settings.start, variants=case.variants,
    )  # fmt: skip
    sim.asked_what_ran = True  # `explore` looks at all worlds together
    failure = None
    with sim:
        try:
            _play(settings, sim)
        except Violation as error:
            failure = Failure(
                case, error.rule, error.what, error.job_id, tuple(sim.plan), error.timeline
            )
        except AssertionError as error:
            what, _, timeline = str(error).partition("\n\n")
            failure = Failure(case, "the world comes to rest", what, "", tuple(sim.plan), timeline)
        except NoSuchFault:  # the caller's mistake
            raise
        except Exception as error:  # noqa: BLE001 - any error is a finding
            # Show where an error of Python was raised.
            lines = traceback.format_exc().splitlines()[-_TRACEBACK_LINES:]
            failure = Failure(
                case, "nothing fails unexpectedly", repr(error), "", tuple(sim.plan),
                "\n".join(lines),
            )  # fmt: skip
        if look is not None:
            look(sim.trace)
        return PlayResult(
            case, failure, len(sim.trace.of(kind="started")), len(sim.trace.of(kind="fault")),
            sim.now, {pool.name: pool.commands for pool in sim.pools}, frozenset(watch.states),
            {
                (checker.rule, name): tally
                for checker in checkers
                for name, tally in checker.tallies().items()
            },
        )  # fmt: skip


def _play(settings: PlaySettings, sim: Simulation) -> None:
    settings.scenario(sim)
    if sim.now < settings.trouble_s:
        sim.run_until(settings.trouble_s)
    if settings.counts_only:
        return
    sim.end_faults()
    sim.run_until_idle(within=settings.settle_s)
    sim.run_for(_AFTERMATH_S)
    sim.run_until_idle(within=settings.settle_s)
    sim.check_at_rest()
