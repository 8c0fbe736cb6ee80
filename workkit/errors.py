"""Every error that workkit raises, under one root.

    WorkkitError
    ├── InvalidName        a job name that the keyspace cannot hold
    ├── InvalidArgs        args that are no JSON object
    ├── InvalidOption      an option out of its range
    ├── InvalidHandler     a handler, middleware or hook of the wrong shape
    ├── InvalidSpec        a cron spec outside the grammar or never due
    ├── InvalidQuery       a query that picks jobs and cannot be read
    ├── Undecodable        bytes in Redis that are not a job
    ├── NotDeleted         nothing matched what was to be deleted
    ├── NotRetried         nothing matched what was to be retried
    ├── NotUndone          there is no such action, or it can be undone no more
    ├── JobTimeout         a handler ran longer than its timeout
    ├── PoolState          a call that the pool's state does not allow
    ├── MissingExtra       an optional dependency is not installed
    └── ServerError        Redis did not do what was asked
        ├── ServerUnavailable   not reached, or the reply was lost
        │   └── NotConfirmed    done, but not known to be as durable as was asked for
        └── ServerRefused       reached, and it said no

All messages name the thing and, where there is one, the remedy.
"""

from __future__ import annotations

__all__ = [
    "InvalidArgs",
    "InvalidHandler",
    "InvalidName",
    "InvalidOption",
    "InvalidQuery",
    "InvalidSpec",
    "JobTimeout",
    "MissingExtra",
    "NotConfirmed",
    "NotDeleted",
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
    """Root of all errors raised by workkit."""


class InvalidName(WorkkitError, ValueError):
    """A job name or namespace is empty or holds what the keyspace reserves."""


class InvalidArgs(WorkkitError, ValueError):
    """Args that are no JSON object; the message names the path of the offending value."""


class InvalidOption(WorkkitError, ValueError):
    """An option is out of its range."""


class InvalidHandler(WorkkitError, TypeError):
    """A handler, middleware or hook does not have one of the accepted shapes."""


class InvalidSpec(WorkkitError, ValueError):
    """A cron spec is outside the grammar, or never due."""


class InvalidQuery(WorkkitError, ValueError):
    """A query that picks jobs cannot be read.

    Attributes:
        query: The query.
        at: Where the trouble is, characters from its beginning.
        reason: What it is.
    """

    def __init__(self, query: str, at: int, reason: str) -> None:
        super().__init__(f"{reason}\n  {query}\n  {' ' * at}^")
        self.query = query
        self.at = at
        self.reason = reason


class Undecodable(WorkkitError, ValueError):
    """Bytes found in Redis are not a job.

    Attributes:
        raw: The bytes as they were read.
    """

    def __init__(self, raw: bytes, reason: str) -> None:
        super().__init__(reason)
        self.raw = raw


class NotDeleted(WorkkitError):
    """No job matched what was to be deleted: it ran, moved, or was deleted by somebody else."""


class NotRetried(WorkkitError):
    """No job matched what was to be retried: it was retried or deleted by somebody else."""


class NotUndone(WorkkitError):
    """No bulk action matched what was to be undone: it was undone already, or has expired."""


class JobTimeout(WorkkitError):
    """A handler ran longer than its timeout; raised inside the handler where Python allows it.

    Not a `TimeoutError`, so that handlers that retry on trouble of the network let it through.
    """


class PoolState(WorkkitError, RuntimeError):
    """The pool cannot do that now, such as registering a job after `start()`."""


class MissingExtra(WorkkitError, ImportError):
    """An optional dependency is not installed.

    Args:
        feature: What was asked for, as the user would say it.
        extra: The extra of the distribution that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra; run: pip install 'workkit[{extra}]'")
        self.extra = extra


class ServerError(WorkkitError):
    """Redis did not do what was asked."""


class ServerUnavailable(ServerError):
    """The server was not reached, or its reply was lost.

    Whether the command ran is unknown. Enqueuing again can run a plain job twice; it is safe for a
    unique job.
    """


class NotConfirmed(ServerUnavailable):
    """A durable enqueue was done, but fewer than asked for have the job; it may yet be lost.

    Enqueuing again is what to do, and as safe as after any lost reply.
    """


class ServerRefused(ServerError):
    """The server answered with an error, so the command changed nothing.

    Attributes:
        code: The error's first word, such as ``OOM``, ``READONLY``, ``NOPERM`` or ``WRONGTYPE``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
