"""What chance decides in a world, as sums that can be added over many worlds."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

__all__ = ["DEVIATIONS", "Tally"]

#: A sum is wrong if it differs from what is expected by more standard deviations. By chance, one
#: sum in five hundred million does.
DEVIATIONS: Final = 6.0
#: Fewer draws than this prove nothing: their sum is not normal yet.
_FEWEST: Final = 60


class Tally(NamedTuple):
    """What random draws have given, and what they should give.

    What is expected of a draw may depend on all draws before it. So a tally may stop at any time,
    and tallies of independent worlds can be added.

    Attributes:
        draws: How many draws.
        seen: The sum of what they gave.
        expected: The sum of what is expected of each.
        variance: The sum of the variances, at most.
    """

    draws: int = 0
    seen: float = 0.0
    expected: float = 0.0
    variance: float = 0.0

    def plus(self, other: Tally) -> Tally:
        """Return the sum of two tallies."""
        return Tally(
            self.draws + other.draws,
            self.seen + other.seen,
            self.expected + other.expected,
            self.variance + other.variance,
        )

    @property
    def deviations(self) -> float:
        """By how many standard deviations it is off; 0 while there are too few draws to tell."""
        if self.draws < _FEWEST or self.variance <= 0:
            return 0.0
        return (self.seen - self.expected) / math.sqrt(self.variance)

    @property
    def is_wrong(self) -> bool:
        """Whether chance alone cannot explain it."""
        return abs(self.deviations) > DEVIATIONS
