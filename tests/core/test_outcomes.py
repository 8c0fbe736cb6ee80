"""What follows from the rules of outcomes."""

from __future__ import annotations

import re

from workkit.core.outcomes import OUTCOMES, with_fate, with_flag
from workkit.plots.picture import OUTCOMES as COLORS


def test_each_outcome_has_a_colour_in_pictures() -> None:
    assert list(COLORS) == list(OUTCOMES)
    assert all(re.fullmatch("#[0-9A-F]{6}", color) for color in COLORS.values())
    assert len(set(COLORS.values())) == len(COLORS)


def test_outcomes_are_found_by_their_rules() -> None:
    assert with_fate(b"d") == {"done", "discarded"}
    assert with_fate(b"r", b"x") == {"retry", "postponed", "dead"}
    assert with_flag("failed") == {"retry", "dead", "discarded"}
