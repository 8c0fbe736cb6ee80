"""`workkit history`: shows executions of jobs."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from workkit.core.outcomes import OUTCOMES
from workkit.core.text import age, clean, counted, pad, stamp, took
from workkit.tools.cli.common.nothing import explain
from workkit.tools.cli.common.options import Server, examples, json_option, now_s, server_options
from workkit.tools.cli.common.output import (
    TableColumn,
    note,
    print_record,
    print_records,
    print_table,
)
from workkit.tools.cli.common.recorded import reader_or_moment, recording_options, time_of
from workkit.tools.cli.common.values import to_count, to_job_id, to_past

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workkit.admin.reader import Reader
    from workkit.admin.steps.history import HistoryExtent, HistoryRecord

__all__ = ["history"]

_FAILURES: Final = "a recording has failures and a sample of the executions of the minutes before"
_LEVEL_COLORS: Final = {"warning": "yellow", "error": "red"}
_COLORS: Final[dict[str, str]] = {
    outcome: _LEVEL_COLORS[rule.level]
    for outcome, rule in OUTCOMES.items()
    if rule.level in _LEVEL_COLORS
}
_COLUMNS: Final = (
    TableColumn("AGO", right=True),
    TableColumn("JOB ID"),
    TableColumn("NAME"),
    TableColumn("OUTCOME", colors=_COLORS),
    TableColumn("TOOK", right=True),
    TableColumn("ERROR"),
)


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[tail ...]",
    epilog=examples(
        "workkit history",
        "workkit history --since 15m --outcome retry",
        "workkit history --name send_email --limit 200",
        "workkit history --job 6f1c0a6e5d9b4f3a8e7d2c1b --json",
        "workkit history tail --outcome dead",
    ),
)
@click.option(
    "--since",
    callback=to_past,
    metavar="WHEN",
    help="Ended at or after this: 15m, 2h or 1d ago, a time with a zone, epoch seconds.",
)
@click.option("--until", callback=to_past, metavar="WHEN", help="Ended before this.")
@click.option("--name", metavar="NAME", help="Only jobs of this name.")
@click.option("--outcome", type=click.Choice(tuple(OUTCOMES)), help="Only this outcome.")
@click.option("--job", "job_id", callback=to_job_id, metavar="JOB_ID", help="Only this job.")
@click.option(
    "--limit",
    type=int,
    callback=to_count,
    default=50,
    show_default=True,
    metavar="N",
    help="Only the newest N executions that match.",
)
@recording_options
@server_options
@json_option
@click.pass_context
def history(
    ctx: click.Context,
    server: Server,
    *,
    since: float | None,
    until: float | None,
    name: str | None,
    outcome: str | None,
    job_id: str | None,
    limit: int,
    recording: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Show the executions of jobs, the newest last.

    Each line is one execution. A job that was retried has several lines. "postponed": the handler
    asked for a later run, which is not a failure. "returned": the pool stopped and gave the job
    back unfinished. "recovered": the pool of the job died. "fenced": another pool had recovered
    the job, so this result did not count.
    """
    if ctx.invoked_subcommand is not None:
        return
    with reader_or_moment(server, recording, at) as reader:
        walk = reader.history(since=since, until=until, name=name, outcome=outcome)
        wanted = (record for record in walk if job_id is None or record.job_id == job_id)
        records = list(islice(wanted, limit))[::-1]
        if as_json:
            print_records(records)
        else:
            now = time_of(reader)
            print_table(_COLUMNS, [_row(record, now) for record in records])
        if not records:
            explain(server, reader, _no_match(reader) if reader.live else _FAILURES)
        elif as_json:
            return
        elif len(records) == limit:
            note(f"showing the newest {limit}; --limit N shows more")
        elif not reader.live:
            note(_FAILURES)
        elif lost := _lost(reader.history_extent(), since):
            note(lost)


@history.command(
    epilog=examples(
        "workkit history tail",
        "workkit history tail --outcome dead",
        "workkit history tail --name send_email --lines 0 --json | jq .error",
    )
)
@click.option("--name", metavar="NAME", help="Only jobs of this name.")
@click.option("--outcome", type=click.Choice(tuple(OUTCOMES)), help="Only this outcome.")
@click.option(
    "--lines",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    metavar="N",
    help="First show the newest N executions.",
)
@server_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def tail(
    server: Server, *, name: str | None, outcome: str | None, lines: int, as_json: bool
) -> None:
    """Show executions when they end, until Ctrl-C.

    The command reads history once a second. An execution appears when its pool has recorded it.
    """
    from workkit.tools.cli.common.following import follow

    with closing(server.client()) as client:
        for record in follow(client, name, outcome, lines):
            if as_json:
                print_record(record)
            else:
                click.echo(_line(record))


def _no_match(reader: Reader) -> str:
    extent = reader.history_extent()
    if not extent.kept:
        return "no job has run yet" if not extent.written else "all history has been trimmed"
    lost = _lost(extent, None)
    return f"no match in {counted(extent.kept, 'execution')} of history" + (lost and f"; {lost}")


def _lost(extent: HistoryExtent, since: float | None) -> str:
    """Return a note on executions that were trimmed, if the user may have wanted them."""
    if not extent.trimmed or (since is not None and since * 1_000 > extent.since_ms > 0):
        return ""
    reaches = f"history reaches back {age(now_s() - extent.since_ms // 1_000)}"
    trimmed = counted(extent.trimmed, "older execution was", "older executions were")
    return f"{reaches}; {trimmed} trimmed"


def _row(record: HistoryRecord, now: int) -> Sequence[str]:
    why = record.error or record.reason
    return (
        age(now - record.finished_ms // 1000),
        record.job_id,
        record.name,
        record.outcome,
        took(record.finished_ms - record.started_ms) if record.started_ms else "-",
        why,
    )


def _line(record: HistoryRecord) -> str:
    at = stamp(record.finished_ms / 1_000)[11:19]
    ran = took(record.finished_ms - record.started_ms) if record.started_ms else "-"
    outcome = click.style(pad(record.outcome, 9), fg=_COLUMNS[3].colors.get(record.outcome))
    why = record.error or record.reason
    return f"{at}  {pad(record.job_id, 24)}  {outcome}  {pad(ran, 8, right=True)}  " + clean(
        f"{record.name}  {why}".rstrip()
    )
