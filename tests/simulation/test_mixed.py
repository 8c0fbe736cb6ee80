"""Pools of both libraries in two hundred worlds, in which much goes wrong."""

from __future__ import annotations

import pytest

from tests.simulation.mixed import FAULTS, TROUBLE_S, checkers, mixed
from workkit.simulation import explore

_WORLDS = 200
_PARTS = 25


def play(seeds: range) -> None:
    played = explore(
        mixed, seeds, faults=FAULTS, checkers=checkers(), trouble_s=TROUBLE_S, processes=1
    )
    assert played.worlds == len(seeds)
    assert played.jobs > 20 * played.worlds


def test_pools_of_both_libraries_work_beside_each_other() -> None:
    play(range(3))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
def test_pools_of_both_libraries_work_beside_each_other_in_many_worlds(part: int) -> None:
    each = _WORLDS // _PARTS
    play(range(part * each, (part + 1) * each))
