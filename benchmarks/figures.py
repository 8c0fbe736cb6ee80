"""Medians, spreads, percentiles and rates."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["WARM_UP", "Sample", "percentile", "rate"]

#: Share of the first completions that does not count.
WARM_UP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """The same figure from several rounds.

    Attributes:
        values: One a round.
    """

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Make a sample."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The lowest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest."""
        return max(self.values)

    def over(self, other: Sample) -> Sample:
        """Divide round by round: each round measured both sides shortly after each other."""
        return Sample.of([a / b for a, b in zip(self.values, other.values, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile: the next higher measured value."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def rate(completions: Sequence[float]) -> float:
    """Return completions a second, from the first to the last after the warm-up.

    Args:
        completions: Readings of the monotonic clock in any order, seconds.
    """
    ordered = sorted(completions)
    counted = ordered[int(len(ordered) * WARM_UP) :]
    return (len(counted) - 1) / max(counted[-1] - counted[0], 1e-9)
