"""The command `workkit demo`."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["demo"]

_LIMIT: Final = 2_500
_CONCURRENCY: Final = 8


@click.command(
    epilog="\b\nExamples:\n"
    "  workkit demo\n"
    "  workkit demo --keep\n"
    "  workkit demo --redis redis://localhost:6379/1 --limit 500"
)
@click.option(
    "--redis",
    metavar="URL",
    help="Run on this server instead of a private one. The environment is not asked: a demo runs "
    "on no server by accident.",
)
@click.option(
    "--namespace",
    metavar="NS",
    help="Prefix of all keys, which must not hold any yet; a fresh one by default. It is cleared "
    "in the end.",
)
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 1_000),
    default=_CONCURRENCY,
    show_default=True,
    help="How many jobs run at once.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=_LIMIT,
    show_default=True,
    help="How many files are processed at most.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, for other programs."
)
@click.option(
    "--keep",
    is_flag=True,
    help="Keep the server and a pool until Ctrl-C, to try other commands on them. With --redis the "
    "keys stay even after that.",
)
@click.option(
    "--console/--no-console",
    default=True,
    help="On a terminal, open the console while it runs, until you leave it with q.",
)
@click.pass_context
def demo(
    ctx: click.Context,
    redis: str | None,
    namespace: str | None,
    concurrency: int,
    limit: int,
    as_json: bool,
    keep: bool,
    console: bool,
) -> None:
    """Process the source code of this Python installation, one job a file.

    Starts a private server, lets every kind of job run on it, and accounts for all of them. The
    exit code is 0 if every accepted job was done, died or was discarded, and 1 if any is missing;
    that files which do not parse die is as it should be.
    """
    from workkit.tools.demo.launch import Options, launch

    console = console and not keep
    ctx.exit(launch(Options(redis, namespace, concurrency, limit, as_json, keep, console)))
