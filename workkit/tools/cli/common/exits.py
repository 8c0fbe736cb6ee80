"""Exit codes, one for each kind of outcome, and error messages of one line."""

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

#: Nothing matched, or the user answered a question with no.
NOT_FOUND: Final = 1
#: A mistake in the command or in the module that it loads. click uses the same code.
USAGE: Final = 2
#: The server did not answer (EX_UNAVAILABLE).
UNAVAILABLE: Final = 69
#: The server refused (EX_SOFTWARE).
REFUSED: Final = 70
#: The worker stopped by itself and must be started again (EX_TEMPFAIL).
REPLACE: Final = 75
#: Shells report these codes for SIGINT and SIGPIPE.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

_CODES: Final[tuple[tuple[type[WorkkitError], int], ...]] = (
    (NotDeleted, NOT_FOUND),
    (NotRetried, NOT_FOUND),
    (NotUndone, NOT_FOUND),
    (ServerUnavailable, UNAVAILABLE),
    (ServerRefused, REFUSED),
)


#: The first words of click's own messages.
_CLICKS: Final = ("Could not", "Got unexpected", "Invalid value", "Missing", "No such", "Option")


def code_of(error: WorkkitError) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), USAGE)


def complain(message: object) -> None:
    """Write an error to stderr in one line. Below an invalid query, a mark shows the place."""
    from workkit.core.text import clean

    lines = str(message).split("\n") if isinstance(message, InvalidQuery) else [str(message)]
    click.echo("\n".join(["workkit: " + clean(lines[0]), *map(clean, lines[1:])]), err=True)


class _OneLineError(click.ClickException):
    """A usage error, in one line and a hint."""

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
    """Turn a usage error of click into our form: one line and a hint.

    If a subcommand is missing, click shows the help text as an error. That stays as it is.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    message = " ".join(error.format_message().split()).rstrip(".")
    if message.startswith(_CLICKS):
        message = message[0].lower() + message[1:]
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return _OneLineError(message, f"Try '{ctx.command_path} --help'." if ctx is not None else "")


def silence_stdout() -> None:
    """Discard buffered output, because nobody reads stdout any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
