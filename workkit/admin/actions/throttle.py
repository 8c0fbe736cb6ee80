"""Careful retries: one job, then ten, then a given number a second, unless too many fail."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from workkit.core.outcomes import with_flag
from workkit.errors import InvalidOption

__all__ = ["FailureWatch", "Throttle"]

#: The jobs of the first two stages; each waits for the outcomes of the one before.
STAGES: Final = (1, 10)
#: Outcomes of this many of the newest retried jobs are remembered.
_WATCHED: Final = 10_000
#: Outcomes that tell whether the job succeeded.
_DECIDING: Final = with_flag("decides")


@dataclass(frozen=True, slots=True)
class Throttle:
    """How fast jobs are retried, and when to stop.

    Attributes:
        per_s: Jobs a second after the first eleven.
        max_failure_rate: Stop if more than this share of the retried jobs that have ended failed.
        patience_s: Stop if the first ones have not ended after this long, seconds.

    Raises:
        InvalidOption: A value is out of its range.
    """

    per_s: float = 50.0
    max_failure_rate: float = 0.2
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        if not 0 < self.per_s <= 1_000_000:  # noqa: PLR2004 - the bound is in the message
            raise InvalidOption(f"per_s must be above 0, up to 1000000, not {self.per_s!r}")
        if not 0 <= self.max_failure_rate <= 1:
            raise InvalidOption(
                f"max_failure_rate must be from 0 to 1, not {self.max_failure_rate!r}"
            )
        if not self.patience_s > 0:
            raise InvalidOption(f"patience_s must be above 0, not {self.patience_s!r}")

    @property
    def batch(self) -> int:
        """How many jobs go at once."""
        return max(round(self.per_s), 1)

    @property
    def every_s(self) -> float:
        """How often they go, seconds."""
        return self.batch / self.per_s


class FailureWatch:
    """What became of the jobs that were retried."""

    def __init__(self) -> None:
        self._outcomes: dict[str, bool | None] = {}
        self._order: deque[str] = deque()

    def expect(self, job_id: str) -> None:
        """Wait for the outcome of a job."""
        if job_id not in self._outcomes:
            self._order.append(job_id)
        self._outcomes[job_id] = None
        if len(self._order) > _WATCHED:
            self._outcomes.pop(self._order.popleft(), None)

    def settle(self, job_id: str, outcome: str) -> None:
        """Take in an execution; those of other jobs are passed over."""
        if job_id in self._outcomes and outcome in _DECIDING:
            self._outcomes[job_id] = outcome == "done"

    @property
    def open(self) -> int:
        """How many have not ended."""
        return sum(outcome is None for outcome in self._outcomes.values())

    @property
    def ended(self) -> int:
        """How many have ended."""
        return len(self._outcomes) - self.open

    @property
    def failed(self) -> int:
        """How many have failed."""
        return sum(outcome is False for outcome in self._outcomes.values())

    @property
    def failure_rate(self) -> float:
        """Which share of those that have ended failed."""
        return self.failed / self.ended if self.ended else 0.0
