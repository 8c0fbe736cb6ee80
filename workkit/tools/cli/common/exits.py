"""How the process ends: one exit code for each kind of outcome, one line for each error."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, Final

import click

from workkit.errors import (
    InvalidQuery,
    NotDeleted,
    NotRetried,
    NotUndone,
    ServerRefused,
    ServerUnavailable,
    WorkkitError,
)

__all__ = [
    "INTERRUPTED",
    "NOT_FOUND",
    "PIPE_CLOSED",
    "REFUSED",
    "REPLACE",
    "UNAVAILABLE",
    "USAGE",
    "code_of",
    "complain",
    "one_line",
    "silence_stdout",
]

#: Nothing matched, or the question was answered with no.
NOT_FOUND: Final = 1
#: A mistake in the command or in what it loads; click's own code.
USAGE: Final = 2
#: The server was not reached (EX_UNAVAILABLE).
UNAVAILABLE: Final = 69
#: The server said no (EX_SOFTWARE).
REFUSED: Final = 70
#: The worker ended by itself and is to be started again (EX_TEMPFAIL).
REPLACE: Final = 75
#: As shells report the end by SIGINT and by SIGPIPE.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

_CODES: Final[tuple[tuple[type[WorkkitError], int], ...]] = (
    (NotDeleted, NOT_FOUND),
    (NotRetried, NOT_FOUND),
    (NotUndone, NOT_FOUND),
    (ServerUnavailable, UNAVAILABLE),
    (ServerRefused, REFUSED),
)


#: How messages of click's own begin.
_CLICKS: Final = ("Could not", "Got unexpected", "Invalid value", "Missing", "No such", "Option")


def code_of(error: WorkkitError) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), USAGE)


def complain(message: object) -> None:
    """Write one line about what went wrong to stderr; below a query, where it went wrong."""
    from workkit.core.text import clean

    lines = str(message).split("\n") if isinstance(message, InvalidQuery) else [str(message)]
    click.echo("\n".join(["workkit: " + clean(lines[0]), *map(clean, lines[1:])]), err=True)


class _OneLineError(click.ClickException):
    """A mistake in the command, told in one line and a hint."""

    exit_code = USAGE

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self._hint = hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to stderr."""
        del file
        complain(self.message)
        if self._hint:
            click.echo(self._hint, err=True)


def one_line(error: click.UsageError | click.FileError) -> click.ClickException:
    """Return a mistake in the command in the form that all our errors have.

    A help text that click shows as an error, for a command without its subcommand, stays one.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    message = " ".join(error.format_message().split()).rstrip(".")
    if message.startswith(_CLICKS):
        message = message[0].lower() + message[1:]
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return _OneLineError(message, f"Try '{ctx.command_path} --help'." if ctx is not None else "")


def silence_stdout() -> None:
    """Send what is still buffered nowhere, since nobody reads stdout any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
