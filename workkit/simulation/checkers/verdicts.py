"""What has to become of a job by the exception of its handler, as the documents promise it.

This is written apart from the engine's own rule, so that a fault there is found.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final, Literal, NamedTuple

from workkit.core.options import JobOptions
from workkit.core.verdicts import Discard, Fail, Retry
from workkit.errors import ArgsMismatch, JobTimeout

__all__ = ["PLAIN", "Promise", "promised"]


class Promise(NamedTuple):
    """What was promised for an exception.

    Attributes:
        kind: "plain": `max_fails` decides. "final": dead, or gone with `skip_dead`. "dropped":
            gone. "postponed": tried again, and not counted.
        in_s: Seconds until the next try; None if the backoff decides.
    """

    kind: Literal["plain", "final", "dropped", "postponed"]
    in_s: float | None = None


#: What is promised for most exceptions.
PLAIN: Final = Promise("plain")


def _gravity(promise: Promise) -> int:
    return ("final", "dropped", "postponed", "plain").index(promise.kind)


def promised(error: BaseException, options: JobOptions) -> Promise:
    """Return what was promised for an exception; of a group, the gravest of its members'."""
    if isinstance(error, BaseExceptionGroup):
        return min((promised(each, options) for each in error.exceptions), key=_gravity)
    if isinstance(error, Retry):
        return Promise("plain" if error.counts else "postponed", error.in_s)
    if isinstance(error, Discard):
        return Promise("dropped")
    if isinstance(error, (Fail, ArgsMismatch)):
        return Promise("final")
    kind = _kind(error, options)
    order = kind.__mro__
    fails_at, retries_at = (
        min((order.index(each) for each in listed if each in order), default=math.inf)
        for listed in (options.fail_on, options.retry_on or ())
    )
    if fails_at < retries_at:
        return Promise("final")
    only_others = options.retry_on is not None and retries_at == math.inf
    return Promise("final") if only_others and not issubclass(kind, JobTimeout) else PLAIN


def _kind(error: BaseException, options: JobOptions) -> type[BaseException]:
    """Return the class that decides: an async handler that has timed out ends by cancellation."""
    if isinstance(error, asyncio.CancelledError) and options.timeout is not None:
        return JobTimeout
    return type(error)
