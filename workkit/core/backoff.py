"""How long a failed job waits before it is tried again."""

from __future__ import annotations

from collections.abc import Callable

from workkit.core.entropy import Entropy
from workkit.core.job import Job

__all__ = ["Backoff", "default_backoff"]

#: A user's backoff: takes the job (with `fails` already counted) and returns seconds.
Backoff = Callable[[Job], float]


def default_backoff(fails: int, entropy: Entropy) -> int:
    """Return the original's delay: the fourth power of the failures plus jitter.

    Args:
        fails: How many times the job has failed, at least 1.
        entropy: Where the jitter comes from.

    Returns:
        Seconds: ``fails**4 + 15 + below(30) * (fails + 1)``, hence 16 to 74 for the first failure.
    """
    return fails**4 + 15 + entropy.below(30) * (fails + 1)
