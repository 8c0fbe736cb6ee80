"""`workkit archive`: history that outlives its bounds."""

from __future__ import annotations

import signal
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from workkit.core.text import counted
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import note, print_record
from workkit.tools.cli.common.progress import ProgressLine
from workkit.tools.cli.common.values import to_seconds

if TYPE_CHECKING:
    from types import FrameType

    from workkit.frames import Archived

__all__ = ["archive"]


@click.command(
    epilog=examples(
        "workkit archive --to /var/lib/workkit/history",
        "workkit archive --to history --every 10m",
        """python -c 'from workkit import frames; print(frames.history("history"))'""",
    )
)
@click.option(
    "--to",
    "directory",
    required=True,
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="The archive; made if it does not exist.",
)
@click.option(
    "--every",
    "every_s",
    callback=to_seconds,
    metavar="SPAN",
    help="Go on, once in this span of time (10m), until Ctrl-C.",
)
@click.option(
    "--adopt", is_flag=True, help="Go on with an archive that was made under another name."
)
@server_options
@json_option
def archive(
    server: Server, *, directory: str, every_s: float | None, adopt: bool, as_json: bool
) -> None:
    """Append history to Parquet files, a folder a day, so that it outlives its bounds.

    Each record is archived exactly once, however often this runs and however it ends. Records that
    history has lost before they could be archived are named. History itself stays as it is.
    """
    from workkit import frames
    from workkit.engine.process.signals import SignalEvent, signals_to

    asked = SignalEvent()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        asked.set()  # the error alone can get lost, in a destructor for one
        raise KeyboardInterrupt

    with signals_to(interrupt, [signal.SIGINT]), closing(server.client()) as client:
        while True:
            with ProgressLine() as progress:
                told = partial(progress.tell, "archiving")
                run = frames.archive(client, directory, adopt=adopt, told=told)
            if as_json:
                print_record(run)
            elif run.records or every_s is None:
                _say(run, directory)
            if every_s is None:
                return
            if asked.wait(every_s):
                raise KeyboardInterrupt


def _say(run: Archived, directory: str) -> None:
    ran, files = counted(run.records, "execution"), counted(run.files, "file")
    click.echo(f"archived {ran} to {directory} ({files})")
    for gap in run.gaps:
        note(f"gap: {gap}")
    if run.unreadable:
        lost = counted(run.unreadable, "execution")
        note(f"{lost} could not be read: of a later format, or damaged")
