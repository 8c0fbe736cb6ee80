"""Small breakages of the engine are found, and the unbroken engine passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.simulation.fleet import SCENARIOS, everything
from tests.simulation.mutants.planting import Mutant, hunt, mutants, plant
from workkit.core.clock import SystemClock
from workkit.simulation import explore
from workkit.simulation.checkers import all_checkers

#: Further worlds to try when those that killed a mutant once do not any more.
_FURTHER = 60
_FRESH = 50


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed(mutant: Mutant, tmp_path: Path) -> None:
    plant(mutant, tmp_path)
    further = [seed for seed in range(_FURTHER) if seed not in mutant.seeds]
    _, kill = hunt(tmp_path, mutant.scenario, [*mutant.seeds, *further])
    assert kill is not None, f"{mutant.name} lives: {mutant.why}"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_unbroken_engine_passes_the_worlds_that_kill(scenario: str) -> None:
    seeds = {seed for mutant in mutants() if mutant.scenario == scenario for seed in mutant.seeds}
    played, kill = hunt(ROOT, scenario, sorted(seeds | set(range(5))))
    assert kill is None
    assert played >= 5


def test_a_mutant_that_does_not_apply_any_more_says_so(tmp_path: Path) -> None:
    mutant = replace(mutants()[0], old="what is not there")
    with pytest.raises(ValueError, match=r"does not apply: .* 0 times"):
        plant(mutant, tmp_path)


def test_there_are_mutants_enough() -> None:
    assert len(mutants()) >= 95
    assert all(mutant.seeds and mutant.rule for mutant in mutants())


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_the_engine_passes_worlds_that_nobody_has_played_yet(part: int) -> None:
    first = SystemClock().read().epoch_s // 86_400 * _FRESH + part * _FRESH // 5
    explore(everything, range(first, first + _FRESH // 5), processes=1)


def test_every_rule_is_broken_by_a_mutant() -> None:
    broken = {mutant.rule for mutant in mutants()}
    assert {checker.rule for checker in all_checkers()} <= broken
