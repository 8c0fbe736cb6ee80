"""`workkit export`: writes frames to files."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from workkit.core.outcomes import OUTCOMES
from workkit.core.text import counted
from workkit.core.whole_file import whole_file
from workkit.tools.cli.common.options import (
    Server,
    examples,
    json_option,
    secret_options,
    server_options,
)
from workkit.tools.cli.common.output import note, print_record, raw_output
from workkit.tools.cli.common.progress import ProgressLine
from workkit.tools.cli.common.recorded import reader_or_moment, recording_options
from workkit.tools.cli.common.values import to_past

if TYPE_CHECKING:
    from workkit.frames.sources import Source

__all__ = ["export"]

#: The names in `workkit.frames`, which the help does not load.
_FRAMES: Final = (
    "history", "attempts", "journeys", "dead", "retry", "scheduled", "queues", "workers", "errors",
    "acts",
)  # fmt: skip
#: Those that are made of history.
_EXECUTIONS: Final = frozenset({"history", "attempts", "journeys"})
_FORMATS: Final = ("parquet", "csv", "jsonl", "arrow")
_BINARY: Final = frozenset({"parquet", "arrow"})


@click.command(
    epilog=examples(
        "workkit export history --since 2d --out history.parquet",
        "workkit export history --name send_email --outcome dead --until 1h --out old.csv",
        "workkit export dead --out dead.csv",
        "workkit export errors --format csv --out -",
        "workkit export acts --since 30d --out acts.csv",
        "workkit export queues --recording night.wkr --at 03:12 --out then.csv",
        "workkit export history --from /var/lib/workkit/history --out all.arrow",
    )
)
@click.argument("what", type=click.Choice(_FRAMES), metavar=f"[{'|'.join(_FRAMES)}]")
@click.option("--out", required=True, metavar="FILE", help='The file, or "-" for standard output.')
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="The format. By default, the suffix of FILE decides.",
)
@click.option(
    "--since",
    callback=to_past,
    metavar="WHEN",
    help="Only what ended, died, failed or was done at or after this: 2d ago, a time with a zone.",
)
@click.option(
    "--until",
    callback=to_past,
    metavar="WHEN",
    help="Only what ended, died, failed or was done before this.",
)
@click.option("--name", metavar="NAME", help="Only jobs of this name.")
@click.option(
    "--outcome", type=click.Choice(tuple(OUTCOMES)), help="For history: only this outcome."
)
@click.option(
    "--from",
    "path",
    type=click.Path(exists=True),
    metavar="PATH",
    help="Read a snapshot, or for history the directory of an archive, instead of a server.",
)
@secret_options
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@recording_options
@server_options
@json_option
def export(
    server: Server,
    *,
    what: str,
    out: str,
    form: str | None,
    since: float | None,
    until: float | None,
    name: str | None,
    outcome: str | None,
    path: str | None,
    redact: tuple[str, ...],
    force: bool,
    recording: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Write history, attempts, journeys, jobs, queues, workers, errors or acts to a file.

    docs/analysis.md describes the columns and types. CSV and JSON lines have times in ISO 8601 and
    spans of time in seconds. Large sets are written while they are read. Values that look like
    secrets are left out, as in snapshots.
    """
    from workkit import frames
    from workkit.frames.exporting import ExportFilter, export_tables
    from workkit.frames.files import format_of, write_tables
    from workkit.frames.sources import as_reader, is_archive
    from workkit.snapshot import SECRETS, RedactedReader, Redaction

    del frames
    _check_target(out, form, force=force, as_json=as_json)
    kind = form or format_of(out)
    if out == "-" and kind in _BINARY and sys.stdout.isatty():
        raise click.UsageError(f"{kind} is not text; redirect standard output, or name a file")
    if recording is not None and path is not None:
        raise click.UsageError("give either --from or --recording")
    if recording is not None and what in _EXECUTIONS:
        raise click.UsageError(f"a recording has no {what}, only a sample of the minutes before")
    if is_archive(path) and not set(redact) <= set(SECRETS):
        raise click.UsageError(
            f"{path} is an archive, which is exported as it was written; give --redact to "
            "workkit archive"
        )
    opened = reader_or_moment(server, recording, at)
    with opened as reader, ProgressLine() as progress:
        source: Source = path or reader
        if not is_archive(source) and what != "acts":  # the record of acts has no args
            source = RedactedReader(as_reader(source), Redaction(redact))
        tables = export_tables(
            source,
            what,
            ExportFilter(since, until, name, outcome),
            told=lambda n, of: progress.tell(f"exporting {what}", n, of),
        )
        with nullcontext(raw_output()) if out == "-" else whole_file(out) as file:
            rows = write_tables(tables, file, what, kind)
    if as_json:
        print_record({"file": out, "format": kind, "rows": rows})
    elif out != "-":
        note(f"wrote {counted(rows, 'row')} to {out}")


def _check_target(out: str, form: str | None, *, force: bool, as_json: bool) -> None:
    """Refuse a file or standard output that cannot be written as asked."""
    if out != "-" and Path(out).is_file() and not force:
        raise click.UsageError(f"{out} exists; --force replaces it")
    if out == "-" and form is None:
        raise click.UsageError("standard output has no file suffix; add --format")
    if out == "-" and as_json:
        raise click.UsageError("--json describes a file; for rows as JSON use --format jsonl")
