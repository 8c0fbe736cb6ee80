"""`workkit top`: the console."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from workkit.core.text import clean
from workkit.errors import ServerError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import (
    HIGHEST_PORT,
    Server,
    examples,
    json_option,
    mask_options,
    server_options,
)
from workkit.tools.cli.common.output import json_bytes
from workkit.tools.cli.common.places import NamedServer, in_browser, places_of, served_place
from workkit.tools.cli.common.recorded import moment_at, opened_reader, recording_options
from workkit.tools.cli.common.serving import ServedFile, serve_console
from workkit.tools.cli.common.values import to_interval, to_look_back, to_page, to_users

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["top"]

_PORT: Final = 8_000
#: Parameters that only --serve has.
_OF_SERVING: Final = ("host", "port", "token", "users", "public_url")


@click.command(
    epilog=examples(
        "workkit top",
        "workkit top --read-only --refresh 5",
        "workkit top --once",
        "workkit top --plain",
        "workkit top --namespace shop,mail,billing",
        "workkit top --places servers.toml",
        "workkit top --json | jq .counts",
        "workkit top --mask-also '*passport*'",
        "workkit top --snapshot night.wks",
        "workkit top --recording night.wkr --at 03:12",
        "workkit top --serve",
    )
)
@server_options
@click.option(
    "--snapshot",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Show a file of `workkit snapshot` instead of a server.",
)
@recording_options
@click.option(
    "--places",
    metavar="FILE",
    help="Show the namespaces of a TOML file, on any servers: [[place]] with redis, namespace and "
    "title. --namespace a,b,c shows several of one server.",
)
@click.option("--read-only", is_flag=True, help="Refuse all changes.")
@click.option(
    "--refresh",
    "refresh_s",
    type=float,
    callback=to_interval,
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to read while jobs run.",
)
@mask_options
@click.option(
    "--look-back",
    "look_back_s",
    default="1h",
    show_default=True,
    callback=to_look_back,
    metavar="SPAN",
    help="How far [ can go back in time, at most 24h; none to remember nothing.",
)
@click.option(
    "--theme",
    default="workkit",
    show_default=True,
    metavar="NAME",
    help="The colours: workkit, workkit-light, workkit-colour-blind, "
    "workkit-colour-blind-light, or a theme of Textual. ^t shows the next.",
)
@click.option(
    "--settings",
    "settings_file",
    metavar="FILE",
    help="Where saved views and chosen columns are. [default: workkit/console.json in "
    "$XDG_CONFIG_HOME or ~/.config]",
)
@click.option("--once", is_flag=True, help="Print an overview and exit.")
@click.option(
    "--plain",
    is_flag=True,
    help="Read commands line by line and draw nothing, for screen readers and simple terminals.",
)
@json_option
@click.option("--serve", is_flag=True, help="Serve the console to a browser.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --serve: the address.")
@click.option(
    "--port",
    type=click.IntRange(0, HIGHEST_PORT),
    default=_PORT,
    show_default=True,
    metavar="PORT",
    help="With --serve: the port.",
)
@click.option(
    "--token",
    envvar="WORKKIT_SERVE_TOKEN",
    show_envvar=True,
    help="With --serve: the token that the browser must send, as in http://HOST:PORT/?token=...; "
    "by default, a new one is made and printed.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    envvar="WORKKIT_SERVE_USERS",
    show_envvar=True,
    metavar="NAME=TOKEN",
    callback=to_users,
    help="With --serve: a token of one user, who is recorded with what is done; repeatable. "
    "The variable has them separated by spaces.",
)
@click.option(
    "--public-url",
    callback=to_page,
    metavar="URL",
    help="With --serve: the address that browsers use, if a proxy has another one.",
)
def top(
    server: Server,
    *,
    snapshot: str | None,
    recording: str | None,
    at: str | None,
    places: str | None,
    read_only: bool,
    refresh_s: float,
    masks: tuple[str, ...],
    masks_also: tuple[str, ...],
    look_back_s: float,
    theme: str,
    settings_file: str | None,
    once: bool,
    plain: bool,
    as_json: bool,
    serve: bool,
    host: str,
    port: int,
    token: str | None,
    users: dict[str, str],
    public_url: str | None,
) -> None:
    """See what is stuck and why, and repair it, from the keyboard.

    Press a number to go to a tab, and ? for the keys. With --serve, a browser shows the same. It
    needs the token in the printed address. If other machines can reach the address, --read-only, a
    --token of your own or a --user is required.
    """
    _check_sources(snapshot, recording, at, serve=serve, plain=plain)
    _check_ways(once=once or as_json, plain=plain, serve=serve)
    named = places_of(server, places)
    if len(named) > 1 and (snapshot or recording or plain):
        raise click.UsageError("several namespaces are shown by the console, --once and --json; "
            "name a single one")  # fmt: skip
    server = named[0].server
    if once or as_json:
        _print_once(named, snapshot, recording, at, as_json=as_json)
        return
    if plain:
        _run_plain(server, read_only=read_only)
        return
    options: dict[str, Any] = {"read_only": read_only, "refresh_s": refresh_s, "theme": theme}
    options["look_back_s"] = look_back_s
    if settings_file is not None:
        options["file"] = settings_file
    if masks:
        options["masks"] = masks
    if masks_also:
        options["masks_also"] = masks_also
    if serve:
        file = ServedFile(snapshot, recording, at)
        serve_console(named, options, host, port, token, public_url, users, file)
        return
    _open(named, snapshot, recording, at, options)


def _open(
    named: Sequence[NamedServer],
    snapshot: str | None,
    recording: str | None,
    at: str | None,
    options: dict[str, Any],
) -> None:
    """Open the console on the terminal."""
    if not in_browser() and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the console needs a terminal; --once prints an overview")
    from workkit.tools.console import open_console, open_consoles, terminal_draws

    if not in_browser() and not terminal_draws():
        term = clean(os.environ.get("TERM", ""))
        raise click.UsageError(
            f"a terminal with TERM={term} cannot draw the console; --plain reads commands"
        )
    if recording is not None:
        from workkit.recording import Recording

        with closing(Recording(recording)) as recorded:
            start = moment_at(recorded, at)
            open_console(start, recording=recorded, at_s=start.at_s, **options)
        return
    if len(named) > 1:
        readers = [(each.title, each.server.client) for each in named]
        open_consoles(readers, here=served_place(), **options)
        return
    with opened_reader(named[0].server, snapshot, None, None) as reader:
        reader.overview()  # reports a wrong address in the shell, not on a screen that closes
        open_console(reader, **options)


def _print_once(
    named: Sequence[NamedServer],
    snapshot: str | None,
    recording: str | None,
    at: str | None,
    *,
    as_json: bool,
) -> None:
    """Print the overview of each namespace; as JSON, one document, or a list of several.

    Of several, one whose server cannot be reached is named, and the others are printed.
    """
    from workkit.tools.cli.commands.glance import print_glance

    code = 0
    for number, place in enumerate(named):
        if as_json and len(named) > 1:
            click.echo("," if number else "[")
        elif number:
            click.echo()
        try:
            with opened_reader(place.server, snapshot, recording, at) as reader:
                print_glance(reader, as_json=as_json)
        except ServerError as error:
            if len(named) == 1:
                raise
            code = exits.code_of(error)
            if as_json:
                click.echo(json_bytes({"label": place.title, "trouble": str(error)}))
            else:
                click.echo(f"{clean(place.title)}: {clean(str(error))}")
    if as_json and len(named) > 1:
        click.echo("]")
    if code:
        click.get_current_context().exit(code)


def _run_plain(server: Server, *, read_only: bool) -> None:
    """Read commands from standard input until it ends."""
    from workkit.tools.cli.commands.plain import LineMode

    context = click.get_current_context()
    context.color = False
    commands = context.find_root().command
    assert isinstance(commands, click.Group)  # noqa: S101 - `workkit` itself
    with closing(server.client()) as client:
        LineMode(commands, server, client, read_only=read_only).run()


def _check_sources(
    snapshot: str | None, recording: str | None, at: str | None, *, serve: bool, plain: bool
) -> None:
    """Refuse options that exclude each other."""
    if snapshot is not None and recording is not None:
        raise click.UsageError("--snapshot and --recording exclude each other; give one of them")
    if at is not None and recording is None:
        raise click.UsageError("--at is a time of a recording; name its file by --recording")
    if plain and (snapshot or recording or serve):
        raise click.UsageError("--plain works on a server, on a terminal; for a file, take --once")


def _check_ways(*, once: bool, plain: bool, serve: bool) -> None:
    """Refuse options of several ways to show a namespace, and those of --serve without it."""
    if once + plain + serve > 1:
        raise click.UsageError(
            "--once and --json print an overview, --plain reads commands, --serve opens a page; "
            "give one of them"
        )
    if serve:
        return
    context = click.get_current_context()
    for name in _OF_SERVING:  # a variable of the environment may stay set
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "user" if name == "users" else name.replace("_", "-")
            raise click.UsageError(f"--{option} is an option of --serve; add --serve")
