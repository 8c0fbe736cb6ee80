"""The time and the random numbers of a pool."""

from __future__ import annotations

from dataclasses import dataclass

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy

__all__ = ["Sources"]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts of a pool get times and random numbers from.

    Attributes:
        clock: The times: the host's clock, or the one that follows the server.
        entropy: The ids, the draws, and the jitter of delays.
    """

    clock: Clock
    entropy: Entropy
