"""Rules of chance: what one world cannot tell, many worlds together do."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.handlers import nothing
from workkit.core.entropy import Entropy
from workkit.simulation import Simulation, explore
from workkit.simulation.checkers import Checker, Tally
from workkit.simulation.exploration.exploring import ScenarioFailed
from workkit.simulation.exploration.fitting import Fit
from workkit.simulation.exploration.playing import PlayResult, PlaySettings, WorldCase, play


class HeadsAndTails(Checker):
    """Each world draws 50 times, and gets a little too much of one side."""

    rule = "a coin is fair"

    def tallies(self) -> dict[str, Tally]:
        return {"heads": Tally(50, 30, 25, 12.5)}


def one_job(sim: Simulation) -> None:
    sim.pool().job("work", nothing)
    sim.enqueuer.enqueue("work")


def _world(tally: Tally, seed: int = 0, *variants: int) -> PlayResult:
    tallies = {("a coin is fair", "heads"): tally}
    return PlayResult(WorldCase(seed, variants=variants), None, 1, 0, 1.0, {}, tallies=tallies)


def test_a_few_draws_prove_nothing() -> None:
    assert Tally(59, 59, 29.5, 14.75).deviations == 0
    assert Tally(100, 100, 100, 0).deviations == 0
    assert Tally(100, 60, 50, 25).deviations == pytest.approx(2)
    assert not Tally(100, 79, 50, 25).is_wrong
    assert Tally(100, 19, 50, 25).is_wrong


@given(
    weights=st.lists(st.integers(1, 100), min_size=2, max_size=6),
    counts=st.lists(st.integers(1, 8), min_size=200, max_size=200),
    seed=st.integers(0, 2**32),
)
def test_fair_draws_are_not_wrong(weights: list[int], counts: list[int], seed: int) -> None:
    entropy, cumulative = Entropy(seed), list(accumulate(weights))
    tallies = [Tally() for _ in weights]
    for count in counts:
        drawn = entropy.weighted(cumulative, count)
        for at, weight in enumerate(weights):
            share = weight / cumulative[-1]
            new = Tally(count, drawn[at], count * share, count * share * (1 - share))
            tallies[at] = tallies[at].plus(new)
    assert not any(tally.is_wrong for tally in tallies)


def test_worlds_that_are_each_a_little_off_are_wrong_together() -> None:
    fit, played = Fit(), 0
    while True:
        played += 1
        judged = fit.judged(_world(Tally(50, 30, 25, 12.5), played))
        if judged.failure is not None:
            break
    assert played == 19  # 5 * 19 / sqrt(12.5 * 19) is more than six
    assert judged.failure.worlds == 19
    assert "heads is 0.6 on average of 950 draws in 19 worlds, and must be 0.5" in (
        judged.failure.what
    )


def test_the_surplus_of_one_world_makes_up_for_that_of_another() -> None:
    fit = Fit()
    for seed in range(100):
        off = 5 if seed % 2 else -5
        assert fit.judged(_world(Tally(50, 25 + off, 25, 12.5), seed)).failure is None


def test_variants_of_a_seed_do_not_count() -> None:
    fit = Fit()
    for variant in range(100):
        assert fit.judged(_world(Tally(50, 30, 25, 12.5), 7, variant)).failure is None


def test_exploring_stops_when_all_worlds_together_break_a_rule() -> None:
    with pytest.raises(ScenarioFailed) as failed:
        explore(
            one_job, range(30), checkers=[HeadsAndTails()], faults=None, processes=1, trouble_s=1,
            guided=False,
        )  # fmt: skip
    failure = failed.value.failure
    assert failure.rule == "a coin is fair"
    assert failure.worlds == failed.value.explored.worlds == 19
    assert '"a coin is fair" does not hold\n  heads is 0.6 on average' in str(failed.value)
    assert str(failed.value).endswith("To reproduce it, play the same worlds again.")


def test_one_world_tells_what_chance_has_decided_in_it() -> None:
    played = play(PlaySettings(one_job, None, [HeadsAndTails()], 1), WorldCase(3))
    assert played.failure is None
    assert played.tallies == {("a coin is fair", "heads"): Tally(50, 30, 25, 12.5)}
