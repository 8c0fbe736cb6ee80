"""All errors that workkit raises.

    WorkkitError
    ├── InvalidName        a job name or namespace is not valid
    ├── InvalidArgs        args are not a JSON object
    │   └── ArgsMismatch    the args of a job do not fit the parameters of its task
    ├── InvalidOption      an option is out of its range
    ├── InvalidHandler     a handler, middleware or hook has a wrong signature
    ├── InvalidSpec        a cron spec is not valid or never due
    ├── InvalidQuery       a query is not valid
    ├── Undecodable        a payload is malformed
    ├── NotDeleted         no job to delete matched
    ├── NotEdited          the job to edit has gone, or cannot have the new args
    ├── NotRetried         no job to retry matched
    ├── NoStack            no pool could tell where a handler is
    ├── NotUndone          the operation to undo is unknown or expired
    ├── NoEstimate         history does not allow the estimate
    ├── JobTimeout         a handler ran longer than its timeout
    ├── PoolState          the pool's state does not allow the call
    ├── LifespanFailed     a lifespan of a pool has failed
    ├── MissingExtra       an optional dependency is not installed
    └── ServerError        Redis did not execute the command
        ├── ServerUnavailable   the server was not reached, or the reply was lost
        │   └── NotConfirmed    the command ran, but too few replicas or disks confirmed it
        └── ServerRefused       the server replied with an error

Each message names the cause and, if there is one, the remedy.
"""

from __future__ import annotations

__all__ = [
    "ArgsMismatch",
    "InvalidArgs",
    "InvalidHandler",
    "InvalidName",
    "InvalidOption",
    "InvalidQuery",
    "InvalidSpec",
    "JobTimeout",
    "LifespanFailed",
    "MissingExtra",
    "NoEstimate",
    "NoStack",
    "NotConfirmed",
    "NotDeleted",
    "NotEdited",
    "NotRetried",
    "NotUndone",
    "PoolState",
    "ServerError",
    "ServerRefused",
    "ServerUnavailable",
    "Undecodable",
    "WorkkitError",
]


class WorkkitError(Exception):
    """The base class of all errors of workkit."""


class InvalidName(WorkkitError, ValueError):
    """A job name or namespace is empty or contains a reserved character."""


class InvalidArgs(WorkkitError, ValueError):
    """Args are not a JSON object. The message names the path of the invalid value."""


class ArgsMismatch(InvalidArgs):
    """The args of a job do not fit the parameters of its task, so no retry can help."""


class InvalidOption(WorkkitError, ValueError):
    """An option is out of its range."""


class InvalidHandler(WorkkitError, TypeError):
    """A handler, middleware or hook does not have one of the accepted signatures."""


class InvalidSpec(WorkkitError, ValueError):
    """A cron spec is not valid, or never due."""


class InvalidQuery(WorkkitError, ValueError):
    """A query is not valid.

    Attributes:
        at: The index of the character in `query` where the error is.
        reason: The error.
    """

    def __init__(self, query: str, at: int, reason: str) -> None:
        super().__init__(f"{reason}\n  {query}\n  {' ' * at}^")
        self.query = query
        self.at = at
        self.reason = reason


class Undecodable(WorkkitError, ValueError):
    """A payload in Redis is malformed.

    Attributes:
        raw: The payload.
    """

    def __init__(self, raw: bytes, reason: str) -> None:
        super().__init__(reason)
        self.raw = raw


class NotDeleted(WorkkitError):
    """No job to delete matched: it ran, it moved, or another client deleted it."""


class NotRetried(WorkkitError):
    """No job to retry matched: another client retried or deleted it."""


class NotEdited(WorkkitError):
    """A job was not edited: it has run or moved meanwhile, or cannot have the new args."""


class NotUndone(WorkkitError):
    """The bulk action to undo is unknown: it was already undone, or its trash has expired."""


class NoStack(WorkkitError):
    """No pool could tell where the handler of a job is; the message says why."""


class NoEstimate(WorkkitError):
    """History has too little for an estimate, or contradicts the model behind it."""


class JobTimeout(WorkkitError):
    """A handler ran longer than its timeout. It is raised inside the handler if Python allows it.

    It is not a `TimeoutError`, so a handler that catches network timeouts does not catch it.
    """


class PoolState(WorkkitError, RuntimeError):
    """The pool cannot do that now, such as registering a job after `start()`."""


class LifespanFailed(WorkkitError, RuntimeError):
    """A lifespan of a pool has failed, or did not yield exactly once.

    Its cause is the error of the lifespan, if there is one. At a start, the pool was not started.
    At a stop, the pool has stopped.
    """


class MissingExtra(WorkkitError, ImportError):
    """An optional dependency is not installed.

    Args:
        feature: The name of the feature, for users.
        extra: The extra of the distribution that installs it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra; run: pip install 'workkit[{extra}]'")
        self.extra = extra


class ServerError(WorkkitError):
    """Redis did not execute the command."""


class ServerUnavailable(ServerError):
    """The server was not reached, or its reply was lost.

    It is unknown whether the command ran. If you enqueue again, a plain job may run twice. For a
    unique job, enqueuing again is safe.
    """


class NotConfirmed(ServerUnavailable):
    """The job was enqueued, but too few replicas or disks confirmed it, so it may be lost.

    Enqueue it again. That is as safe as after a lost reply.
    """


class ServerRefused(ServerError):
    """The server replied with an error, so the command changed nothing.

    Attributes:
        code: The error's first word, such as ``OOM``, ``READONLY``, ``NOPERM`` or ``WRONGTYPE``.
        key: The key of a wrong type, for ``WRONGTYPE``; "" if it is unknown.
    """

    def __init__(self, code: str, message: str, key: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.key = key
