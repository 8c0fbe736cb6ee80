"""Throttled retries: one job, then ten, then a given rate, unless too many fail."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from workkit.core.outcomes import with_flag
from workkit.errors import InvalidOption

__all__ = ["FailureWatch", "Throttle"]

#: The sizes of the first stages. Each stage waits for the outcomes of the stage before it.
STAGES: Final = (1, 10)
#: The failure rate is computed from this many of the newest retried jobs.
_WATCHED: Final = 10_000
#: Outcomes that show whether the job succeeded.
_DECIDING: Final = with_flag("decides")


@dataclass(frozen=True, slots=True)
class Throttle:
    """How fast jobs are retried, and when to stop.

    Attributes:
        per_s: Jobs a second after the first eleven.
        max_failure_rate: Stop if more than this share of the ended jobs failed.
        patience_s: Stop if a job of the first stages has not ended after this long, seconds.

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
        """How many jobs are retried at once."""
        return max(round(self.per_s), 1)

    @property
    def every_s(self) -> float:
        """The interval between two batches, seconds."""
        return self.batch / self.per_s


class FailureWatch:
    """Collects the outcomes of the retried jobs."""

    def __init__(self) -> None:
        self._outcomes: dict[str, bool | None] = {}
        self._failed_at: dict[str, int] = {}
        self._order: deque[str] = deque()

    def expect(self, job_id: str, failed_at: int = 0) -> None:
        """Wait for the outcome of a job.

        Args:
            job_id: The job.
            failed_at: When it failed before it was retried, epoch seconds.
        """
        self._failed_at[job_id] = failed_at
        if job_id not in self._outcomes:
            self._order.append(job_id)
        self._outcomes[job_id] = None
        if len(self._order) > _WATCHED:
            oldest = self._order.popleft()
            self._outcomes.pop(oldest, None)
            self._failed_at.pop(oldest, None)

    def settle(self, job_id: str, outcome: str, finished_ms: int) -> None:
        """Add the outcome of an execution. Executions of other jobs are ignored.

        So is the failure from before the retry, which history may have written just now.
        """
        if job_id not in self._outcomes or outcome not in _DECIDING:
            return
        done = outcome == "done"
        if done or finished_ms // 1_000 > self._failed_at[job_id]:
            self._outcomes[job_id] = done

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
        """The share of ended jobs that failed."""
        return self.failed / self.ended if self.ended else 0.0
