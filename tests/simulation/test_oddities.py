"""Rare events, events at the worst moment, and things that have many forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.mishaps import MISHAPS
from tests.simulation.oddities import ODDITIES
from tests.simulation.shapes import SHAPES


@pytest.mark.filterwarnings("ignore::workkit.simulation.NothingRan")  # some have no handler
@pytest.mark.parametrize("world", [*ODDITIES, *MISHAPS, *SHAPES], ids=lambda world: world.__name__)
def test_a_world(world: Callable[[], None]) -> None:
    world()
