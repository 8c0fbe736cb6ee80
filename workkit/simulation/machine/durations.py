"""How long handlers take, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from workkit.core.entropy import Entropy
from workkit.core.options import shown
from workkit.errors import InvalidOption

__all__ = ["Takes", "check_seconds", "draw", "read_takes"]

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


def check_seconds(what: str, seconds: object, *, ends: bool = False) -> None:
    """Refuse a time or a duration that is negative or not a number.

    Args:
        what: Its role, for the message.
        seconds: The value, seconds.
        ends: Whether infinity is refused too.

    Raises:
        InvalidOption: The message names the role and the value.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not seconds >= 0:  # type: ignore[operator]  # also refuses NaN
        raise InvalidOption(f"{what} must be a number of seconds from 0 on, not {shown(seconds)}")
    if ends and seconds == math.inf:
        raise InvalidOption(f"{what} must come: it is infinite")


def draw(takes: Takes, entropy: Entropy) -> float:
    """Draw how long one handler takes, seconds."""
    if callable(takes):
        return max(float(takes(entropy)), 0.0)
    if isinstance(takes, tuple):
        return entropy.uniform(*takes)
    return takes
