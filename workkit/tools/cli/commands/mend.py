"""`workkit retry`, `delete`, `pause` and `unpause`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from workkit.core.text import clean
from workkit.errors import NotDeleted, NotRetried
from workkit.tools.cli.commands.bulk import act, bulk_options, to_throttle
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.nothing import unknown
from workkit.tools.cli.common.options import Server, examples, server_options
from workkit.tools.cli.common.output import note

if TYPE_CHECKING:
    from workkit.admin.query import Query
    from workkit.client import Client
    from workkit.core.job import Job
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
@click.argument("job_ids", metavar="[JOB_ID]...", nargs=-1)
@click.option(
    "--at",
    type=int,
    metavar="EPOCH",
    help="When it died (`died_at` of `jobs dead --json`); saves a walk through a large set.",
)
@click.option(
    "--from",
    "place",
    type=click.Choice(_SETS),
    help="With --filter or --all: the set. [default: dead]",
)
@click.option(
    "--per-second",
    "per_s",
    type=float,
    metavar="N",
    help="With --filter or --all: first 1, then 10, then N a second.",
)
@click.option(
    "--max-failures",
    type=float,
    metavar="PERCENT",
    help="With --per-second: stop if more of them fail. [default: 20]",
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

    A unique job takes its key again; where a newer job holds it, it runs without being unique. The
    exit code is 1 if one of the jobs is not dead any more. With --from retry or scheduled, jobs run
    now instead of later. `workkit undo` takes back those that have not begun.
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
    _check_single(place or throttle, dry_run=dry_run, as_json=as_json)
    with closing(server.client()) as client:

        def revive(died_at: int, job_id: str) -> None:
            client.retry_dead_job(died_at, job_id)
            click.echo(f"retried {clean(job_id)}")

        _each_member(client, "dead", job_ids, at, revive, NotRetried)


# Delete.


@click.command(
    epilog=examples(
        "workkit delete 6f1c0a6e5d9b4f3a8e7d2c1b",
        "workkit delete 6f1c0a6e5d9b4f3a8e7d2c1b --queue send_email",
        "workkit delete --from dead --filter 'queue:mail died:>30d'",
        "workkit delete --all --from dead --dry-run",
    )
)
@click.argument("job_ids", metavar="[JOB_ID]...", nargs=-1)
@click.option(
    "--from",
    "place",
    type=click.Choice(_SETS),
    help="The set that holds it; without, it is looked for everywhere.",
)
@click.option("--queue", metavar="NAME", help="The queue that holds it.")
@click.option(
    "--at",
    type=int,
    metavar="EPOCH",
    help="With --from: its time in the set, as `jobs ... --json` shows it; saves the walk.",
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
    """Delete jobs that wait in a queue or a set, and free their unique keys.

    A running job cannot be deleted. The exit code is 1 if one of the jobs was not found. What
    --filter or --all deletes is kept for a day, and `workkit undo` brings it back.
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
    _check_single(None, dry_run=dry_run, as_json=as_json)
    with closing(server.client()) as client:
        if place is None:
            _each(job_ids, lambda job_id: _delete_anywhere(client, job_id, queue))
            return
        in_set = place

        def remove(score: int, job_id: str) -> None:
            _delete_member(client, in_set, score, job_id)
            _say_deleted(job_id, f"the {in_set} set")

        _each_member(client, in_set, job_ids, at, remove, NotDeleted)


def _check_place(place: str | None, queue: str | None, at: int | None, *, many: bool) -> None:
    if place is not None and queue is not None:
        raise click.UsageError("give either --from or --queue")
    if at is not None and place is None:
        raise click.UsageError("--at needs --from: it is the time in a set")
    if many and place is None and queue is None:
        raise click.UsageError("--all and --filter need --from or --queue")


