"""`workkit archive`: keeps history longer than Redis does."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from workkit.core.text import counted, read_span
from workkit.errors import InvalidOption, ServerError
from workkit.tools.cli.common.options import (
    Server,
    examples,
    json_option,
    secret_options,
    server_options,
)
from workkit.tools.cli.common.output import note, print_record
from workkit.tools.cli.common.progress import ProgressLine
from workkit.tools.cli.common.values import to_named

if TYPE_CHECKING:
    from types import FrameType

    from workkit.client import Client
    from workkit.frames import Archived, Compacted

__all__ = ["archive"]

_EVERY_S: Final = (1.0, 7 * 86_400.0)


def _to_age(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Parse a span of time with a unit, since 90 would be seconds, not days; returns seconds."""
    if value is None:
        return None
    span = read_span(value.strip())
    if span is None or not span[1] or span[0] <= 0:
        raise click.BadParameter(f"{value!r} is not a span with a unit; write 12h, 90d or 26w")
    return span[0]


def _to_every(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Parse the span of time between two runs; returns seconds."""
    if value is None:
        return None
    span = read_span(value.strip())
    if span is None or not _EVERY_S[0] <= span[0] <= _EVERY_S[1]:
        raise click.BadParameter(f"{value!r} is not a span of time from 1s to 7d; write 10m")
    return span[0]


@click.command(
    epilog=examples(
        "workkit archive --to /var/lib/workkit/history",
        "workkit archive --to history --every 10m --compact --keep 90d",
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
    callback=_to_every,
    metavar="SPAN",
    help="Repeat after this span of time (10m), from 1s to 7d, until Ctrl-C.",
)
@click.option(
    "--compact",
    "compacts",
    is_flag=True,
    help="Then merge the files of each day into one; with --every, of days that have ended.",
)
@click.option(
    "--keep",
    "keep_s",
    callback=_to_age,
    metavar="SPAN",
    help="Then delete what was written longer ago than this (90d).",
)
@secret_options
@click.option("--adopt", is_flag=True, help="Continue an archive of another namespace or server.")
@server_options
@json_option
def archive(
    server: Server,
    *,
    directory: str,
    every_s: float | None,
    compacts: bool,
    keep_s: float | None,
    redact: tuple[str, ...],
    adopt: bool,
    as_json: bool,
) -> None:
    """Append history to Parquet files, one folder per day. Redis keeps only bounded history.

    Each record is archived exactly once, also if the command is repeated or killed. If Redis has
    trimmed records before they were archived, the command reports the gap. It does not change the
    history in Redis. With --every, it goes on after an outage of Redis.
    """
    from workkit.engine.process.signals import SignalEvent, signals_to

    asked = SignalEvent()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        asked.set()  # an exception alone can be lost: a destructor ignores it
        raise KeyboardInterrupt

    turn = _Turn(directory, redact, adopt, compacts, keep_s, every_s is not None)
    with signals_to(interrupt, [signal.SIGINT]), closing(server.client()) as client:
        while True:
            try:
                turn.run(client, as_json=as_json)
            except ServerError as error:
                if every_s is None:
                    raise
                note(f"{error}; trying again in {every_s:g} s")
            if every_s is None:
                return
            if asked.wait(every_s):
                raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is done at once, or every few minutes."""

    directory: str
    redact: Sequence[str]
    adopt: bool
    compacts: bool
    keep_s: float | None
    repeats: bool

    def run(self, client: Client, *, as_json: bool) -> None:
        archived = self._archive(client)
        forgotten, compacted = 0, None
        try:
            if self.keep_s is not None:
                forgotten = self._forget(client.now_s() - self.keep_s)
            if self.compacts:
                compacted = self._compact()
        except InvalidOption as error:  # such as another process that compacts
            if not self.repeats:
                raise
            note(str(error))
        if as_json:
            more: dict[str, Any] = {"forgotten": forgotten} if self.keep_s is not None else {}
            if compacted is not None:
                more["compacted"] = msgspec.to_builtins(compacted)
            print_record(msgspec.to_builtins(archived) | more if more else archived)
        else:
            _say(archived, self.directory, always=not self.repeats)
            if forgotten:
                click.echo(f"deleted {counted(forgotten, 'execution')} because of their age")
            if compacted is not None and (compacted.days or not self.repeats):
                _say_compacted(compacted)

    def _archive(self, client: Client) -> Archived:
        from workkit import frames
        from workkit.frames.archive_changes import ArchiveBusy

        try:
            with ProgressLine() as progress:
                told = partial(progress.tell, "archiving")
                return frames.archive(
                    client, self.directory, adopt=self.adopt, redact=self.redact, told=told
                )
        except ArchiveBusy as error:
            if not self.compacts and self.keep_s is None:
                raise
            note(f"{error}; it archives what is new")
            return frames.Archived()

    def _forget(self, before_s: float) -> int:
        from workkit import frames

        return frames.forget(self.directory, before_s)

    def _compact(self) -> Compacted:
        from workkit import frames

        with ProgressLine() as progress:
            told = partial(progress.tell, "compacting")
            return frames.compact(self.directory, ended=self.repeats, told=told)


def _say(run: Archived, directory: str, *, always: bool) -> None:
    if not run.records and not always:
        return
    ran, files = counted(run.records, "execution"), counted(run.files, "file")
    click.echo(f"archived {ran} to {directory} ({files})")
    for gap in run.gaps:
        note(f"gap: {gap}")
    if run.unreadable:
        lost = counted(run.unreadable, "execution")
        note(f"{lost} could not be read: newer format, or damaged")


def _say_compacted(run: Compacted) -> None:
    if run.days:
        merged, days = counted(run.merged, "file"), counted(run.days, "day")
        click.echo(f"merged {merged} of {days} into {run.files:,}")
    else:
        click.echo("each day has one file")
