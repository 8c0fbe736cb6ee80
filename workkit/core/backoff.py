"""How long a failed job waits for its next try."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable
from typing import Final

from workkit.core.entropy import Entropy
from workkit.core.job import Job

__all__ = ["MAX_DELAY_S", "Backoff", "default_backoff", "delay_s"]

_log = logging.getLogger("workkit")

#: A longer delay is cut to this; ten years in seconds.
MAX_DELAY_S: Final = 10 * 365 * 86_400
_SHOWN_CHARS: Final = 200

#: A user's backoff. It gets the job, with the last failure counted in `fails`, and if it takes two
#: arguments also the error; it returns seconds.
Backoff = Callable[[Job], float] | Callable[[Job, BaseException], float]


def default_backoff(fails: int, entropy: Entropy) -> int:
    """Return the original's delay: the fourth power of the failures plus jitter.

    Args:
        fails: How many times the job has failed, at least 1.
        entropy: The source of the jitter.

    Returns:
        Seconds: ``fails**4 + 15 + below(30) * (fails + 1)``. After the first failure: 16 to 74.
    """
    return fails**4 + 15 + entropy.below(30) * (fails + 1)


def delay_s(
    backoff: Backoff | None,
    job: Job,
    error: BaseException,
    fails: int,
    entropy: Entropy,
    name: str,
) -> int:
    """Return seconds until the next try; if the backoff is broken, the job still gets a delay.

    Args:
        backoff: The user's function, or None.
        job: The failed job, for that function.
        error: The error, for that function.
        fails: How many times it has failed.
        entropy: Where the jitter of the default comes from.
        name: The job's name, for the log.
    """
    if backoff is None:
        return default_backoff(fails, entropy)
    from workkit.core import fingerprint  # options know this module, and enqueuers know options

    try:
        function: Callable[..., object] = backoff
        returned = function(job, error) if _takes_error(backoff) else function(job)
        delay = _seconds(returned)
        if delay is None:
            shown = fingerprint.text_of(returned, "it cannot be shown", _SHOWN_CHARS, show=repr)
            _log.error(
                "backoff of %r returned %s, which is not a number of seconds from 0 on; using the "
                "default backoff", name, shown,
            )  # fmt: skip
        elif delay > MAX_DELAY_S:
            _log.error("backoff of %r returned %g s; using ten years", name, delay)
            return MAX_DELAY_S
        else:
            return math.ceil(delay)
    except BaseException as bad:  # noqa: BLE001 - the user's code; a SystemExit of its ends nothing
        text = fingerprint.error_text(bad)
        _log.error("backoff of %r failed; using the default backoff: %s", name, text)
    return default_backoff(fails, entropy)


def _takes_error(backoff: Backoff) -> bool:
    """Tell whether a backoff needs two arguments."""
    try:
        parameters = inspect.signature(backoff).parameters.values()
    except (TypeError, ValueError):  # a built-in
        return False
    needed = [each for each in parameters if each.default is each.empty]
    return sum(each.kind <= each.POSITIONAL_OR_KEYWORD for each in needed) > 1


def _seconds(returned: object) -> float | None:
    """Read the value that a backoff has returned; None if it is not a delay."""
    if inspect.iscoroutine(returned):
        returned.close()  # else Python warns that nobody awaited it
    if isinstance(returned, (str, bytes, bytearray)):
        return None
    try:
        delay = float(returned)  # type: ignore[arg-type] # a TypeError is the answer
    except TypeError:
        return None
    except OverflowError:  # an integer beyond all floats
        return math.inf if isinstance(returned, int) and returned > 0 else None
    return delay if math.isfinite(delay) and delay >= 0 else None
