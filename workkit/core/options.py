"""Options of a pool and of its jobs, checked where they are given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workkit.core.backoff import Backoff
from workkit.errors import InvalidOption

__all__ = ["HistoryOptions", "JobOptions", "check_whole"]

_MAX_PRIORITY = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How jobs of one name are processed.

    Attributes:
        priority: Weight of the queue among those that have jobs, 1 to 100000.
        max_fails: How many failures send a job to the dead set; 1 means no retry.
        skip_dead: Drop the job after its last failure instead.
        max_concurrency: How many may run at once across all pools; 0 is no limit.
        backoff: Seconds until the next try, from the failed job; None is the original's default.
        timeout: Seconds that a handler may run; None is no limit. An async handler is cancelled; a
            sync one is interrupted between two bytecodes, which a blocking C call can delay.

    Raises:
        InvalidOption: A value is out of its range.
    """

    priority: int = 1
    max_fails: int = 4
    skip_dead: bool = False
    max_concurrency: int = 0
    backoff: Backoff | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_whole("priority", self.priority, 1, _MAX_PRIORITY)
        check_whole("max_fails", self.max_fails, 1, 2**31)
        check_whole("max_concurrency", self.max_concurrency, 0, 2**31)
        if self.backoff is not None and not callable(self.backoff):
            raise InvalidOption(
                f"backoff must be a function of the job that returns seconds, not {self.backoff!r}"
            )
        if self.timeout is not None and not (
            isinstance(self.timeout, (int, float)) and 0 < self.timeout < float("inf")
        ):
            raise InvalidOption(
                f"timeout must be a positive number of seconds, not {self.timeout!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryOptions:
    """How much of what ran is remembered.

    What is over a bound is trimmed, the oldest first; `Client.history_extent` tells how much that
    was. `workkit archive` keeps what is to outlive the bounds.

    Attributes:
        max_records: About this many executions are kept.
        max_mb: About this much memory of the server is used for them, MiB; None for no bound.
        max_age_s: What is older, in seconds, is deleted within two minutes while a pool with this
            option runs; None for no bound.
        args: Whether the args of jobs are kept as well, up to 4 KiB of JSON each.
        checkins: Whether the newest 20 check-ins of a job are kept as well.
        version: The version of your program, kept with each execution, so that what fails since the
            last release can be told from the rest.

    Raises:
        InvalidOption: A value is out of its range.
    """

    max_records: int = 100_000
    max_mb: float | None = 64
    max_age_s: float | None = None
    args: bool = False
    checkins: bool = False
    version: str = ""

    def __post_init__(self) -> None:
        check_whole("max_records", self.max_records, 1, 10**9)
        _check_bound("max_mb", self.max_mb, 2**20)
        _check_bound("max_age_s", self.max_age_s, 10**10)
        if not isinstance(self.version, str):
            raise InvalidOption(f"version must be a text, not {self.version!r}")

    @property
    def max_bytes(self) -> int:
        """`max_mb` in bytes; 0 for no bound."""
        return math.ceil(self.max_mb * 2**20) if self.max_mb is not None else 0


def _check_bound(name: str, value: object, most: int) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value <= most):  # type: ignore[operator]
        raise InvalidOption(f"{name} must be a number above 0 and up to {most}, not {value!r}")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Refuse a value that is not a whole number between two bounds.

    Raises:
        InvalidOption: The message names the option and the bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidOption(f"{name} must be a whole number from {low} to {high}, not {value!r}")
