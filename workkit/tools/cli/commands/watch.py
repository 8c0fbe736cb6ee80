"""`workkit watch`: reports when something begins or ends to need attention."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from workkit.core.clock import Instant, SystemClock
from workkit.core.text import age, clean, read_span, stamp
from workkit.errors import ServerError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import Server, examples, server_options
from workkit.tools.cli.common.output import note
from workkit.tools.cli.common.stopping import stopped_by_signals
from workkit.tools.cli.common.telling import (
    Program,
    Teller,
    Told,
    Webhook,
    can_take,
    document,
)

if TYPE_CHECKING:
    from workkit.admin.notices.conditions import Condition
    from workkit.admin.notices.notices import Notice, Notices
    from workkit.admin.notices.sight import Lookout

__all__ = ["watch"]

_LEAST_S: Final = 1.0
_MOST_S: Final = 3_600.0
#: After a signal, notices that still wait may be told for this long, seconds.
_LAST_WORDS_S: Final = 5.0
#: Longest value of a variable, characters: the system refuses to start programs with longer ones.
_VARIABLE: Final = 10_000
_COLORS: Final = {"bad": "red", "warn": "yellow"}


def _to_conditions(
    _ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> list[Condition]:
    from workkit.admin.notices.conditions import DEFAULTS, read_condition

    return [read_condition(text) for text in texts or DEFAULTS]


def _to_every(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    span = read_span(value.strip())
    if span is None or not _LEAST_S <= span[0] <= _MOST_S:
        raise click.BadParameter(f"{value!r} is not a span of time from 1s to 1h; write 5s or 1m")
    return span[0]


def _to_programs(
    _ctx: click.Context, _param: click.Parameter, commands: tuple[str, ...]
) -> list[Program]:
    return [Program(command) for command in commands]


def _to_webhooks(
    _ctx: click.Context, _param: click.Parameter, urls: tuple[str, ...]
) -> list[Webhook]:
    return [Webhook(url) for url in urls]


@click.command(
    epilog=examples(
        "workkit watch",
        "workkit watch --on 'dead.rate>5/min' --exec ./page.sh",
        "workkit watch --on 'queue.latency[mail]>5m for 2m' --webhook URL",
        "workkit watch --on attention --on 'queue.count>10000' --json",
        "workkit watch --once || systemctl restart shop-worker",
    )
)
@click.option(
    "--on",
    "conditions",
    multiple=True,
    callback=_to_conditions,
    metavar="CONDITION",
    help="What to report; repeatable. By default: attention, cron.missed and lock.drift.",
)
@click.option(
    "--exec",
    "programs",
    multiple=True,
    callback=_to_programs,
    metavar="CMD",
    help="Run this program for each notice, without a shell: JSON on stdin, and variables "
    "WORKKIT_NOTICE_...; repeatable.",
)
@click.option(
    "--webhook",
    "webhooks",
    multiple=True,
    callback=_to_webhooks,
    envvar="WORKKIT_WEBHOOK",
    show_envvar=True,
    metavar="URL",
    help="Post each notice to this URL as JSON; repeatable.",
)
@click.option(
    "--every",
    "every_s",
    default="5s",
    show_default=True,
    callback=_to_every,
    metavar="SPAN",
    help="How often to look, from 1s to 1h.",
)
@click.option("--once", is_flag=True, help="Look once, and exit with 1 if a condition holds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@server_options
def watch(
    server: Server,
    *,
    conditions: list[Condition],
    programs: list[Program],
    webhooks: list[Webhook],
    every_s: float,
    once: bool,
    as_json: bool,
) -> None:
    """Report when something begins or ends to need attention, one line for each change.

    A CONDITION is "attention" (the list of the console), or a measure with a threshold, such as
    dead.rate>5/min, queue.latency[NAME]>5m, queue.unserved or lock.drift. "for 2m" behind it waits
    until it has held for two minutes. docs/cli.md lists the measures. Quote a condition for the
    shell.

    The watch goes on while the server is away, and reports that too. SIGTERM and Ctrl-C end it with
    exit code 0. With --once, the exit code is 0 if no condition holds, else 1.
    """
    from workkit.admin.notices.notices import Notices
    from workkit.admin.notices.sight import Lookout

    if once and (held := next((each for each in conditions if each.hold_s), None)):
        raise click.UsageError(f"--once looks only once; leave out the 'for' of '{held}'")
    notices, teller = Notices(conditions), Teller([*programs, *webhooks])
    out = _Out(server, teller, as_json=as_json)
    with closing(Lookout(server.namespace, server.redis)) as lookout:
        if once:
            found = _look_once(lookout, notices, out)
            teller.close(None)
            click.get_current_context().exit(exits.NOT_FOUND if found else 0)
        with stopped_by_signals() as stopped_within:
            _follow(lookout, notices, out, lambda: stopped_within(every_s))
        teller.close(_LAST_WORDS_S)


def _look_once(lookout: Lookout, notices: Notices, out: _Out) -> bool:
    sight = lookout.look(notices.measures, notices.periods_s)
    _warn_of_unknown(notices.unknown(sight))
    found = notices.compare(sight, _now())
    for notice in found:
        out.show(notice)
    return bool(found)


def _follow(lookout: Lookout, notices: Notices, out: _Out, stopped: Callable[[], bool]) -> None:
    """Look again and again until a stop. The first look must succeed: it checks the options.

    Args:
        lookout: Reads the namespace.
        notices: Remembers what was told.
        out: Tells it.
        stopped: Waits for the time of the next look, and tells whether to stop.
    """
    sight = lookout.look(notices.measures, notices.periods_s)
    _warn_of_unknown(notices.unknown(sight))
    changes = notices.compare(sight, _now())
    while True:
        for notice in changes:
            out.show(notice)
        if stopped():
            return
        try:
            sight = lookout.look(notices.measures, notices.periods_s)
        except ServerError as error:
            changes = notices.lost(str(error), _now())
        else:
            changes = notices.compare(sight, _now())


def _warn_of_unknown(conditions: list[str]) -> None:
    for condition in conditions:
        note(f"'{condition}': nothing has this name yet; is it the right one?")


def _now() -> Instant:
    return SystemClock().read()


class _Out:
    """Prints notices, and passes them on.

    Args:
        server: The server and the namespace.
        teller: Tells them to programs and webhooks.
        as_json: Print JSON instead of text.
    """

    def __init__(self, server: Server, teller: Teller, *, as_json: bool) -> None:
        self._server = server
        self._teller = teller
        self._as_json = as_json
        self._is_mute = False

    def show(self, notice: Notice) -> None:
        """Print a notice, and pass it on."""
        fields = asdict(notice) | {
            "namespace": self._server.namespace,
            "server": self._server.label,
        }
        as_document = document(fields)
        variables = {
            f"WORKKIT_NOTICE_{name.upper()}": "" if value is None else clean(str(value))[:_VARIABLE]
            for name, value in fields.items()
        }
        self._teller.tell(Told(f"{notice.event} {_line(notice)}", as_document, variables))
        if self._as_json:
            self._print(as_document)
        else:
            head = click.style(notice.event, fg=_COLORS[notice.level])
            space = " " * (len("begins") - len(notice.event))
            self._print(f"{stamp(notice.at)}  {head}{space}  {_line(notice)}")

    def _print(self, line: str) -> None:
        """Print a line. A stdout that nobody reads must not keep programs and webhooks waiting."""
        if self._is_mute:
            return
        if not self._teller.has_channels:
            click.echo(line)
        elif can_take(sys.stdout):
            try:
                click.echo(line)
            except (BrokenPipeError, ValueError):
                self._is_mute = True
                exits.silence_stdout()
                note("stdout is closed; the watch goes on with --exec and --webhook")


def _line(notice: Notice) -> str:
    lasted = f" (after {age(notice.at - notice.since)})" if notice.event == "ends" else ""
    return notice.text + lasted
