"""Exceptions by which a handler decides what becomes of its job, and the rule for all others."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple, overload

from workkit.core.options import JobOptions
from workkit.core.outcomes import Outcome
from workkit.core.showing import shown
from workkit.errors import ArgsMismatch, InvalidOption, JobTimeout

__all__ = ["Discard", "Fail", "Retry", "Ruling", "Verdict", "judge"]


class Verdict(Exception):
    """The base class of `Retry`, `Fail` and `Discard`."""

    in_s: float | None = None
    counts: bool = True

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
        InvalidOption: `in_s` is not a number from 0 on, or is missing; `counts` is not a bool; or
            `reason` is a number, which looks like seconds.
    """

    @overload
    def __init__(
        self, reason: str = "", *, in_s: float | None = None, counts: Literal[True] = True
    ) -> None: ...
    @overload
    def __init__(self, reason: str = "", *, in_s: float, counts: bool) -> None: ...

    def __init__(self, reason: str = "", *, in_s: float | None = None, counts: bool = True) -> None:
        super().__init__(reason)
        given: object = reason
        if isinstance(given, (int, float, timedelta)):
            raise InvalidOption(
                f"Retry: seconds need their name: Retry(in_s=7), not Retry({shown(given)})"
            )
        if not isinstance(counts, bool):
            raise InvalidOption(f"Retry: counts must be True or False, not {shown(counts)}")
        number = isinstance(in_s, (int, float)) and not isinstance(in_s, bool)
        if in_s is not None and not (number and 0 <= in_s < math.inf):
            raise InvalidOption(
                f"Retry: in_s must be a number of seconds from 0 on, not {shown(in_s)}"
            )
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


class Ruling(NamedTuple):
    """What an exception means for its job.

    Attributes:
        outcome: "retry", "postponed", "dead" or "discarded", before `max_fails` and `skip_dead`.
        reason: For history; "" if only `max_fails` decides.
        in_s: Seconds until the next try; None for the backoff.
    """

    outcome: Outcome
    reason: str = ""
    in_s: float | None = None


_RETRY: Final = Ruling("retry")
#: If several exceptions of a group decide, the first of these wins.
_ORDER: Final = ("dead", "discarded", "postponed", "retry")
# Attributes as the interpreter has them: a class can put properties of its own in their place.
_MRO: Final = vars(type)["__mro__"]
_GROUPED: Final = BaseExceptionGroup.exceptions


def judge(error: BaseException, options: JobOptions) -> Ruling:
    """Decide what an exception means for its job. An exception that cannot be read is retried.

    1. `Retry`, `Fail` and `Discard` decide themselves; args that do not fit are never retried.
    2. Else the nearest class of the exception in `fail_on` or `retry_on` decides.
    3. Else the job is retried, unless there is a `retry_on`; timeouts are.

    A group of exceptions is judged by its members.
    """
    try:
        rulings = [_judge(each, options) for each in _members(error)]
        return min(rulings, key=lambda ruling: _ORDER.index(ruling.outcome))
    except BaseException:  # noqa: BLE001 - the exception's own code
        return _RETRY


def _members(error: BaseException) -> list[BaseException]:
    """Return the exceptions of a group and of the groups in it, each once; or the exception."""
    found: list[BaseException] = []
    seen, waiting = {id(error)}, [error]
    while waiting:
        one = waiting.pop()
        if issubclass(type(one), BaseExceptionGroup):  # not `__class__`, which may run user code
            new = [each for each in _GROUPED.__get__(one) if id(each) not in seen]
            seen.update(map(id, new))
            waiting += reversed(new)
        else:
            found.append(one)
    return found


def _judge(error: BaseException, options: JobOptions) -> Ruling:
    kind: type[BaseException] = type(error)  # not `__class__`, which may run the user's code
    if issubclass(kind, Retry):
        return _asked(error)
    if issubclass(kind, Fail):
        return Ruling("dead", "Fail")
    if issubclass(kind, Discard):
        return Ruling("discarded", "Discard")
    if issubclass(kind, ArgsMismatch):
        return Ruling("dead", "args")
    return _listed(kind, options)


def _asked(error: Any) -> Ruling:
    seconds, counts = vars(error).get("in_s"), vars(error).get("counts", True)
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
        return Ruling("retry", "Retry")  # a subclass that does not call our constructor
    return Ruling("retry" if counts else "postponed", "Retry", float(seconds))


def _listed(kind: type[BaseException], options: JobOptions) -> Ruling:
    """Return the ruling of the options `fail_on` and `retry_on`."""
    retry_on, fail_on = options.retry_on, options.fail_on
    if retry_on is None and not fail_on:
        return _RETRY
    for base in _MRO.__get__(kind):
        if any(base is each for each in fail_on):
            return Ruling("dead", "fail_on")
        if any(base is each for each in retry_on or ()):
            return Ruling("retry", "retry_on")
    if retry_on is None or issubclass(kind, JobTimeout):
        return _RETRY
    return Ruling("dead", "not in retry_on")
