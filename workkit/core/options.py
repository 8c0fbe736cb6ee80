"""Options of a pool and of its jobs. The constructors check the values."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypedDict

from workkit.core.backoff import Backoff
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.showing import shown
from workkit.errors import InvalidOption

__all__ = [
    "LARGE_BYTES",
    "MAX_CONNECTIONS",
    "MAX_JOB_BYTES",
    "EnqueuerKeywords",
    "HistoryOptions",
    "JobKeywords",
    "JobOptions",
    "check_catch_up",
    "check_connections",
    "check_flag",
    "check_job_bytes",
    "check_sources",
    "check_time",
    "check_unknown",
    "check_wait",
    "check_whole",
    "near_match",
    "shown",
]

#: Enqueuers warn of a job larger than this, bytes: it is copied at each step of its life.
LARGE_BYTES: Final = 10 * 1024
#: A job larger than this is refused by default, bytes.
MAX_JOB_BYTES: Final = 1024 * 1024
#: How many connections the calls of an enqueuer share by default.
MAX_CONNECTIONS: Final = 4
_MOST_CONNECTIONS: Final = 1_000
#: Redis holds no larger string, bytes.
_MOST_BYTES: Final = 512 * 1024 * 1024
_MAX_PRIORITY: Final = 100_000
_MAX_CATCH_UP_S: Final = 86_400
#: Seconds; about 31 years.
_MAX_TIMEOUT_S: Final = 10**9
_MAX_VERSION_CHARS: Final = 200


class JobKeywords(TypedDict, total=False):
    """The fields of `JobOptions` as keyword arguments, for type checkers."""

    priority: int
    max_fails: int
    skip_dead: bool
    max_concurrency: int
    backoff: Backoff | None
    timeout: float | None
    check_args: bool
    retry_on: tuple[type[BaseException], ...] | None
    fail_on: tuple[type[BaseException], ...]


class EnqueuerKeywords(TypedDict, total=False):
    """The options of an enqueuer as keyword arguments, for type checkers."""

    clock: Clock | None
    entropy: Entropy | None
    allow_huge_integers: bool
    max_job_bytes: int
    max_connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How jobs of one name are processed.

    Attributes:
        priority: Weight of the queue among those that have jobs, 1 to 100000.
        max_fails: How many failures send a job to the dead set; 1 means no retry.
        skip_dead: Drop the job after its last failure instead.
        max_concurrency: How many may run at once across all pools; 0 for no limit.
        backoff: Seconds until the next try, from the failed job, or from the job and its error;
            None for the original's default.
        timeout: Seconds that a handler may run; None for no limit. An async handler is cancelled; a
            sync one is interrupted between two bytecodes, which a blocking C call can delay.
        check_args: Whether a job fails if its handler returns and has not read an `arg_error`.
        retry_on: If given, only these exceptions and timeouts are retried; after any other the job
            is dead at once.
        fail_on: After these exceptions the job is dead at once. Where both options have a class of
            an exception, the nearest one decides.

    Raises:
        InvalidOption: A value is out of its range.
    """

    priority: int = 1
    max_fails: int = 4
    skip_dead: bool = False
    max_concurrency: int = 0
    backoff: Backoff | None = None
    timeout: float | None = None
    check_args: bool = True
    retry_on: tuple[type[BaseException], ...] | None = None
    fail_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        check_whole("priority", self.priority, 1, _MAX_PRIORITY)
        check_whole("max_fails", self.max_fails, 1, 2**31)
        check_whole("max_concurrency", self.max_concurrency, 0, 2**31)
        if self.backoff is not None and not callable(self.backoff):
            raise InvalidOption(
                f"backoff must be a function of the job that returns seconds, "
                f"not {shown(self.backoff)}"
            )
        _check_bound("timeout", self.timeout, _MAX_TIMEOUT_S, "seconds")
        check_flag("skip_dead", self.skip_dead)
        check_flag("check_args", self.check_args)
        _check_classes("retry_on", self.retry_on if self.retry_on is not None else ())
        _check_classes("fail_on", self.fail_on)
        if both := set(self.retry_on or ()) & set(self.fail_on):
            raise InvalidOption(f"retry_on and fail_on both name {both.pop().__name__}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryOptions:
    """How much history a pool keeps.

    Above a bound, the pool trims the oldest executions. `Client.history_extent` returns how many
    were trimmed. `workkit archive` keeps executions beyond the bounds.

    Attributes:
        max_records: Keep this many executions, and up to an eighth more.
        max_mb: Use about this much of the server's memory, MiB; None for no bound.
        max_age_s: Delete older executions within two minutes, seconds, while a pool with this
            option runs; None for no bound.
        args: Keep the args of each job too, up to 4 KiB of JSON.
        checkins: Keep the newest 20 check-ins of each job too.
        version: The version of your program. It is kept with each execution, so that you can tell
            the failures of a new release from older ones.

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
        _check_bound("max_mb", self.max_mb, 2**20, "MiB")
        _check_bound("max_age_s", self.max_age_s, 10**10, "seconds")
        check_flag("args", self.args)
        check_flag("checkins", self.checkins)
        version = self.version
        fits = isinstance(version, str) and len(version) <= _MAX_VERSION_CHARS
        if not fits or not version.isprintable():
            raise InvalidOption(
                f"version must be a printable text of at most {_MAX_VERSION_CHARS} characters, "
                f"not {shown(version)}"
            )

    @property
    def max_bytes(self) -> int:
        """`max_mb` in bytes; 0 for no bound."""
        return math.ceil(self.max_mb * 2**20) if self.max_mb is not None else 0


def _check_bound(name: str, value: object, most: int, unit: str) -> None:
    if value is not None and not (_is_number(value) and 0 < value <= most):  # type: ignore[operator]
        raise InvalidOption(
            f"{name} must be a number of {unit} above 0 and up to {most}, or None, "
            f"not {shown(value)}"
        )


def _check_classes(name: str, value: object) -> None:
    classes = value if isinstance(value, tuple) else (None,)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in classes):
        raise InvalidOption(
            f"{name} must be a tuple of exception classes, such as (OSError,), not {shown(value)}"
        )


def check_flag(name: str, value: object) -> None:
    """Refuse a value that is neither True nor False.

    Raises:
        InvalidOption: The message names the option and the value.
    """
    if not isinstance(value, bool):
        raise InvalidOption(f"{name} must be True or False, not {shown(value)}")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Refuse a value that is not a whole number between two bounds.

    Raises:
        InvalidOption: The message names the option and the bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidOption(
            f"{name} must be a whole number from {low} to {high}, not {shown(value)}"
        )


def check_catch_up(value: object) -> None:
    """Refuse an invalid age of a missed slot of a cron entry.

    Raises:
        InvalidOption: The message names the bounds.
    """
    check_whole("catch_up_s", value, 0, _MAX_CATCH_UP_S)


def check_unknown(what: str, options: Collection[str], known: Collection[str]) -> None:
    """Refuse options of unknown names.

    Args:
        what: Who takes the options, for the message.
        options: The names that are given.
        known: The names that there are.

    Raises:
        InvalidOption: The message names the unknown ones, the nearest known one, and all of them.
    """
    if unknown := sorted(set(options) - set(known)):
        raise InvalidOption(
            f"{what}: no option {', '.join(unknown)}{near_match(unknown[0], known)}; "
            f"there are {', '.join(known)}"
        )


def check_wait(name: str, value: object) -> None:
    """Refuse a bound on a wait that is not a number of seconds; None is no bound.

    Numbers below 0 are accepted, as what is left of a deadline may be.

    Raises:
        InvalidOption: The message names the option and the value.
    """
    if value is not None and not _is_number(value):
        raise InvalidOption(
            f"{name} must be a number of seconds, or None for no limit, not {shown(value)}"
        )


def check_time(name: str, value: object) -> None:
    """Refuse a value that cannot be a time in epoch seconds.

    Raises:
        InvalidOption: The message names the option and the value.
    """
    if not _is_number(value):
        raise InvalidOption(f"{name} must be epoch seconds, not {shown(value)}")


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value == value  # noqa: PLR0124 - NaN differs from itself


def check_sources(clock: object, entropy: object) -> None:
    """Refuse sources of times and of random numbers that are not; None is the default source.

    Raises:
        InvalidOption: The message names the option and the value.
    """
    if clock is not None and not callable(getattr(clock, "read", None)):
        raise InvalidOption(f"clock must have a method read(), not {shown(clock)}")
    if entropy is not None and not isinstance(entropy, Entropy):
        raise InvalidOption(f"entropy must be an Entropy(...), not {shown(entropy)}")


def near_match(name: str, known: Collection[str]) -> str:
    """Return a question that names the known word nearest to an unknown one; "" if none is near."""
    import difflib

    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def check_connections(value: object) -> int:
    """Refuse a number of connections that is not one.

    Raises:
        InvalidOption: The message names the bounds.
    """
    check_whole("max_connections", value, 1, _MOST_CONNECTIONS)
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_job_bytes(value: object) -> int:
    """Refuse an invalid bound on the size of jobs.

    Raises:
        InvalidOption: The message names the bounds.
    """
    check_whole("max_job_bytes", value, 1, _MOST_BYTES)
    return int(value)  # type: ignore[call-overload, no-any-return]
