"""Options of commands that read a recording instead of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from workkit.core.text import age
from workkit.tools.cli.common.options import now_s
from workkit.tools.cli.common.output import note

if TYPE_CHECKING:
    from workkit.admin.reader import Reader
    from workkit.recording import Moment, Recording
    from workkit.tools.cli.common.options import Server

__all__ = [
    "moment_at",
    "note_of_lists",
    "opened_reader",
    "reader_or_moment",
    "recorded_moment",
    "recording_options",
    "time_of",
]

#: Older lists are told, seconds.
_LATE_S: Final = 2
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


def opened_reader(
    server: Server, snapshot: str | None, recording: str | None, at: str | None
) -> AbstractContextManager[Reader]:
    """Open a server, or the file of a snapshot or a recording."""
    if recording is not None:
        return recorded_moment(recording, at)
    if snapshot is None:
        return closing(server.client())
    from workkit.snapshot import Snapshot

    return closing(Snapshot(snapshot))


def time_of(reader: Reader) -> int:
    """Return the time for computing ages: of this machine, or of the recording."""
    return now_s() if reader.live else int(reader.now_s())


def note_of_lists(reader: Reader) -> None:
    """Say when the lists of a recording were read, if that was not at the time that is shown."""
    from workkit.recording import Moment

    if not isinstance(reader, Moment):
        return
    if reader.details_at_s is None:
        note("up to this time, jobs, workers and acts were not recorded")
    elif (before_s := int(reader.now_s() - reader.details_at_s)) >= _LATE_S:
        note(f"jobs, workers and acts are of {age(before_s)} before that time")


def moment_at(recording: Recording, at: str | None) -> Moment:
    """Return the namespace as it was at a time; see `recorded_moment`."""
    from workkit.errors import InvalidOption
    from workkit.recording.times import find_time

    span = recording.span
    if span is None:
        raise InvalidOption(f"{recording.name} has no readings yet")
    return recording.moment(span[1] if at is None else find_time(at, span, span[1]))
