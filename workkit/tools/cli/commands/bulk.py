"""Acts on many jobs: shows the plan, asks, applies it with progress. `undo` reverses it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TypeVar

import click

from workkit.core.text import age, clean, counted
from workkit.errors import NotUndone
from workkit.tools.cli.commands.by_id import offer_undo
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.nothing import explain
from workkit.tools.cli.common.options import Server, examples, json_option, now_s, server_options
from workkit.tools.cli.common.output import (
    TableColumn,
    json_bytes,
    note,
    print_records,
    print_table,
)
from workkit.tools.cli.common.picking import PickingProgress, filter_option

if TYPE_CHECKING:
    from workkit.admin.actions import BulkOutcome, BulkProgress, Plan, Throttle, Verb
    from workkit.admin.query import Query
    from workkit.client import Client
    from workkit.core.records import Kind

__all__ = ["act", "bulk_options", "to_throttle", "undo"]

R = TypeVar("R")

_DONE: Final = {"retry": "retried", "delete": "deleted", "edit": "edited"}
_DOING: Final = {"retry": "retrying", "delete": "deleting"}
_SHOWN: Final = 6


def bulk_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --filter, --all, --dry-run, --yes and --json to a command."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
        click.option("--dry-run", is_flag=True, help="Show the plan and change nothing."),
        click.option("--all", "everything", is_flag=True, help="All jobs of the queue or set."),
        filter_option,
        json_option,
    ):
        command = option(command)
    return command


def to_throttle(per_s: float | None, max_failures: float | None) -> Throttle | None:
    """Make a throttle from the options.

    Args:
        per_s: Jobs per second; None for no limit.
        max_failures: The percentage of failures at which it stops; None for the default.
    """
    if per_s is None:
        if max_failures is not None:
            raise click.UsageError("--max-failures needs --per-second")
        return None
    from workkit.admin.actions import Throttle

    if max_failures is None:
        return Throttle(per_s=per_s)
    return Throttle(per_s=per_s, max_failure_rate=max_failures / 100)


def act(
    server: Server,
    verb: Verb,
    kind: Kind,
    *,
    queue: str = "",
    query: Query | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    throttle: Throttle | None = None,
) -> None:
    """Make a plan, ask, apply the plan, and report the outcome.

    Args:
        server: The server and the namespace.
        verb: The action.
        kind: The kind of place that holds the jobs.
        queue: The name of the queue, if the place is a queue.
        query: Picks the jobs; None for all.
        dry_run: Stop after the plan.
        yes: Do not ask.
        as_json: Print the plan or the outcome as JSON.
        throttle: The speed of a retry.
    """
    from workkit.admin.query import Query
    from workkit.core.records import Place

    place = Place(kind, queue)
    with closing(server.client()) as client:
        reading = PickingProgress("read")
        plan = client.actions.plan(
            verb, place, query or Query(""), report=lambda far: reading.show(far.done, far.total)
        )
        reading.clear()
        assert plan is not None  # noqa: S101 - nobody stops it
        if not plan.count:
            words = _nothing(kind, queue)
            picked = f"{words} that match {query.text!r}" if query else words
            explain(server, client, picked, name=queue)
            if as_json:
                click.echo("null")
            return
        if dry_run:
            _print_plan(plan, as_json=as_json)
            return
        if _goes_ahead(server, plan, yes=yes):
            _apply(client, plan, throttle, as_json=as_json)


def _nothing(kind: str, queue: str) -> str:
    if queue:
        return f"no jobs wait in queue {queue!r}"
    return {
        "dead": "no jobs are dead",
        "retry": "no jobs wait to be tried again",
        "scheduled": "no jobs are scheduled",
    }[kind]


def _what(plan: Plan) -> str:
    """Return the jobs of a plan in words, such as "131 dead jobs"."""
    where = f" of queue {plan.place.queue!r}" if plan.place.queue else ""
    return counted(plan.count, f"{plan.place.kind} job") + where


def _describe(plan: Plan) -> list[str]:
    """Return the lines that explain a plan, below its first line."""
    lines = []
    if len(plan.queues) > 1:
        shown = [
            f"{clean(name) or '(no job)'} {count}"
            for name, count in list(plan.queues.items())[:_SHOWN]
        ]
        more = len(plan.queues) - _SHOWN
        lines.append(", ".join(shown) + (f" and {more} more names" if more > 0 else ""))
    return [*lines, *(f"it {effect}" for effect in plan.effects())]


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if not as_json:
        click.echo(f"would {plan.verb} {_what(plan)}")
        for line in _describe(plan):
            click.echo(line)
        return
    fields = {
        "verb": plan.verb,
        "place": asdict(plan.place),
        "query": plan.query,
        "count": plan.count,
        "queues": dict(plan.queues),
        "sample": [record.job.id for record in plan.sample],
        "effects": plan.effects(),
    }
    click.echo(json_bytes(fields))


def _goes_ahead(server: Server, plan: Plan, *, yes: bool) -> bool:
    """Ask before many jobs are changed, and report the start."""
    where = f"{_what(plan)} of namespace {server.namespace!r} on {server.label}"
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"stdin is not a terminal; pass --yes to {plan.verb} {where}")
        for line in _describe(plan):
            note(line)
        if not click.confirm(f"{plan.verb.capitalize()} {where}?", err=True):
            note("nothing was changed")
            click.get_current_context().exit(exits.NOT_FOUND)
    note(f"{_DOING[plan.verb]} {where} ...")
    return True


def _apply(client: Client, plan: Plan, throttle: Throttle | None, *, as_json: bool) -> None:
    progress = PickingProgress(_DONE[plan.verb])

    def report(far: BulkProgress) -> None:
        progress.show(far.done, far.total)

    outcome = client.actions.apply(plan, throttle=throttle, report=report)
    progress.clear()
    if as_json:
        click.echo(json_bytes(asdict(outcome)))
    else:
        _print_outcome(plan, outcome)
    if outcome.stopped:
        click.get_current_context().exit(exits.NOT_FOUND)


def _print_outcome(plan: Plan, outcome: BulkOutcome) -> None:
    said = f"{_DONE[plan.verb]} {counted(outcome.done, f'{plan.place.kind} job')}"
    for number, what in (
        (outcome.gone, "no longer there"),
        (outcome.refused, "left in place: not a job"),
        (outcome.left, f"not reached: {outcome.stopped}"),
    ):
        if number:
            said += f"; {number:,} {what}"
    click.echo(said)
    offer_undo([outcome.operation_id])


# Undo.


@click.command(
    epilog=examples(
        "workkit undo", "workkit undo 3f9a11c0de77", "workkit undo 3f9a11c0de77 --forget"
    )
)
@click.argument("operation", required=False)
@click.option(
    "--forget",
    is_flag=True,
    help="Drop the jobs of OPERATION for good. Redis gets their memory back.",
)
@server_options
@json_option
def undo(server: Server, *, operation: str | None, forget: bool, as_json: bool) -> None:
    """Bring back deleted, retried or edited jobs. Without OPERATION, list what can be undone.

    Deleted jobs come back as they were, for a day. Retried jobs come back if they have not begun,
    for an hour; edited ones, for a day. It does not matter who acted on them, or from where.
    """
    if forget and operation is None:
        raise click.UsageError("--forget needs OPERATION")
    with closing(server.client()) as client:
        if operation is None:
            _print_operations(server, client, as_json=as_json)
            return
        if forget:
            _forget(client, operation, as_json=as_json)
            return
        progress = PickingProgress("brought back")
        undone = client.actions.undo(
            operation, report=lambda far: progress.show(far.done, far.total)
        )
        progress.clear()
        if as_json:
            click.echo(json_bytes(asdict(undone)))
            return
        said = f"brought back {counted(undone.back, 'job')}"
        if undone.gone_on:
            said += f"; {undone.gone_on:,} had already begun"
        if undone.without_key:
            said += f"; {undone.without_key:,} no longer unique: a newer job holds the key"
        click.echo(said)


def _forget(client: Client, operation: str, *, as_json: bool) -> None:
    known = {each.operation_id: each for each in client.actions.operations()}
    if operation not in known:
        raise NotUndone(
            f"cannot undo {operation!r}: it was already undone, or its trash has expired"
        )
    client.actions.forget(operation)
    dropped = known[operation].undoable
    if as_json:
        click.echo(json_bytes({"operation_id": operation, "dropped": dropped}))
    else:
        click.echo(f"dropped {counted(dropped, 'job')} for good")


def _print_operations(server: Server, client: Client, *, as_json: bool) -> None:
    operations, now = client.actions.operations(), now_s()
    if as_json:
        print_records(operations)
        return
    columns = (
        TableColumn("AGO", right=True), TableColumn("OPERATION"), TableColumn("ACTION"),
        TableColumn("JOBS", right=True), TableColumn("FROM"), TableColumn("BY"),
        TableColumn("FILTER"),
    )  # fmt: skip
    rows = (
        (
            age(now - each.at), each.operation_id, _DONE.get(each.verb, each.verb),
            f"{each.undoable}", str(each.place).removeprefix("the "), each.by, each.query,
        )
        for each in operations
    )  # fmt: skip
    if not print_table(columns, rows):
        explain(server, client, "no action can be undone: nothing was deleted or retried lately")
