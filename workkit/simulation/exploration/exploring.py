"""Looks for what breaks: many seeds, many faults, every command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from workkit.simulation.checkers import Checker, all_checkers
from workkit.simulation.exploration.crew import play_all
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

__all__ = ["Explored", "ScenarioFailed", "crash_points", "explore", "report", "sweep_crashes"]

_BACK_AFTER_S: Final = 2.0
_SHOWN: Final = 25

OnPlayed = Callable[[PlayResult], object]


@dataclass(frozen=True)
class Explored:
    """What was played without finding anything wrong.

    Attributes:
        worlds: How many worlds.
        jobs: How many handlers were started in them.
        faults: How many faults happened.
        virtual_s: How much virtual time passed, seconds.
    """

    worlds: int = 0
    jobs: int = 0
    faults: int = 0
    virtual_s: float = 0.0

    def plus(self, outcome: PlayResult) -> Explored:
        """Return the sum with one more world."""
        return Explored(
            self.worlds + 1,
            self.jobs + outcome.jobs,
            self.faults + outcome.faults,
            self.virtual_s + outcome.virtual_s,
        )


class ScenarioFailed(AssertionError):
    """A world was found in which something is wrong.

    Attributes:
        failure: What, with as few faults as can be.
        explored: What was played before.
    """

    def __init__(self, failure: Failure, text: str, explored: Explored) -> None:
        super().__init__(text)
        self.failure = failure
        self.explored = explored


def explore(
    scenario: Scenario,
    seeds: Iterable[int] = range(100),
    *,
    faults: Faults | None = DEFAULT_FAULTS,
    checkers: Sequence[Checker] | None = None,
    only_faults: Sequence[int] | None = None,
    trouble_s: float = 180.0,
    settle_s: float = 21_600.0,
    server: Any = None,
    processes: int | None = None,
    progress: OnPlayed | None = None,
) -> Explored:
    """Play a scenario with many seeds, and look whether anything is ever wrong.

    Each seed draws how often which faults happen, and when. After `trouble_s` no more go wrong, and
    the world must come to rest within `settle_s`; throughout, checkers watch.

        def mails(sim):
            for _ in range(2):
                sim.pool().job("send_email", send_email)
            for n in range(50):
                sim.at(n, sim.enqueuer.enqueue, "send_email", {"n": n})

        def test_no_mail_is_lost():
            explore(mails, seeds=range(200))

    Args:
        scenario: Builds a world: adds pools, enqueues jobs, plans what else is to happen.
        seeds: Which.
        faults: How often things go wrong at most; each seed draws rates of its own below these.
        checkers: Who watches; `all_checkers()` by default.
        only_faults: Which of the faults happen, by their index, to play a failure again.
        trouble_s: How long things go wrong, seconds of virtual time.
        settle_s: How long it may take until everything has come to rest, seconds of virtual time.
        server: Where it is played, as `Simulation` takes it.
        processes: How many worlds are played at once; by default one a core. One process only where
            the scenario is no function of a module, or `server` is given.
        progress: Called after each world.

    Returns:
        What was played.

    Raises:
        ScenarioFailed: Something was wrong. The message has the seed, the rule, the faults that it
            takes, the timeline, and how to see it again.
    """
    settings = PlaySettings(
        scenario, faults, all_checkers() if checkers is None else list(checkers), trouble_s,
        settle_s, server,
    )  # fmt: skip
    only = None if only_faults is None else tuple(only_faults)
    cases = [WorldCase(seed, only=only) for seed in seeds]
    return _play_until_failure(settings, cases, processes, progress)


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
    """Crash every pool of a short scenario at every command in turn, and look what becomes of it.

    The scenario is played once to count the commands that each pool sends in its first `for_s`
    seconds. Then it is played twice for each of them: the pool crashes just before the command
    reaches Redis, or just after it, so that nobody hears the reply; it starts again 2 s later.

    Args:
        scenario: Builds a world.
        seed: Where chance comes from.
        checkers: Who watches; `all_checkers()` by default.
        for_s: Which commands: those of so many seconds of virtual time.
        every: Take only one of so many commands, for a sample.
        settle_s: As for `explore`.
        processes: As for `explore`.
        progress: Called after each world.

    Returns:
        What was played.

    Raises:
        ScenarioFailed: Something was wrong; see `explore`.
    """
    settings = PlaySettings(
        scenario, None, all_checkers() if checkers is None else list(checkers), for_s, settle_s
    )
    cases = list(crash_points(settings, seed, every))
    return _play_until_failure(settings, cases, processes, progress)


def crash_points(settings: PlaySettings, seed: int, every: int = 1) -> Iterator[WorldCase]:
    """Yield the worlds of a sweep.

    Raises:
        ScenarioFailed: Something is wrong without any crash.
    """
    counting = replace(settings, counts_only=True)
    outcome = play(counting, WorldCase(seed, plan=()))
    if outcome.failure is not None:
        raise ScenarioFailed(outcome.failure, report(outcome.failure), Explored())
    for pool, commands in outcome.commands.items():
        for at in range(1, commands + 1, every):
            yield WorldCase(seed, (Fault("crash", 0.0, pool, before=at, for_s=_BACK_AFTER_S),))
            yield WorldCase(seed, (Fault("crash", 0.0, pool, after=at, for_s=_BACK_AFTER_S),))


def _play_until_failure(
    settings: PlaySettings,
    cases: Sequence[WorldCase],
    processes: int | None,
    progress: OnPlayed | None,
) -> Explored:
    explored = Explored()
    for outcome in play_all(settings, cases, count=len(cases), processes=processes):
        explored = explored.plus(outcome)
        if progress is not None:
            progress(outcome)
        if outcome.failure is not None:
            failure = shrink(settings, outcome.failure)
            raise ScenarioFailed(failure, report(failure), explored)
    return explored


def report(failure: Failure, again: str = "") -> str:
    """Write a failure down.

    Args:
        failure: What was wrong.
        again: The line that shows it again; by default a call of `explore` or of `Simulation`.
    """
    faults = failure.faults
    subject = f"job {failure.job_id}: " if failure.job_id else ""
    lines = [
        f'seed {failure.case.seed}: "{failure.rule}" does not hold',
        f"  {subject}{failure.what}",
        "",
        f"Faults that it takes, of {len(failure.plan)}:" if faults else "It takes no faults.",
        *(f"  [{at}] {fault}" for at, fault in faults),
        "",
        *failure.timeline.splitlines()[-_SHOWN:],
        "",
        "To see it again:",
        f"  {again or _again_in_python(failure)}",
    ]
    return "\n".join(lines)


def _again_in_python(failure: Failure) -> str:
    """Return the line of Python that shows a failure again."""
    case = failure.case
    if case.plan is not None:
        return f"Simulation({case.seed}, faults={list(case.plan)!r}, checkers=all_checkers())"
    only = "" if case.only is None else f", only_faults={list(case.only)}"
    return f"explore(SCENARIO, seeds=[{case.seed}]{only})"
