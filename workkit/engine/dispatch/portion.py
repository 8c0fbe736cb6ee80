"""How many jobs one reply may carry: fewer after a reply that did not arrive.

A server may close a connection whose reply is too large for it. Then the same request fails each
time, and its jobs never run. A network that loses a reply, and a server that is away, look the
same, so the number soon grows again.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Portion"]

#: More jobs than any reply carries.
_ALL: Final = 1_000_000
#: A number of jobs beyond this is no limit any more.
_ENOUGH: Final = 4_096
#: After this many good replies in a row, the number is doubled; more after it has grown too far.
_GOOD: Final = 20
_MOST_GOOD: Final = 640


class Portion:
    """How many jobs one reply may carry.

    Attributes:
        most: The number.
    """

    def __init__(self) -> None:
        self.most = _ALL
        self._good = 0
        self._needed = _GOOD
        self._has_grown = False  # since the last reply that was lost

    def lost(self, jobs: int) -> None:
        """Record that a reply with up to this many jobs did not arrive."""
        if jobs <= 0:
            return
        if self._has_grown:  # an outage loses many in a row, which says nothing of their size
            self._needed = min(2 * self._needed, _MOST_GOOD)
            self._has_grown = False
        self.most = max(min(self.most, jobs) // 2, 1)
        self._good = 0

    def received(self, jobs: int) -> None:
        """Record that a reply with this many jobs has arrived."""
        if self.most == _ALL or not jobs:
            return
        self._good += 1
        if self._good < self._needed:
            return
        self.most, self._good, self._has_grown = 2 * self.most, 0, True
        if self.most > _ENOUGH:
            self.most, self._needed, self._has_grown = _ALL, _GOOD, False
