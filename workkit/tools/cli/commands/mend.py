"""`workkit retry`, `delete`, `pause` and `unpause`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import clean
from workkit.tools.cli.commands.bulk import act, bulk_options, to_throttle
from workkit.tools.cli.commands.by_id import act_on, found_anywhere, found_in
from workkit.tools.cli.common.nothing import unknown
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import note, print_records
from workkit.tools.cli.common.values import to_job_ids

if TYPE_CHECKING:
    from workkit.admin.query import Query
    from workkit.client import Client
    from workkit.core.records import Kind

__all__ = ["delete", "pause", "retry", "unpause"]

_SETS: Final = ("scheduled", "retry", "dead")


# Retry.


@click.command(
    epilog=examples(
        "workkit retry 6f1c0a6e5d9b4f3a8e7d2c1b",
        "workkit retry --filter 'queue:mail error:timeout age:<1h'",
        "workkit retry --all --per-second 20",
        "workkit retry --all --from retry --dry-run",
    )
)
@click.argument("job_ids", callback=to_job_ids, metavar="[JOB_ID]...", nargs=-1)
@click.option(
    "--at",
    type=int,
    metavar="EPOCH",
    help="When the job died: `died_at` of `jobs dead --json`. Avoids a search of a large set.",
)
@click.option(
    "--from",
    "place",
    type=click.Choice(_SETS),
    help="With --filter or --all: the set that holds the jobs. [default: dead]",
)
@click.option(
    "--per-second",
    "per_s",
    type=float,
    metavar="N",
    help="With --filter or --all: retry 1 job, then 10, then N per second.",
)
@click.option(
    "--max-failures",
    type=float,
    metavar="PERCENT",
    help="With --per-second: stop if more than this fail. [default: 20]",
)
@bulk_options
@server_options
def retry(
    server: Server,
    *,
    job_ids: tuple[str, ...],
    at: int | None,
    place: Kind | None,
    per_s: float | None,
    max_failures: float | None,
    query: Query | None,
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put dead jobs back into their queues, as if they had never failed.

    A unique job takes its key again. If a newer job holds the key, the retried job is no longer
    unique. With --from retry or scheduled, jobs run now instead of later. `workkit undo` takes back
    the jobs that have not begun, for an hour. The exit code is 1 if a job was not retried.
    """
    many = everything or query is not None
    _check_choice(job_ids, at, many=many)
    throttle = to_throttle(per_s, max_failures)
    if many:
        act(
            server, "retry", place or "dead", query=query, dry_run=dry_run, yes=yes,
            as_json=as_json, throttle=throttle,
        )  # fmt: skip
        return
    _check_single(place or throttle, dry_run=dry_run)
    from workkit.core.records import Place

    with closing(server.client()) as client:
        act_on(client, "retry", found_in(client, Place("dead"), job_ids, at), as_json=as_json)


# Delete.


@click.command(
    epilog=examples(
        "workkit delete 6f1c0a6e5d9b4f3a8e7d2c1b",
        "workkit delete 6f1c0a6e5d9b4f3a8e7d2c1b --queue send_email",
        "workkit delete --from dead --filter 'queue:mail died:>30d'",
        "workkit delete --all --from dead --dry-run",
    )
)
@click.argument("job_ids", callback=to_job_ids, metavar="[JOB_ID]...", nargs=-1)
@click.option(
    "--from",
    "place",
    type=click.Choice(_SETS),
    help="The set that holds the jobs. By default, all queues and sets are searched.",
)
@click.option("--queue", metavar="NAME", help="The queue that holds the jobs.")
@click.option(
    "--at",
    type=int,
    metavar="EPOCH",
    help="With --from: the time of the job in the set, from `jobs ... --json`. Avoids a search.",
)
@bulk_options
@server_options
def delete(
    server: Server,
    *,
    job_ids: tuple[str, ...],
    place: Kind | None,
    queue: str | None,
    at: int | None,
    query: Query | None,
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete jobs from a queue or a set, and free their unique keys.

    A running job cannot be deleted. `workkit undo` brings deleted jobs back, for a day. The exit
    code is 1 if a job was not deleted.
    """
    many = everything or query is not None
    _check_choice(job_ids, at, many=many)
    _check_place(place, queue, at, many=many)
    if many:
        act(
            server, "delete", place or "queued", queue=queue or "", query=query,
            dry_run=dry_run, yes=yes, as_json=as_json,
        )  # fmt: skip
        return
    _check_single(None, dry_run=dry_run)
    from workkit.core.records import Place

    with closing(server.client()) as client:
        if place is None and queue is None:
            findings = found_anywhere(client, job_ids)
        else:
            where = Place(place or "queued", queue or "")
            findings = found_in(client, where, job_ids, at)
        act_on(client, "delete", findings, as_json=as_json)


def _check_place(place: str | None, queue: str | None, at: int | None, *, many: bool) -> None:
    if place is not None and queue is not None:
        raise click.UsageError("give either --from or --queue")
    if at is not None and place is None:
        raise click.UsageError("--at needs --from: it is the time of a job in a set")
    if many and place is None and queue is None:
        raise click.UsageError("--all and --filter need --from or --queue")


# Shared by both.


def _check_choice(job_ids: Sequence[str], at: int | None, *, many: bool) -> None:
    if many and (job_ids or at is not None):
        raise click.UsageError("--all and --filter cannot be combined with job ids or --at")
    if not many and not job_ids:
        raise click.UsageError("give job ids, --filter or --all")
    if at is not None and len(job_ids) != 1:
        raise click.UsageError("--at is the time of one job: give one job id")


def _check_single(of_many: object, *, dry_run: bool) -> None:
    """Refuse options that only --filter and --all have."""
    if of_many or dry_run:
        raise click.UsageError(
            "job ids cannot be combined with --dry-run, --per-second or `retry --from`; "
            "use --filter id:ID instead"
        )


# Pause.


@click.command(epilog=examples("workkit pause send_email", "workkit pause export import_rows"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@server_options
@json_option
def pause(server: Server, *, names: tuple[str, ...], as_json: bool) -> None:
    """Stop all pools, including Go pools, from taking jobs called NAME.

    Running jobs continue. New jobs can still be enqueued.
    """

    def paused(client: Client) -> Iterator[dict[str, Any]]:
        for name in names:
            client.pause(name)
            if not as_json:
                click.echo(f"paused {clean(name)}")
            if strange := unknown(server, client, name):
                end = "" if strange.endswith("?") else "."
                note(f"{strange}{end} It is paused anyway.")
            yield {"job_name": name, "paused": True}

    _switch(server, paused, as_json=as_json)


@click.command(epilog=examples("workkit unpause send_email"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@server_options
@json_option
def unpause(server: Server, *, names: tuple[str, ...], as_json: bool) -> None:
    """Let pools take jobs called NAME again."""

    def unpaused(client: Client) -> Iterator[dict[str, Any]]:
        for name in names:
            was_paused = client.unpause(name)
            if not was_paused:
                note(unknown(server, client, name) or f"{name} was not paused")
            elif not as_json:
                click.echo(f"unpaused {clean(name)}")
            yield {"job_name": name, "paused": False, "was_paused": was_paused}

    _switch(server, unpaused, as_json=as_json)


def _switch(
    server: Server, switched: Callable[[Client], Iterator[dict[str, Any]]], *, as_json: bool
) -> None:
    """Pause or unpause names one after the other, and print a record of each if asked."""
    with closing(server.client()) as client:
        records = []
        try:
            for record in switched(client):
                records.append(record)  # noqa: PERF402 - keeps those before an error
        finally:
            if as_json and records:
                print_records(records)
