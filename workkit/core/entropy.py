"""Chance, as an argument: the only module that makes random numbers."""

from __future__ import annotations

import math
import os
from random import Random  # noqa: TID251 - here it is

__all__ = ["Entropy"]

_ID_BYTES = 12


class Entropy:
    """A source of job ids, jitter and weighted draws.

    Args:
        seed: Makes every draw repeatable, as the simulator needs. Without it the numbers are
            seeded from the operating system, once a process, and ids come straight from it (the
            original shares one fixed sequence among all processes; so do forks of a seeded one).
    """

    def __init__(self, seed: int | str | None = None) -> None:
        self._seeded = seed is not None
        self._random = Random(seed)
        self._pid = os.getpid()

    def identifier(self) -> str:
        """Return a new id: 24 hexadecimal digits, like the original's."""
        if self._seeded:
            return self._random.randbytes(_ID_BYTES).hex()
        return os.urandom(_ID_BYTES).hex()

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two bounds."""
        return low + (high - low) * self._generator().random()

    def below(self, bound: int) -> int:
        """Return an integer from 0 to `bound` - 1."""
        return self._generator().randrange(bound)

    def weighted(self, cumulative: list[int], count: int) -> list[int]:
        """Draw indexes by their weights: with evenly spaced points, of which one is random.

        Each index is drawn in proportion to its weight, as by independent draws, and the more are
        drawn at once, the closer they come to it (systematic sampling).

        Args:
            cumulative: Running sums of the weights, one an index.
            count: How many to draw.

        Returns:
            How often each index was drawn; `count` in all.
        """
        offset, density = self._generator().random(), count / cumulative[-1]
        drawn, before = [], 0
        for end in cumulative:
            points = min(max(math.ceil(end * density - offset), before), count)
            drawn.append(points - before)
            before = points
        drawn[-1] += count - before  # a rounding error at the very end
        return drawn

    def _generator(self) -> Random:
        """Return the generator, newly seeded where a fork would have copied its state."""
        if not self._seeded and self._pid != os.getpid():
            self._pid = os.getpid()
            self._random = Random()
        return self._random
