"""Exit codes, one for each kind of outcome, and error messages of one line."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from typing import IO, Any, Final

import click

from workkit.errors import (
    InvalidQuery,
    NoStack,
    NotDeleted,
    NotEdited,
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
    "UNWRITTEN",
    "USAGE",
    "code_of",
    "complain",
    "complain_of_system",
    "one_line",
    "open_streams",
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
#: The output could not be written (EX_IOERR).
UNWRITTEN: Final = 74
#: The worker stopped by itself and must be started again (EX_TEMPFAIL).
REPLACE: Final = 75
#: Shells report these codes for SIGINT and SIGPIPE.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

_STDERR: Final = 2
#: What a write to a full or broken disk is refused with.
_OF_OUTPUT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
_CODES: Final[tuple[tuple[type[WorkkitError], int], ...]] = (
    (NoStack, NOT_FOUND),
    (NotDeleted, NOT_FOUND),
    (NotEdited, NOT_FOUND),
    (NotRetried, NOT_FOUND),
    (NotUndone, NOT_FOUND),
    (ServerUnavailable, UNAVAILABLE),
    (ServerRefused, REFUSED),
)


#: click's names of types → ours.
_TYPES: Final = re.compile(r"is not a valid (integer|float)(?: range)?(?=\.?$)")
_NUMBERS: Final = {"integer": "a whole number", "float": "a number"}
#: The first words of click's own messages.
_CLICKS: Final = ("Could not", "Got unexpected", "Invalid value", "Missing", "No such", "Option")


def code_of(error: WorkkitError) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), USAGE)


def complain(message: object) -> None:
    """Write an error to stderr in one line. Below an invalid query, a mark shows the place."""
    from workkit.core.text import clean

    lines = str(message).split("\n") if isinstance(message, InvalidQuery) else [str(message)]
    with contextlib.suppress(OSError):  # nobody can read it, but the exit code tells
        click.echo("\n".join(["workkit: " + clean(lines[0]), *map(clean, lines[1:])]), err=True)


def complain_of_system(error: OSError) -> None:
    """Say that the system refused to read or write, and discard what is left of the output."""
    where = "cannot write the output" if error.errno in _OF_OUTPUT else "the system refused"
    if error.filename is not None:
        where = str(error.filename)
    complain(f"{where}: {error.strerror or error}")
    silence_stdout()


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
    message = _TYPES.sub(lambda found: f"is not {_NUMBERS[found[1]]}", message)
    if message.startswith(_CLICKS):
        message = message[0].lower() + message[1:]
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return _OneLineError(message, f"Try '{ctx.command_path} --help'." if ctx is not None else "")


def silence_stdout() -> None:
    """Discard buffered output, because nobody reads stdout any more."""
    with contextlib.suppress(OSError, ValueError):  # such as a stream without a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def open_streams() -> None:
    """Replace standard streams that were closed, as by ``>&-``, by ones that lead nowhere.

    Else a socket would get the number of such a stream, and what others write there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)
    for at, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(at, "w" if at else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