def _delete_anywhere(client: Client, job_id: str, queue: str | None) -> None:
    if queue is not None:
        client.delete_queued_job(queue, job_id)
        _say_deleted(job_id, f"queue {queue!r}")
        return
    found = client.find(job_id)
    if found is None:
        raise NotDeleted(f"no queue or set holds a job {job_id}")
    if found.place == "running":
        raise NotDeleted(
            f"job {job_id} runs, held by pool {found.pool_id}; a running job cannot be deleted"
        )
    if found.at is None:
        client.delete_queued_job(found.job.name, job_id)
        _say_deleted(job_id, f"queue {found.job.name!r}")
    else:
        _delete_member(client, found.place, found.at, job_id)
        _say_deleted(job_id, f"the {found.place} set")


def _delete_member(client: Client, place: str, score: int, job_id: str) -> None:
    if place == "scheduled":
        client.delete_scheduled_job(score, job_id)
    elif place == "retry":
        client.delete_retry_job(score, job_id)
    else:
        client.delete_dead_job(score, job_id)


def _say_deleted(job_id: str, place: str) -> None:
    click.echo(clean(f"deleted {job_id} from {place}"))


# What both share.


def _check_choice(job_ids: Sequence[str], at: int | None, *, many: bool) -> None:
    if many and (job_ids or at is not None):
        raise click.UsageError("--all and --filter go without job ids and without --at")
    if not many and not job_ids:
        raise click.UsageError("give job ids, --filter or --all")
    if at is not None and len(job_ids) != 1:
        raise click.UsageError("--at is the time of one job; give one job id")


def _check_single(of_many: object, *, dry_run: bool, as_json: bool) -> None:
    """Refuse what makes sense for many jobs only."""
    if of_many or dry_run or as_json:
        raise click.UsageError(
            "with job ids there is no --dry-run, --json, --per-second or --from of retry; "
            "--filter id:... has them"
        )


def _each(job_ids: Sequence[str], act: Callable[[str], None]) -> None:
    """Act on each job; go on after one that is not there, and end with its exit code."""
    code = 0
    for job_id in job_ids:
        try:
            act(job_id)
        except (NotDeleted, NotRetried) as error:
            exits.complain(error)
            code = exits.code_of(error)
    if code:
        click.get_current_context().exit(code)


def _each_member(
    client: Client,
    place: str,
    job_ids: Sequence[str],
    at: int | None,
    act: Callable[[int, str], None],
    not_there: type[NotDeleted | NotRetried],
) -> None:
    """Act on members of a set, whose times are looked up in one walk unless they are known."""
    scores = {job_ids[0]: at} if at is not None else _scores(client, place, set(job_ids))

    def act_at(job_id: str) -> None:
        score = scores.get(job_id)
        if score is None:
            raise not_there(
                f"the {place} set holds no job {job_id}; `workkit jobs find` looks everywhere"
            )
        act(score, job_id)

    _each(job_ids, act_at)


def _scores(client: Client, place: str, job_ids: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for score, job in _members(client, place):
        if job.id in job_ids and not job.undecodable:
            found.setdefault(job.id, score)
            if len(found) == len(job_ids):
                break
    return found


def _members(client: Client, place: str) -> Iterator[tuple[int, Job]]:
    if place == "scheduled":
        return ((entry.run_at, entry.job) for entry in client.iter_scheduled_jobs())
    if place == "retry":
        return ((entry.retry_at, entry.job) for entry in client.iter_retry_jobs())
    return ((entry.died_at, entry.job) for entry in client.iter_dead_jobs())


# Pause.


@click.command(epilog=examples("workkit pause send_email", "workkit pause export import_rows"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@server_options
def pause(server: Server, *, names: tuple[str, ...]) -> None:
    """Keep all pools, those written in Go as well, from taking jobs called NAME.

    Jobs that run go on, and jobs can still be enqueued.
    """
    with closing(server.client()) as client:
        for name in names:
            client.pause(name)
            click.echo(f"paused {clean(name)}")
            if strange := unknown(server, client, name):
                note(f"{strange}; it is paused anyway")


@click.command(epilog=examples("workkit unpause send_email"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@server_options
def unpause(server: Server, *, names: tuple[str, ...]) -> None:
    """Let pools take jobs called NAME again."""
    with closing(server.client()) as client:
        for name in names:
            if client.unpause(name):
                click.echo(f"unpaused {clean(name)}")
            else:
                note(unknown(server, client, name) or f"{name} was not paused")
