"""Explorations count the states that they reach, and turn to the seeds that reach new ones."""

from __future__ import annotations

import pytest

from tests.support.handlers import nothing
from workkit import InvalidOption
from workkit.core.entropy import Entropy
from workkit.simulation import Fault, Faults, Simulation, explore
from workkit.simulation.exploration.coverage import ROUND, Coverage, Guide, Seed, read_seed

MANY = Faults(crash=60, freeze=60, lose=60, drop=60)


def mails(sim: Simulation) -> None:
    """Two pools and some jobs."""
    for _ in range(2):
        sim.pool(concurrency=2).job("mail", nothing, takes=(1, 5))
    for n in range(12):
        sim.at(n * 2, sim.enqueuer.enqueue, "mail", {"n": n})


def guide_through(seeds: int, new: dict[str, int]) -> list[list[str]]:
    """Return the rounds of a guide; `new` says how many states a seed reaches that are new."""
    guide, rounds = Guide([Seed(n) for n in range(seeds)], Coverage(), varies=True), []
    fresh = iter(range(10_000))
    for chosen in guide.rounds():
        rounds.append([str(seed) for seed in chosen])
        for seed in chosen:
            guide.learn(seed, [next(fresh) for _ in range(new.get(str(seed), 0))])
    return rounds


def test_seeds_that_reach_new_states_get_more_turns() -> None:
    first, second = guide_through(2 * ROUND, {"3": 2})
    assert first == [str(n) for n in range(ROUND)]
    assert [each for each in second if "." in each] == ["3.1", "3.2", "3.3", "3.4"]
    assert len(second) == ROUND


def test_a_variant_that_reaches_new_states_has_variants_of_its_own() -> None:
    rounds = guide_through(3 * ROUND, {"3": 1, "3.2": 1})
    assert "3.2.1" in rounds[2]


def test_without_new_states_every_seed_has_one_turn() -> None:
    rounds = guide_through(2 * ROUND + 3, {})
    assert [each for chosen in rounds for each in chosen] == [str(n) for n in range(2 * ROUND + 3)]


def test_the_estimate_of_unseen_states_is_that_of_chao() -> None:
    coverage = Coverage()
    for world in ([1, 2, 3, 4, 9], [1, 2, 5, 6], [1, 7], [1]):
        coverage.add("seed", world)
    # 3, 4, 5, 6, 7 and 9 were reached once, 2 twice: 6 * 5 / (2 * 2)
    assert (len(coverage), coverage.unseen) == (8, round(6 * 5 / 4))
    assert Coverage().unseen == 0


def test_the_last_seed_with_a_new_state_is_named() -> None:
    coverage = Coverage()
    assert coverage.add("1", [1, 2]) == 2
    assert coverage.add("2.1", [2, 3]) == 1
    assert coverage.add("3", [1]) == 0
    assert coverage.last_new == "2.1"


def test_an_exploration_says_how_much_it_has_reached() -> None:
    explored = explore(mails, range(6), faults=MANY, trouble_s=60, processes=1)
    assert explored.states > 10
    assert explored.last_new in {str(seed) for seed in range(6)}
    assert explored.coverage().startswith(f"{explored.states:,} states, last new at seed ")


def plan_of(variants: tuple[int, ...]) -> list[Fault]:
    """Return the faults of a world."""
    faults = MANY.within_s(200)
    with Simulation(5, faults=faults, swarm=True, variants=variants) as sim:
        mails(sim)
        sim.run_for(1)
        return sim.plan


def test_a_variant_has_a_few_other_faults_and_is_the_same_each_time() -> None:
    plans = [plan_of(way) for way in ((), (1,), (2,), (2, 1))]
    assert plan_of((2, 1)) == plans[3]
    for before, after in ((0, 1), (0, 2), (2, 3)):
        assert 1 <= len(set(plans[before]) ^ set(plans[after])) <= 6
    assert plans[1] != plans[2]


def test_a_varied_plan_stays_in_order_and_within_its_time() -> None:
    rates = Faults(crash=90, away=30, within=120)
    plan = rates.draw(Entropy(1), ["a", "b"])
    for n in range(50):
        varied = rates.vary(Entropy(n), ["a", "b"], plan)
        assert [each.at_s for each in varied] == sorted(each.at_s for each in varied)
        assert all(0 <= each.at_s <= 120 for each in varied)
        assert {each.kind for each in varied} <= {"crash", "away"}
    assert rates.vary(Entropy(1), ["a"], [])


def test_variants_are_played_again_by_their_names() -> None:
    assert read_seed("41.3.2") == Seed(41, (3, 2))
    assert str(Seed(41, (3, 2))) == "41.3.2"
    assert explore(mails, ["5.1"], faults=MANY, trouble_s=60).worlds == 1
    with pytest.raises(InvalidOption, match="'five' is no seed; write a whole number"):
        explore(mails, ["five"])


def test_the_choice_of_worlds_does_not_depend_on_who_plays_them() -> None:
    seen: list[list[str]] = []
    for processes in (1, 2):
        names: list[str] = []
        explore(
            mails, range(ROUND + 6), faults=MANY, trouble_s=30, processes=processes,
            progress=lambda outcome, names=names: names.append(outcome.case.name),  # type: ignore[misc]
        )  # fmt: skip
        seen.append(sorted(names))
    assert seen[0] == seen[1]
    assert any("." in name for name in seen[0])
