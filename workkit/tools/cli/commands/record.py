"""`workkit record`: records what the console shows."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from workkit.core.clock import SystemClock
from workkit.core.text import age, clean, read_span
from workkit.errors import InvalidOption, ServerError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import Server, examples, mask_options, server_options
from workkit.tools.cli.common.output import note
from workkit.tools.cli.common.stopping import stopped_by_signals
from workkit.tools.cli.common.values import to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from workkit.recording import Observer, Recorder

__all__ = ["record"]

#: The bounds of the time between two readings, and of the time that is kept, seconds.
_EVERY_S: Final = (0.5, 600.0)
_KEEP_S: Final = (60.0, 90 * 86_400.0)
_LEAST_BYTES: Final = 1 << 20


def _to_every(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    span = read_span(value.strip())
    if span is None or not _EVERY_S[0] <= span[0] <= _EVERY_S[1]:
        raise click.BadParameter(f"{value!r} is not a span of time from 0.5s to 10m; write 2s")
    return span[0]


def _to_keep(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    span = read_span(value.strip())
    if span is None or not _KEEP_S[0] <= span[0] <= _KEEP_S[1]:
        raise click.BadParameter(f"{value!r} is not a span of time from 1m to 90d; write 24h")
    return span[0]


@click.command(
    epilog=examples(
        "workkit record night.wkr",
        "workkit record week.wkr --every 10s --keep 7d --max-size 200M",
        "workkit top --recording night.wkr --at 03:12",
    )
)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--every",
    "every_s",
    default="2s",
    show_default=True,
    callback=_to_every,
    metavar="SPAN",
    help="How often to read, from 0.5s to 10m.",
)
@click.option(
    "--keep",
    "keep_s",
    default="24h",
    show_default=True,
    callback=_to_keep,
    metavar="SPAN",
    help="Remove what is older, from 1m to 90d.",
)
@click.option(
    "--max-size",
    "most_bytes",
    default="50M",
    show_default=True,
    callback=to_bytes,
    metavar="SIZE",
    help="Remove the oldest where the file would grow beyond this; write 500M or 1.5G.",
)
@mask_options
@server_options
def record(
    server: Server,
    *,
    file: str,
    every_s: float,
    keep_s: float,
    most_bytes: int,
    masks: tuple[str, ...],
    masks_also: tuple[str, ...],
) -> None:
    """Record what the console shows, so that `workkit top --recording FILE` shows it again.

    The file has each reading of queues, pools and counts, and less often the busy workers, the
    first jobs of each queue and set, cron entries and acts. Values that look like secrets are
    hidden before they are written. Only you can read the file. It stays whole if the recorder is
    killed; started again with the same file, the recorder goes on.

    The recorder goes on while the server is away. SIGTERM and Ctrl-C end it with exit code 0. It
    ends with 74 if the file can no longer be written.
    """
    from workkit.core.masks import Masks
    from workkit.core.secrets import SECRETS
    from workkit.recording import Observer, Recorder, RecordingWriter

    if file == "-":
        raise click.UsageError("a recording is a database, so it needs a file; name one")
    if most_bytes < _LEAST_BYTES:
        raise click.UsageError("--max-size must be 1M or more")
    hidden = Masks((*(masks or SECRETS), *masks_also))
    with closing(server.client()) as client, stopped_by_signals() as stopped_within:
        observer = Observer(client)
        first = observer.read()  # reports a wrong address before the file is made
        writer = RecordingWriter(
            file, client.label, every_s=every_s, keep_s=keep_s, most_bytes=most_bytes
        )
        with closing(Recorder(client, writer, hidden)) as recorder, closing(observer):
            note(
                f"recording {client.label} to {clean(file)} every {every_s:g} s; keeping the last "
                f"{age(keep_s)}, at most {most_bytes / 2**20:,.0f} MiB; Ctrl-C ends it"
            )
            try:
                recorder.record(*first)
                _follow(observer, recorder, lambda: stopped_within(every_s))
            except InvalidOption as error:  # the disk is full, or the file was removed
                exits.complain(error)
                click.get_current_context().exit(exits.UNWRITTEN)


def _follow(observer: Observer, recorder: Recorder, stopped: Callable[[], bool]) -> None:
    """Record until a stop, also while the server does not answer."""
    is_away, is_short = False, False
    while not stopped():
        try:
            recorder.record(*observer.read())
        except ServerError as error:
            if not is_away:
                note(f"{clean(str(error))}; the recorder tries again")
            is_away = True
            recorder.lost(SystemClock().read().epoch_ms / 1_000, str(error))
        else:
            if is_away:
                note("the server answers again")
            is_away = False
        if recorder.is_short_of_bytes and not is_short:
            is_short = True
            note("the file is full before --keep is over; the oldest readings are removed")
