"""The `workkit` command: loads the command that is called, and turns errors into exit codes."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from typing import Any, Final, NamedTuple

import click

from workkit._version import __version__
from workkit.errors import WorkkitError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import examples

__all__ = ["LazyGroup", "cli", "run"]


class _Command(NamedTuple):
    """Where a command is, and its line in the help. The help does not load it."""

    module: str
    name: str
    short_help: str


_COMMANDS: Final = {
    "top": _Command("cli.commands.top", "top", "Show what is stuck and why, and repair it."),
    "worker": _Command("cli.commands.worker", "worker", "Process jobs with your tasks or pool."),
    "check": _Command("cli.commands.check", "check", "Tell whether this host's pools are well."),
    "metrics": _Command("cli.commands.metrics", "metrics", "Serve metrics to Prometheus."),
    "enqueue": _Command("cli.commands.enqueue", "enqueue", "Enqueue or schedule a job."),
    "queues": _Command("cli.commands.overview", "queues", "Show all queues."),
    "pools": _Command(
        "cli.commands.overview", "pools", "Show the pools, or what their workers run."
    ),
    "jobs": _Command("cli.commands.jobs", "jobs", "Show jobs, or find one."),
    "stack": _Command("cli.commands.stack", "stack", "Show where the handler of a job is."),
    "history": _Command("cli.commands.history", "history", "Show the executions of jobs."),
    "archive": _Command("cli.commands.archive", "archive", "Append history to Parquet files."),
    "audit": _Command(
        "cli.commands.audit", "audit", "Check history for lost and repeated jobs, limits, order."
    ),
    "export": _Command(
        "cli.commands.export", "export", "Write history, jobs, errors or acts to a file."
    ),
    "snapshot": _Command("cli.commands.snapshot", "snapshot", "Write a whole namespace to a file."),
    "record": _Command(
        "cli.commands.record", "record", "Record what the console shows, to look at it later."
    ),
    "retry": _Command("cli.commands.mend", "retry", "Put dead jobs back into their queues."),
    "delete": _Command("cli.commands.mend", "delete", "Delete waiting or dead jobs."),
    "edit": _Command("cli.commands.edit", "edit", "Change the args of a dead or waiting job."),
    "undo": _Command("cli.commands.bulk", "undo", "Bring back deleted, retried or edited jobs."),
    "audit-log": _Command(
        "cli.commands.audit_log", "audit_log", "Show who did what, and verify that record."
    ),
    "pause": _Command("cli.commands.mend", "pause", "Stop all pools from taking jobs of a name."),
    "unpause": _Command("cli.commands.mend", "unpause", "Let pools take jobs of a name again."),
    "watch": _Command(
        "cli.commands.watch", "watch", "Report what begins or ends to need attention."
    ),
    "doctor": _Command("cli.commands.doctor", "doctor", "Check a namespace and repair it."),
    "simulate": _Command(
        "cli.commands.simulate",
        "simulate",
        "Run a scenario in virtual time, and look for failures.",
    ),
    "demo": _Command("demo.command", "demo", "Try workkit on a private server."),
}


class LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; return None if it does not exist."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        home = _COMMANDS[cmd_name]
        command: click.Command = getattr(
            importlib.import_module(f"workkit.tools.{home.module}"), home.name
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, home.short_help) for name, home in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest commands with a similar name."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            alike = " or ".join(repr(other) for other in get_close_matches(name, _COMMANDS))
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {alike}?" if alike else ""))
        return super().resolve_command(ctx, args)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the options before the command."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except (click.UsageError, click.FileError) as error:
            raise exits.one_line(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and exit with the code of its outcome."""
        try:
            return super().invoke(ctx)
        except WorkkitError as error:
            exits.complain(error)
            ctx.exit(exits.code_of(error))
        except (click.UsageError, click.FileError) as error:
            raise exits.one_line(error) from None
        except (KeyboardInterrupt, click.Abort):
            click.echo(err=True)  # moves the prompt of the shell below ^C
            ctx.exit(exits.INTERRUPTED)
        except BrokenPipeError:
            exits.silence_stdout()
            ctx.exit(exits.PIPE_CLOSED)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "workkit worker shop.tasks:tasks",
        """workkit enqueue send_email '{"address": "a@example.com"}'""",
        "workkit queues",
        "workkit jobs dead",
        "workkit retry --all",
    ),
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Background jobs on Redis: process, inspect and repair them.

    Commands take the server from --redis or WORKKIT_REDIS_URL, and the namespace from --namespace
    or WORKKIT_NAMESPACE.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def run() -> None:
    """Run `cli` with the process's arguments, and exit."""
    exits.open_streams()
    for stream in (sys.stdout, sys.stderr):
        # If a terminal cannot show a character, we print its escape code instead of failing.
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError, OSError):
                stream.reconfigure(errors="backslashreplace")
    try:
        try:
            cli(prog_name="workkit")
        except OSError as error:  # also of the help, which click prints while it reads the options
            exits.complain_of_system(error)
            sys.exit(exits.UNWRITTEN)
    except SystemExit as end:
        worker = sys.modules.get("workkit.tools.cli.commands.worker")
        if worker is not None:
            worker.leave(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
        raise
