"""`workkit edit`: changes the args of a job, and lets a dead one run again."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import IO, TYPE_CHECKING, Final

import click

from workkit.core.text import clean
from workkit.errors import InvalidArgs, InvalidName, WorkkitError
from workkit.tools.cli.commands.by_id import Finding, found_anywhere, found_in, offer_undo
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.insisting import insist_option, naming_insist, tell_doubts
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import json_bytes, note
from workkit.tools.cli.common.values import to_job_id

if TYPE_CHECKING:
    from workkit.admin.actions import Edit
    from workkit.client import Client
    from workkit.core.editor import EditedText
    from workkit.core.records import Kind

__all__ = ["edit"]

_SETS: Final = ("scheduled", "retry", "dead")
_COLORS: Final = {"-": "red", "+": "green", "@": "cyan"}


@click.command(
    epilog=examples(
        "workkit edit 6f1c0a6e5d9b4f3a8e7d2c1b",
        "EDITOR='code --wait' workkit edit 6f1c0a6e5d9b4f3a8e7d2c1b --from dead",
        """workkit edit 6f1c0a6e5d9b4f3a8e7d2c1b --args '{"n": 2}' --dry-run""",
        "workkit edit 6f1c0a6e5d9b4f3a8e7d2c1b --args-file new.json --yes",
    )
)
@click.argument("job_id", callback=to_job_id, metavar="JOB_ID")
@click.option(
    "--from",
    "place",
    type=click.Choice(_SETS),
    help="The set that holds the job. By default, all queues and sets are searched.",
)
@click.option("--queue", metavar="NAME", help="The queue that holds the job.")
@click.option("--args", "args_text", metavar="JSON", help="The new args, instead of an editor.")
@click.option(
    "--args-file",
    type=click.File("rb"),
    metavar="FILE",
    help='Read the new args from a file, or "-" for standard input.',
)
@insist_option
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@server_options
@json_option
def edit(
    server: Server,
    *,
    job_id: str,
    place: Kind | None,
    queue: str | None,
    args_text: str | None,
    args_file: IO[bytes] | None,
    insist: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Change the args of a dead or waiting job.

    The args open as JSON in your editor (VISUAL or EDITOR). Then the difference is shown, and
    confirmed. A dead job runs again with its new args, as if it had never failed. A waiting job
    stays in its place. `workkit undo` brings back the job as it was, for a day, unless it has
    begun. If the new text cannot be used, it is kept in a file. The exit code is 1 if the job was
    not edited.

    Args of a typed task are checked against its signature, if a running pool has published it; the
    editor shows it in comments above the args.
    """
    if place is not None and queue is not None:
        raise click.UsageError("give either --from or --queue")
    if args_text is not None and args_file is not None:
        raise click.UsageError("give either --args or --args-file")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("stdin is not a terminal; pass --yes to edit, or --dry-run")
    with closing(server.client()) as client:
        finding = _find(client, job_id, place, queue)
        if finding.place is None or finding.record is None:
            exits.complain(finding.why)
            click.get_current_context().exit(exits.NOT_FOUND)
        given: str | bytes | None = args_text
        if args_file is not None:
            from workkit.core.editor import without_comments

            given = without_comments(args_file.read())
        with naming_insist():
            if given is not None:
                plan = client.actions.plan_edit(finding.place, finding.record, given, insist=insist)
                _finish(client, plan, dry_run=dry_run, yes=yes, as_json=as_json)
            else:
                _edit_in_editor(
                    client, finding, insist=insist, dry_run=dry_run, yes=yes, as_json=as_json
                )


def _find(client: Client, job_id: str, place: Kind | None, queue: str | None) -> Finding:
    from workkit.core.records import Place

    if place is None and queue is None:
        finding = found_anywhere(client, [job_id])[job_id]
        return finding._replace(why=finding.why.replace("deleted", "edited"))
    return found_in(client, Place(place or "queued", queue or ""), [job_id], None)[job_id]


def _edit_in_editor(
    client: Client, finding: Finding, *, insist: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Let the user edit until the text can be used. If it is not used, it is kept."""
    from workkit.admin.actions.new_args import args_text
    from workkit.core import job as wire
    from workkit.core.editor import EditedText, editor_command

    assert finding.place is not None  # noqa: S101 - the caller has looked
    assert finding.record is not None  # noqa: S101 - the same
    job = finding.record.job
    editor_command()  # complains before a file is made
    if job.undecodable:
        client.actions.plan_edit(finding.place, finding.record, "null")  # says why not
    args = args_text(wire.args_json(job.raw) or b"null")
    text = EditedText(job.id, args, _takes(client, job.name))
    original = text.read()
    try:
        while True:
            try:
                plan = client.actions.plan_edit(
                    finding.place, finding.record, text.edit(), insist=insist
                )
                break
            except InvalidArgs as error:
                if not sys.stdin.isatty():
                    raise
                exits.complain(error)
                if not click.confirm("Edit it again?", default=True, err=True):
                    raise
        _finish(client, plan, dry_run=dry_run, yes=yes, as_json=as_json)
    except WorkkitError:
        _keep(text, original, job.id)
        raise
    except (click.exceptions.Exit, click.Abort):
        _keep(text, original, job.id)
        raise
    text.drop()


def _takes(client: Client, name: str) -> str:
    """Return what a task takes; "" if pools publish nothing of it, or its name is not valid."""
    try:
        signature = client.actions.signature(name)
    except InvalidName:
        return ""
    return signature.takes if signature is not None else ""


def _keep(text: EditedText, original: bytes, job_id: str) -> None:
    """Keep a text that was not used, unless it is as it was."""
    try:
        unchanged = text.read() == original
    except WorkkitError:
        return
    if unchanged:
        text.drop()
    else:
        note(f"your text is kept: workkit edit {job_id} --args-file {text.path}")


def _finish(client: Client, plan: Edit, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Show the plan, ask, apply it, and report."""
    job_id = plan.job.id
    if not as_json:
        _show(plan)
    if dry_run:
        if as_json:
            _print_json(plan, "")
        return
    where = f"job {clean(job_id)} of {plan.place}"
    if not yes and not click.confirm(f"Edit {where}?", err=True):
        note("nothing was changed")
        click.get_current_context().exit(exits.NOT_FOUND)
    operation_id = client.actions.apply_edit(plan)
    if as_json:
        _print_json(plan, operation_id)
        return
    runs = ", it runs again" if plan.place.kind == "dead" else ""
    click.echo(f"edited {where}{runs}")
    offer_undo([operation_id])


def _show(plan: Edit) -> None:
    for line in plan.lines():
        color = _COLORS.get(line[:1])
        click.echo(click.style(clean(line), fg=color) if color else clean(line), err=True)
    for effect in plan.effects:
        note(f"it {effect}")
    tell_doubts(plan.doubts)


def _print_json(plan: Edit, operation_id: str) -> None:
    fields = {
        "job_id": plan.job.id,
        "place": plan.place.kind,
        "queue": plan.job.name,
        "difference": plan.lines(),
        "effects": list(plan.effects),
        "doubts": list(plan.doubts),
        "operation_id": operation_id,
    }
    click.echo(json_bytes(fields))
