"""What is rare."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.oddities import ODDITIES


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.__name__)
def test_what_is_rare(oddity: Callable[[], None]) -> None:
    oddity()
