"""`workkit stack`: where the handler of a running job is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from workkit.core.text import age, clean
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import json_bytes, note
from workkit.tools.cli.common.values import to_job_id

if TYPE_CHECKING:
    from workkit.core.stacks import RunningStack

__all__ = ["stack"]


@click.command(epilog=examples("workkit stack 6f1c0a6e5d9b4f3a8e7d2c1b"))
@click.argument("job_id", callback=to_job_id, metavar="JOB_ID")
@server_options
@json_option
def stack(server: Server, *, job_id: str, as_json: bool) -> None:
    """Show where the handler of a running job is.

    The pool that runs the job is asked, and answers with its next heartbeat, within four seconds. A
    Go pool, or a pool of an older version, does not answer. Secrets in the lines of code are
    hidden. The exit code is 1 if no pool could tell.
    """
    with closing(server.client()) as client:
        found = client.actions.stack(job_id)
    if as_json:
        click.echo(json_bytes(found))
    else:
        _show(found)


def _show(found: RunningStack) -> None:
    for line in found.lines:
        click.echo(clean(line))
    ran = age((found.taken_ms - found.started_ms) / 1_000)
    note(f"{found.job_name} ran for {ran} then, in a {found.kind} of worker {found.worker_id}")
