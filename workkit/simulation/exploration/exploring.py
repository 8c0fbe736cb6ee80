"""Looks for broken rules with many seeds and faults, or with a crash at every command."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from workkit.core.text import counted
from workkit.errors import InvalidOption
from workkit.simulation.checkers import Checker, all_checkers
from workkit.simulation.exploration.coverage import Coverage, Guide, Seed, read_seed
from workkit.simulation.exploration.fitting import Fit
from workkit.simulation.exploration.parallel import play_all
from workkit.simulation.exploration.playing import (
    DEFAULT_FAULTS,
    Failure,
    PlayResult,
    PlaySettings,
    Scenario,
    WorldCase,
    play,
)
from workkit.simulation.exploration.shrinking import shrink
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.running import NothingRan
from workkit.simulation.trace import Trace

__all__ = [
    "Explored",
    "ScenarioFailed",
    "crash_points",
    "explore",
    "play_guided",
    "report",
    "sweep_crashes",
]

_BACK_AFTER_S: Final = 2.0
_SHOWN: Final = 25

OnPlayed = Callable[[PlayResult], object]


@dataclass(frozen=True)
class Explored:
    """The totals of the played worlds.

    Attributes:
        worlds: How many worlds.
        jobs: How many handlers were started in them.
        faults: How many faults happened.
        virtual_s: How much virtual time passed, seconds.
        states: How many abstract states they reached; see `StateWatch`.
        last_new: The seed of the world that last reached a new one.
        unseen: About how many states no world has reached; see `Coverage.unseen`.
    """

    worlds: int = 0
    jobs: int = 0
    faults: int = 0
    virtual_s: float = 0.0
    states: int = 0
    last_new: str = ""
    unseen: int = 0

    def plus(self, outcome: PlayResult) -> Explored:
        """Return the sum including another world."""
        return replace(
            self,
            worlds=self.worlds + 1,
            jobs=self.jobs + outcome.jobs,
            faults=self.faults + outcome.faults,
            virtual_s=self.virtual_s + outcome.virtual_s,
        )

    def covering(self, coverage: Coverage) -> Explored:
        """Return the same with the states that were reached."""
        return replace(
            self, states=len(coverage), last_new=coverage.last_new, unseen=coverage.unseen
        )

    def coverage(self) -> str:
        """Return the states that were reached as text."""
        newest = self.last_new or "-"
        return f"{self.states:,} states, last new at seed {newest}, about {self.unseen:,} unseen"


class ScenarioFailed(AssertionError):
    """A world breaks a rule.

    Attributes:
        failure: The failure, with as few faults as possible.
        explored: The totals of the played worlds.
    """

    def __init__(self, failure: Failure, explored: Explored, settings: PlaySettings) -> None:
        super().__init__(report(failure))
        self.failure = failure
        self.explored = explored
        self._settings = settings

    def trace(self) -> Trace:
        """Play the world again, and return its trace; `Trace.html` shows it as a timeline."""
        kept: list[Trace] = []
        play(self._settings, self.failure.case, kept.append)
        return kept[0]


def explore(
    scenario: Scenario,
    seeds: Iterable[int | str] = range(100),
    *,
    faults: Faults | None = DEFAULT_FAULTS,
    checkers: Sequence[Checker] | None = None,
    only_faults: Sequence[int] | None = None,
    trouble_s: float = 180.0,
    settle_s: float = 21_600.0,
    server: Any = None,
    processes: int | None = None,
    progress: OnPlayed | None = None,
    guided: bool = True,
) -> Explored:
    """Play a scenario with many seeds until a rule is broken.

    Each seed draws rates and times of faults. After `trouble_s` the faults end, and the world must
    come to rest within `settle_s`. Checkers watch throughout.

    As many worlds are played as there are seeds. If there are more than 16, seeds that reach new
    abstract states get more turns, in which a few of their faults are changed, at the expense of
    the last seeds.

        def mails(sim):
            for _ in range(2):
                sim.pool().job("send_email", send_email)
            for n in range(50):
                sim.at(n, sim.enqueuer.enqueue, "send_email", {"n": n})

        def test_no_mail_is_lost():
            explore(mails, seeds=range(200))

    `WORKKIT_SEEDS` in the environment replaces the seeds, such as `41`, the variant `41.3`, or
    `0-999`. The pytest plugin sets it for `--workkit-seed` and `--workkit-seeds`.

    Args:
        scenario: Builds a world: adds pools, enqueues jobs, plans further events.
        seeds: The seeds: numbers, or variants that a failure names, such as "41.3".
        faults: The maximum rates of faults; each seed draws its own rates below these.
        checkers: The checkers; `all_checkers()` by default.
        only_faults: The faults that happen, by their indexes, to reproduce a failure.
        trouble_s: How long faults happen, seconds of virtual time.
        settle_s: How long the world may take to come to rest, seconds of virtual time.
        server: The server, as `Simulation` takes it.
        processes: How many worlds are played at once; by default one per core. If the scenario is
            not a function of a module, or `server` is given, one at a time.
        progress: Called after each world.
        guided: Whether seeds that reach new states get more turns. False: each seed gets one.

    Returns:
        The totals of the played worlds, with the number of states that they reached.

    Raises:
        InvalidOption: A seed is neither a number nor a variant.
        ScenarioFailed: A rule is broken. The message has the seed, the rule, the necessary faults,
            the timeline, and the line that reproduces it.
    """
    settings = PlaySettings(
        scenario, faults, all_checkers() if checkers is None else list(checkers), trouble_s,
        settle_s, server,
    )  # fmt: skip
    only = None if only_faults is None else tuple(only_faults)
    coverage, explored, chosen = Coverage(), Explored(), _chosen_seeds(seeds)
    played = play_guided(settings, chosen, coverage, only=only, processes=processes, varies=guided)
    for outcome in played:
        explored = explored.plus(outcome)
        _go_on(settings, outcome, explored, progress)
    _warn_if_nothing_ran(settings, explored)
    return explored.covering(coverage)


def play_guided(
    settings: PlaySettings,
    seeds: Sequence[Seed],
    coverage: Coverage,
    *,
    only: tuple[int, ...] | None = None,
    processes: int | None = None,
    varies: bool = True,
) -> Iterator[PlayResult]:
    """Play worlds, and give more turns to seeds that reach new states.

    Args:
        settings: How they are played.
        seeds: The seeds.
        coverage: Receives the states that are reached.
        only: The faults that happen, by their indexes; None for all.
        processes: As for `explore`.
        varies: Whether seeds get more turns; see `Guide`.
    """
    guide, fit = Guide(seeds, coverage, varies=varies and only is None), Fit()
    results: dict[Seed, PlayResult] = {}

    def rounds() -> Iterator[list[WorldCase]]:
        for chosen in guide.rounds():
            results.clear()
            yield [WorldCase(each.seed, only=only, variants=each.variants) for each in chosen]
            for seed in chosen:  # in their order, so that it does not matter who ends first
                guide.learn(seed, results[seed].states)

    for outcome in play_all(settings, rounds(), count=len(seeds), processes=processes):
        results[Seed(outcome.case.seed, outcome.case.variants)] = outcome
        yield fit.judged(outcome)


def _chosen_seeds(seeds: Iterable[int | str]) -> list[Seed]:
    """Return the seeds that the environment chooses, or else these.

    Raises:
        InvalidOption: A seed is not valid, or the environment variable is not.
    """
    text = os.environ.get("WORKKIT_SEEDS", "")
    if not text:
        return [read_seed(seed) for seed in seeds]
    first, dash, last = text.partition("-")
    if not dash and all(part.isdecimal() for part in text.split(".")):
        return [read_seed(text)]
    if not (first.isdecimal() and last.isdecimal()):
        raise InvalidOption(
            "WORKKIT_SEEDS is a seed, a variant such as 41.3 or a range such as 0-999, "
            f"not {text!r}"
        )
    return [Seed(seed) for seed in range(int(first), int(last) + 1)]


def sweep_crashes(
    scenario: Scenario,
    seed: int = 0,
    *,
    checkers: Sequence[Checker] | None = None,
    for_s: float = 30.0,
    every: int = 1,
    settle_s: float = 21_600.0,
    processes: int | None = None,
    progress: OnPlayed | None = None,
) -> Explored:
    """Crash every pool of a short scenario at every command in turn.

    The scenario is first played once to count the commands that each pool sends in its first
    `for_s` seconds. Then it is played twice for each command: the pool crashes just before the
    command reaches Redis, and just after it, so that the reply is lost. It starts again 2 s later.

    Args:
        scenario: Builds a world.
        seed: The seed of all random choices.
        checkers: The checkers; `all_checkers()` by default.
        for_s: Take the commands of this many seconds of virtual time.
        every: Take only every Nth command, for a sample.
        settle_s: As for `explore`.
        processes: As for `explore`.
        progress: Called after each world.

    Returns:
        The totals of the played worlds.

    Raises:
        ScenarioFailed: A rule is broken; see `explore`.
    """
    settings = PlaySettings(
        scenario, None, all_checkers() if checkers is None else list(checkers), for_s, settle_s
    )
    cases, explored = list(crash_points(settings, seed, every)), Explored()
    for outcome in play_all(settings, [cases], count=len(cases), processes=processes):
        explored = explored.plus(outcome)
        _go_on(settings, outcome, explored, progress)
    _warn_if_nothing_ran(settings, explored)
    return explored


def crash_points(settings: PlaySettings, seed: int, every: int = 1) -> Iterator[WorldCase]:
    """Yield the worlds of a sweep.

    Raises:
        ScenarioFailed: A rule is broken without any crash.
    """
    counting = replace(settings, counts_only=True)
    outcome = play(counting, WorldCase(seed, plan=()))
    if outcome.failure is not None:
        raise ScenarioFailed(outcome.failure, Explored(), settings)
    for pool, commands in outcome.commands.items():
        for at in range(1, commands + 1, every):
            yield WorldCase(seed, (Fault("crash", 0.0, pool, before=at, for_s=_BACK_AFTER_S),))
            yield WorldCase(seed, (Fault("crash", 0.0, pool, after=at, for_s=_BACK_AFTER_S),))


def _go_on(
    settings: PlaySettings, outcome: PlayResult, explored: Explored, progress: OnPlayed | None
) -> None:
    """Report a world.

    Raises:
        ScenarioFailed: It broke a rule.
    """
    if progress is not None:
        progress(outcome)
    if outcome.failure is not None:
        failure = shrink(settings, outcome.failure)
        raise ScenarioFailed(failure, explored, settings)


def _warn_if_nothing_ran(settings: PlaySettings, explored: Explored) -> None:
    if explored.worlds and not explored.jobs:
        warnings.warn(
            f"no handler has started in {counted(explored.worlds, 'world')} of "
            f"{getattr(settings.scenario, '__name__', 'the scenario')}: does it add a pool, and "
            f"enqueue jobs that are due within {settings.trouble_s:g} s?",
            NothingRan,
            stacklevel=3,
        )


def report(failure: Failure, again: str = "") -> str:
    """Return a failure as text.

    It ends with the line that reproduces it: `again`, by default a call of `explore` or of
    `Simulation`.
    """
    faults = failure.faults
    subject = f"job {failure.job_id}: " if failure.job_id else ""
    if failure.worlds > 1:
        return "\n".join(
            [
                f'"{failure.rule}" does not hold',
                f"  {failure.what}",
                "",
                "To reproduce it, play the same worlds again.",
            ]
        )
    lines = [
        f'seed {failure.case.name}: "{failure.rule}" does not hold',
        f"  {subject}{failure.what}",
        "",
        f"Necessary faults, of {len(failure.plan)}:" if faults else "It needs no faults.",
        *(f"  [{at}] {fault}" for at, fault in faults),
        "",
        *failure.timeline.splitlines()[-_SHOWN:],
        "",
        "To reproduce it:",
        f"  {again or _again_in_python(failure)}",
    ]
    return "\n".join(lines)


def _again_in_python(failure: Failure) -> str:
    """Return the line of Python that reproduces a failure."""
    case = failure.case
    if case.plan is not None:
        return f"Simulation({case.seed}, faults={list(case.plan)!r}, checkers=all_checkers())"
    only = "" if case.only is None else f", only_faults={list(case.only)}"
    seed = f'"{case.name}"' if case.variants else case.name
    return f"explore(SCENARIO, seeds=[{seed}]{only})"
