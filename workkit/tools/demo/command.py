"""The command `workkit demo`."""

from __future__ import annotations

from typing import Any

import click

from workkit.errors import MissingExtra

__all__ = ["demo"]


@click.command(
    context_settings={"show_default": True},
    epilog="\b\nExamples:\n"
    "  workkit demo\n"
    "  workkit demo --limit 500 --concurrency 4\n"
    "  workkit demo --top\n"
    "  workkit demo --keep\n"
    "  workkit demo --json | jq .total\n"
    "  workkit demo --redis redis://localhost:6379/1 --namespace trial",
)
@click.option(
    "--redis", metavar="URL", help="Use this server; the demo does not read WORKKIT_REDIS_URL."
)
@click.option(
    "--namespace",
    metavar="NS",
    help="Prefix of all keys; by default a new name. It must not have keys yet, and the demo "
    "removes its keys at the end.",
)
@click.option(
    "--concurrency", metavar="N", type=click.IntRange(1, 1_000), default=8, help="Jobs at once."
)
@click.option(
    "--limit", metavar="N", type=click.IntRange(1), default=2_500, help="The most files to process."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the account as JSON; progress goes to stderr."
)
@click.option(
    "--keep",
    is_flag=True,
    help="After the account, keep the server and a pool until Ctrl-C, so that you can try other "
    "commands on them. With --redis the keys stay after that.",
)
@click.option(
    "--top", is_flag=True, help="Watch the run in the console; q leaves it and ends the demo."
)
@click.option("--no-console", is_flag=True, hidden=True, expose_value=False)  # now the default
@click.pass_context
def demo(ctx: click.Context, /, **options: Any) -> None:
    """Process the source code of this Python installation, one job a file.

    Starts a private server, runs every kind of job on it, prints an account of all jobs, and ends.
    The exit code is 0 if every enqueued job ended as done, dead or discarded, and 1 if the account
    does not balance. Files that do not parse become dead jobs; this is expected.
    """
    if options["top"]:
        from workkit.tools.console import console_fits

        if options["as_json"] or options["keep"]:
            raise click.UsageError("--top cannot be combined with --json or --keep")
        if not console_fits():
            raise click.UsageError("--top needs a terminal, and pip install 'workkit[tui]'")
    try:
        from workkit.tools.demo.launch import DemoOptions, launch
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        raise MissingExtra("workkit demo", "demo") from None
    ctx.exit(launch(DemoOptions(**options)))
