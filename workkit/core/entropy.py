"""The only module that makes random numbers; other code takes an `Entropy` as an argument."""

from __future__ import annotations

import math
import os
from random import Random  # noqa: TID251 - here it is

__all__ = ["Entropy"]

_ID_BYTES = 12


class Entropy:
    """A source of job ids, jitter and weighted draws.

    Args:
        seed: Makes every draw repeatable, for the simulator. Without a seed, each process seeds its
            numbers from the operating system and takes its ids directly from there. (In the
            original, all processes share one fixed sequence. Forks of a seeded `Entropy` do, too.)
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

    def octets(self, count: int) -> bytes:
        """Return this many random bytes."""
        return self._generator().randbytes(count)

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two bounds."""
        return low + (high - low) * self._generator().random()

    def below(self, bound: int) -> int:
        """Return an integer from 0 to `bound` - 1."""
        return self._generator().randrange(bound)

    def weighted(self, cumulative: list[int], count: int) -> list[int]:
        """Draw indexes in proportion to their weights, by systematic sampling.

        The points are evenly spaced and have one random offset. So a large draw follows the weights
        more closely than independent draws would.

        Args:
            cumulative: Running sums of the weights, one for each index.
            count: How many to draw.

        Returns:
            How often each index was drawn. The sum is `count`.
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
        """Return the generator. After a fork, seed it again: a fork copies its state."""
        if not self._seeded and self._pid != os.getpid():
            self._pid = os.getpid()
            self._random = Random()
        return self._random
