"""Options of commands that read a recording instead of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from workkit.admin.reader import Reader
    from workkit.recording import Moment, Recording
    from workkit.tools.cli.common.options import Server

__all__ = ["moment_at", "reader_or_moment", "recorded_moment", "recording_options"]

C = TypeVar("C", bound=Callable[..., Any])


def recording_options(command: C) -> C:
    """Add --recording and --at to a command."""
    return click.option(
        "--recording",
        type=click.Path(),
        metavar="FILE",
        help="Show a file of `workkit record` instead of a server.",
    )(
        click.option(
            "--at",
            metavar="TIME",
            help="With --recording: the time to show, such as 03:12, 03:12:30, -10m or "
            "2030-01-31T09:00; by default, the last one.",
        )(command)
    )


@contextmanager
def recorded_moment(path: str, at: str | None) -> Iterator[Moment]:
    """Open a recording at a time.

    Args:
        path: The file.
        at: The time, as it was written; None for the last one.

    Raises:
        InvalidOption: The file is not a recording, or does not have the time.
    """
    from workkit.recording import Recording

    with closing(Recording(path)) as recording:
        yield moment_at(recording, at)


@contextmanager
def reader_or_moment(server: Server, path: str | None, at: str | None) -> Iterator[Reader]:
    """Open a server, or a recording at a time.

    Args:
        server: The server.
        path: The file of a recording; None for the server.
        at: The time, as it was written; None for the last one.

    Raises:
        click.UsageError: There is a time, but no recording.
    """
    if path is not None:
        with recorded_moment(path, at) as moment:
            yield moment
        return
    if at is not None:
        raise click.UsageError("--at is a time of a recording; name its file by --recording")
    with closing(server.client()) as client:
        yield client


def moment_at(recording: Recording, at: str | None) -> Moment:
    """Return the namespace as it was at a time; see `recorded_moment`."""
    from workkit.errors import InvalidOption
    from workkit.recording.times import find_time

    span = recording.span
    if span is None:
        raise InvalidOption(f"{recording.name} has no readings yet")
    return recording.moment(span[1] if at is None else find_time(at, span, span[1]))
