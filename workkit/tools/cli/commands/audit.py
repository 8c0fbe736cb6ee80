"""`workkit audit`: checks history against the rules that it can show."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import counted, stamp
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import (
    TableColumn,
    note,
    print_record,
    print_table,
)
from workkit.tools.cli.common.progress import ProgressLine
from workkit.tools.cli.common.sources import opened, source_label
from workkit.tools.cli.common.values import to_past, to_seconds

if TYPE_CHECKING:
    from workkit.frames import Audit

__all__ = ["audit"]

#: A rule is broken.
_BROKEN: Final = 1
_COLUMNS: Final = (
    TableColumn("RULE"),
    TableColumn("WHEN"),
    TableColumn("NAME"),
    TableColumn("JOB ID"),
    TableColumn("WHAT"),
)


def _to_backoff(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> float | str | None:
    """Parse a delay, or "default"."""
    return value if value == "default" else to_seconds(ctx, param, value)


def _to_limits(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, int]:
    """Parse limits such as mail=2."""
    limits = {}
    for value in values:
        name, equals, limit = value.rpartition("=")  # a name may hold "="
        if not equals or not name or not (limit.isascii() and limit.isdecimal()):
            raise click.BadParameter(f"{value!r} is not valid; write NAME=N, such as mail=2")
        limits[name] = int(limit)
    return limits


@click.command(
    epilog=examples(
        "workkit audit",
        "workkit audit /var/lib/workkit/history",
        "workkit audit incident.snapshot --backoff default",
        "workkit audit history.parquet --limit mail=2 --since 7d --json",
    )
)
@click.argument("source", required=False)
@click.option(
    "--since",
    callback=to_past,
    metavar="WHEN",
    help="Only executions that ended at or after this: 15m, 2h or 1d ago, a time with a zone.",
)
@click.option("--until", callback=to_past, metavar="WHEN", help="Only those that ended before.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    callback=_to_limits,
    metavar="NAME=N",
    help="The max_concurrency of a job. A server and a snapshot know it.",
)
@click.option(
    "--backoff",
    callback=_to_backoff,
    metavar="SPAN",
    help='The shortest delay before a retry, or "default" for the engine\'s own backoff.',
)
@click.option(
    "--slack",
    "slack_s",
    callback=to_seconds,
    default="2",
    show_default=True,
    metavar="SPAN",
    help="How far the clocks of two hosts may differ.",
)
@click.option("--go", is_flag=True, help="Go pools run jobs too, and write no history.")
@click.option(
    "--show",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="N",
    help="Show N findings of each rule.",
)
@server_options
@json_option
@click.pass_context
def audit(
    ctx: click.Context,
    /,
    server: Server,
    *,
    source: str | None,
    since: float | None,
    until: float | None,
    limits: dict[str, int],
    backoff: Any,
    slack_s: float,
    go: bool,
    show: int,
    as_json: bool,
) -> None:
    """Check history against the rules that it can show.

    SOURCE is the directory of an archive, a snapshot, an exported file or the URL of a server; by
    default the server of --redis. The rules: no job and no record is lost or comes twice, retries
    follow their failures, cron slots come once and in time, limits hold, and queues are served in
    their order.

    Exits with 1 if a rule is broken.
    """
    from workkit import frames

    where = source or server.redis
    with ExitStack() as stack:
        opening = opened(where, server.namespace)
        read = stack.enter_context(opening)
        progress = stack.enter_context(ProgressLine())
        found = frames.audit(
            read, since=since, until=until, limits=limits, backoff=backoff, slack_s=slack_s,
            go=go or None, most=show, told=partial(progress.tell, "reading executions"),
        )  # fmt: skip
    label = source_label(where, server.namespace)
    if as_json:
        print_record(_document(label, found))
    else:
        _print(label, found)
    ctx.exit(0 if found.clean else _BROKEN)


def _document(label: str, found: Audit) -> dict[str, Any]:
    return {
        "source": label,
        "records": found.records,
        "jobs": found.jobs,
        "first": found.first,
        "last": found.last,
        "counts": found.counts,
        "findings": [each._asdict() for each in found.findings],
        "notes": found.notes,
    }


def _print(label: str, found: Audit) -> None:
    from workkit.frames import RULES

    ran, jobs = counted(found.records, "execution"), counted(found.jobs, "job")
    span = ""
    if found.first is not None and found.last is not None:
        span = f", {stamp(found.first)} to {stamp(found.last)}"
    click.echo(f"{label}: {ran} of {jobs}{span}")
    rows = [
        [
            each.rule,
            stamp(each.at) if each.at is not None else "",
            each.name,
            each.job_id,
            each.what,
        ]
        for each in found.findings
    ]
    if rows:
        click.echo()
        print_table(_COLUMNS, rows)
    click.echo()
    for rule, count in found.counts.items():
        click.echo(f"{rule}: {counted(count, 'finding')}; the rule is: {RULES[rule]}")
    if found.clean:
        click.echo("all rules hold" if found.records else "there is nothing to check")
    for each in found.notes:
        note(each)


def _when(at_s: float | None) -> str:
    return "" if at_s is None else stamp(at_s)
