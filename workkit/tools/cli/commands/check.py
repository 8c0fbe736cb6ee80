"""`workkit check`."""

from __future__ import annotations

import socket

import click

from workkit.core.text import counted
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import print_record

__all__ = ["check"]


@click.command(
    epilog=examples(
        "workkit check",
        "workkit check --pools 4",
        "workkit check --live",
        "workkit check --host web-1 --json",
    )
)
@click.option(
    "--host",
    metavar="NAME",
    help="The host whose pools are checked. [default: this one]",
)
@click.option(
    "--pools",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many pools must be well, such as the --processes of a worker.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Succeed if the server does not answer: a new process would not help.",
)
@server_options
@json_option
@click.pass_context
def check(
    ctx: click.Context, server: Server, *, host: str | None, pools: int, live: bool, as_json: bool
) -> None:
    """Tell whether the pools of this host are well, for containers without HTTP.

    A pool is well if its last heartbeat is fresh, by the server's clock. A pool whose dispatcher
    hangs sends no heartbeats. The exit code is 0 if enough pools are well, otherwise 1, and the
    output says why.
    """
    from workkit.telemetry.checking import check_host

    found = check_host(
        server.namespace, server.redis, host or socket.gethostname(), wanted=pools, live=live
    )
    if as_json:
        print_record(found)
    else:
        click.echo(found.reason or f"{counted(found.well, 'pool')} of host {found.host!r} well")
    ctx.exit(0 if found.ok else exits.NOT_FOUND)
