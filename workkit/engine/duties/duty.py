"""The interface of a background duty."""

from __future__ import annotations

from typing import Protocol

from workkit.core.clock import Instant
from workkit.store.round_trip import Step

__all__ = ["Duty"]


class Duty(Protocol):
    """A background duty."""

    @property
    def name(self) -> str:
        """The duty's name in the log."""
        ...

    def step(self, now: Instant) -> Step[float]:
        """Do what is due.

        Args:
            now: The time.

        Returns:
            Seconds until the next turn.

        Raises:
            ServerError: Redis did not answer or refused; the loop calls again later.
        """
        ...
