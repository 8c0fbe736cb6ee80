"""How long handlers take, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption

__all__ = ["Takes", "draw", "read_takes"]

#: Seconds, a range to draw from evenly, or a function of an `Entropy` that returns seconds.
Takes: TypeAlias = "float | tuple[float, float] | Callable[[Entropy], float]"


def read_takes(takes: Any, name: str) -> Takes:
    """Check the duration that a user gave for the handlers of a job.

    Raises:
        InvalidOption: It has none of the accepted forms.
    """
    bounds = takes if isinstance(takes, tuple) and len(takes) == 2 else (takes,)  # noqa: PLR2004
    numbers = all(
        isinstance(each, (int, float)) and not isinstance(each, bool) and 0 <= each < math.inf
        for each in bounds
    )
    if callable(takes) or (numbers and bounds[0] <= bounds[-1]):
        checked: Takes = takes
        return checked
    raise InvalidOption(
        f"takes of {name!r} must be seconds, a pair (minimum, maximum), or a function of an "
        f"Entropy that returns seconds, not {takes!r}"
    )


def draw(takes: Takes, entropy: Entropy) -> float:
    """Draw how long one handler takes, seconds."""
    if callable(takes):
        return max(float(takes(entropy)), 0.0)
    if isinstance(takes, tuple):
        return entropy.uniform(*takes)
    return takes
