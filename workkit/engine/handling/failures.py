"""What the failure of a handler means for its job, and how it is shown.

An error makes its message itself, and a backoff is a function of the user. Both may block, so they
run here, on the thread of the handler and within its timeout, and never on the pool's own threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from workkit.core import fingerprint
from workkit.core.backoff import MAX_DELAY_S, default_backoff, delay_s
from workkit.core.clock import Instant
from workkit.core.entropy import Entropy
from workkit.core.verdicts import Ruling, judge
from workkit.errors import JobTimeout

if TYPE_CHECKING:
    from workkit.engine.handling.execution import Execution

__all__ = ["Failure", "examined", "headline"]

#: The part of an error text that history keeps, characters.
_HEADLINE_CHARS: Final = 300
#: The message of an error that could not make its own.
_UNMADE: Final = "(its message was not made in time)"


class Failure(NamedTuple):
    """How a handler has failed, or asked for another try.

    Attributes:
        ended: When the handler ended.
        error: The error, for hooks and the log; None if the job is postponed.
        text: The error as it is stored.
        fingerprint: The fingerprint of the text; "" if the job is postponed.
        can_be_logged: Whether a log can format the error.
        ruling: What the error means for the job.
        fails: How many times the job has failed, this time included.
        retry_in_s: Seconds until the next try, if there is one.
    """

    ended: Instant
    error: BaseException | None
    text: str
    fingerprint: str
    can_be_logged: bool
    ruling: Ruling
    fails: int
    retry_in_s: int


def headline(error: str) -> str:
    """Return the part of an error text that history keeps."""
    return error.partition("\n")[0][:_HEADLINE_CHARS]


def examined(
    execution: Execution, error: BaseException, now: Instant, entropy: Entropy, *, alone: bool
) -> Failure:
    """Find out what an error means, and change the job as its hooks and its backoff see it.

    Args:
        execution: The execution.
        error: The handler's error.
        now: When the handler ended.
        entropy: For the jitter of the default backoff.
        alone: Whether to do it without the user's code.
    """
    options, was_interrupted = execution.options, execution.interrupted
    error = fingerprint.without_own_frames(_as_timeout(execution, error))
    text = fingerprint.error_text(
        error, _UNMADE if alone and type(error) is not JobTimeout else None
    )
    ruling = judge(error, options)
    if ruling.outcome == "postponed":
        wait_s = math.ceil(min(ruling.in_s or 0, MAX_DELAY_S))
        return Failure(now, None, text, "", False, ruling, execution.fails, wait_s)
    fails, job = execution.fails + 1, execution.job
    job.fails, job.last_err, job.failed_at = fails, text, now.epoch_s
    wait_s = 0
    if ruling.outcome == "retry" and fails < options.max_fails:
        if ruling.in_s is not None:
            wait_s = math.ceil(min(ruling.in_s, MAX_DELAY_S))
        elif alone:
            wait_s = default_backoff(fails, entropy)
        else:
            wait_s = delay_s(options.backoff, job, error, fails, entropy, execution.payload.name)
    # After an interrupt nothing of the user's is called again, since there is no second one.
    struck = alone or execution.interrupted is not was_interrupted
    logs = not struck and fingerprint.can_be_logged(error)
    return Failure(now, error, text, fingerprint.fingerprint(text), logs, ruling, fails, wait_s)


def _as_timeout(execution: Execution, error: BaseException) -> BaseException:
    """Return the error to report: an interrupt itself has no message."""
    kind = type(error)  # not `__class__`, which may run the user's code
    if not execution.interrupted or (
        issubclass(kind, Exception) and not issubclass(kind, JobTimeout)
    ):
        return error
    # The exception thrown into the handler has no message, but its traceback is useful.
    timeout = execution.options.timeout
    why = "the pool stopped" if timeout is None else f"timed out after {timeout:g} s"
    text = fingerprint.text_of(error, why, _HEADLINE_CHARS) or why
    return JobTimeout(text).with_traceback(fingerprint.traceback_of(error))
