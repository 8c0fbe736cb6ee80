"""`workkit snapshot`: writes a namespace to one file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from workkit.tools.cli.common.options import (
    Server,
    examples,
    json_option,
    secret_options,
    server_options,
)
from workkit.tools.cli.common.output import print_record
from workkit.tools.cli.common.progress import ProgressLine

__all__ = ["snapshot"]


@click.command(
    epilog=examples(
        "workkit snapshot incident.snapshot",
        "workkit snapshot incident.snapshot --redact '*email*' --redact iban",
        "workkit export dead --from incident.snapshot --out dead.csv",
    )
)
@click.argument("file", type=click.Path(dir_okay=False))
@secret_options
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@server_options
@json_option
def snapshot(
    server: Server,
    *,
    file: str,
    redact: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Write the state of a namespace to one file, which can be read without the server.

    The file has queues, pools, workers, cron entries, jobs and history, and the time at which each
    was read. A job that moves during this time may be in the file twice or not at all. Only you can
    read the file.
    """
    from workkit.snapshot import Redaction, write_snapshot

    if file == "-":
        raise click.UsageError("a snapshot is a database, so it needs a file; name one")
    redaction = Redaction(redact)
    with closing(server.client()) as client, ProgressLine() as progress:
        about = write_snapshot(
            client,
            file,
            redaction=redaction,
            replace=force,
            told=lambda what, done, total: progress.tell(f"reading {what}", done, total),
        )
    if as_json:
        print_record(about)
        return
    size_mb = Path(file).stat().st_size / 1e6
    click.echo(f"wrote {about.label} to {file} ({size_mb:,.1f} MB)")
    if about.redacted:
        click.echo(f"left out the values of {', '.join(about.redacted)}", err=True)
