"""Exceptions by which a handler decides what becomes of its job."""

from __future__ import annotations

import math
from typing import Literal, overload

from workkit.errors import InvalidOption

__all__ = ["Discard", "Fail", "Retry", "Verdict"]


class Verdict(Exception):
    """The base class of `Retry`, `Fail` and `Discard`."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(*([reason] if reason else []))


class Retry(Verdict):
    """Raise it in a handler to try the job again.

    It counts as a failure: after `max_fails` of them the job is dead. With ``counts=False`` it does
    not, and the job waits and runs again as often as its handler asks for it.

    Args:
        reason: Why, for history and logs.
        in_s: Seconds until the next try; by default the job's backoff decides.
        counts: Whether this is a failure. With False, `in_s` is needed.

    Raises:
        InvalidOption: `in_s` is not a number from 0 on, or is missing.
    """

    @overload
    def __init__(
        self, reason: str = "", *, in_s: float | None = None, counts: Literal[True] = True
    ) -> None: ...
    @overload
    def __init__(self, reason: str = "", *, in_s: float, counts: bool) -> None: ...

    def __init__(self, reason: str = "", *, in_s: float | None = None, counts: bool = True) -> None:
        super().__init__(reason)
        number = isinstance(in_s, (int, float)) and not isinstance(in_s, bool)
        if in_s is not None and not (number and 0 <= in_s < math.inf):
            raise InvalidOption(f"Retry: in_s must be a number of seconds from 0 on, not {in_s!r}")
        if in_s is None and not counts:
            raise InvalidOption("Retry(counts=False) needs in_s, the seconds until the next try")
        self.in_s = in_s
        self.counts = counts


class Fail(Verdict):
    """Raise it in a handler to fail the job for good: it is dead at once.

    With `skip_dead` the job is dropped.

    Args:
        reason: Why, for history, logs and the dead set.
    """


class Discard(Verdict):
    """Raise it in a handler to drop the job: it is neither retried nor dead.

    Args:
        reason: Why, for history and logs.
    """
