"""`workkit archive`: keeps history longer than Redis does."""

from __future__ import annotations

import signal
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from workkit.core.text import counted
from workkit.errors import ServerError
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import note, print_record
from workkit.tools.cli.common.progress import ProgressLine
from workkit.tools.cli.common.values import to_named, to_seconds

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
    callback=to_named,
    metavar="DIR",
    help="The directory of the archive. It is created if necessary.",
)
@click.option(
    "--every",
    "every_s",
    callback=to_seconds,
    metavar="SPAN",
    help="Repeat after this span of time (10m), until Ctrl-C.",
)
@click.option(
    "--redact",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Also leave out the values of these keys of args (* and ?, any case).",
)
@click.option(
    "--keep-secrets",
    is_flag=True,
    help="Keep the values of keys such as *password* and *token*, which are left out by default.",
)
@click.option("--adopt", is_flag=True, help="Continue an archive of another namespace or server.")
@server_options
@json_option
def archive(
    server: Server,
    *,
    directory: str,
    every_s: float | None,
    patterns: tuple[str, ...],
    keep_secrets: bool,
    adopt: bool,
    as_json: bool,
) -> None:
    """Append history to Parquet files, one folder per day. Redis keeps only bounded history.

    Each record is archived exactly once, also if the command is repeated or killed. If Redis has
    trimmed records before they were archived, the command reports the gap. It does not change the
    history in Redis. With --every, it goes on after an outage of Redis.
    """
    from workkit import frames
    from workkit.engine.process.signals import SignalEvent, signals_to
    from workkit.snapshot import SECRETS

    redact = (*(() if keep_secrets else SECRETS), *patterns)

    asked = SignalEvent()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        asked.set()  # an exception alone can be lost: a destructor ignores it
        raise KeyboardInterrupt

    with signals_to(interrupt, [signal.SIGINT]), closing(server.client()) as client:
        while True:
            try:
                with ProgressLine() as progress:
                    told = partial(progress.tell, "archiving")
                    run = frames.archive(client, directory, adopt=adopt, redact=redact, told=told)
            except ServerError as error:
                if every_s is None:
                    raise
                note(f"{error}; trying again in {every_s:g} s")
            else:
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
        note(f"{lost} could not be read: newer format, or damaged")
