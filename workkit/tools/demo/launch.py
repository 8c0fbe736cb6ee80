"""Sets the stage for a run: server, namespace, signals, display; and clears it away."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Final, TextIO
from urllib.parse import urlsplit, urlunsplit

from workkit.core.entropy import Entropy
from workkit.embedded import EmbeddedServer
from workkit.engine.process.signals import SignalEvent, signals_to
from workkit.errors import MissingExtra
from workkit.tools.console import console_fits
from workkit.tools.demo.display import Display, PlainDisplay
from workkit.tools.demo.report import as_json
from workkit.tools.demo.session import Session
from workkit.tools.demo.sweep import remove_keys, require_free
from workkit.tools.demo.wording import headline, how_to_try, left_out
from workkit.tools.demo.workload import Workload, find_sources, source_roots

__all__ = ["Options", "choose_display", "launch", "without_password"]

_MISSING: Final = 1
#: What a shell reports for a program that a signal ended.
_SIGNALLED: Final = 128
_ID_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was asked for.

    Attributes:
        redis: The server's URL; None for one of our own.
        namespace: Prefix of all keys; None for a fresh one.
        concurrency: How many jobs run at once.
        limit: How many files are processed at most.
        as_json: Whether the report is to be JSON.
        keep: Whether server and pool are kept until a signal.
        console: Whether the console is opened, if there is a terminal for it.
    """

    redis: str | None
    namespace: str | None
    concurrency: int
    limit: int
    as_json: bool
    keep: bool
    console: bool = False


def launch(options: Options) -> int:
    """Run the demo.

    Returns:
        The exit code: 0, 1 if something does not add up, 128 and the signal after a signal.

    Raises:
        MissingExtra: There is no server to start, or no rich for the terminal.
        InvalidOption: The namespace or the URL cannot be used.
        InvalidName: The namespace cannot be one.
        ServerError: The server does not answer or refuses.
    """
    with ExitStack() as stack:
        stop = _Stop()
        stack.enter_context(signals_to(stop.on_signal))
        display = choose_display(sys.stderr if options.as_json else sys.stdout)
        roots = source_roots()
        workload = Workload.choose(roots, find_sources(roots), options.limit)
        url, namespace, label = _prepare(options, stack)
        if options.console and not options.as_json and console_fits():
            return _in_console(options, stack, stop, display, (url, namespace, workload))
        session = Session(url, namespace, workload, options.concurrency, display, stop)
        stack.callback(session.close)
        display.say(headline(workload))
        if rest := left_out(workload):
            display.say(rest)
        display.say(f"on {label}, namespace {namespace}, {options.concurrency} jobs at once")
        report = session.run()
        if not report.complete:
            display.say("stopped early; this is how far it came")
        display.finish(report)
        if options.as_json:
            sys.stdout.write(f"{json.dumps(as_json(report), indent=2)}\n")
            sys.stdout.flush()
        if options.keep and report.complete:
            display.say(how_to_try(without_password(url), namespace))
            session.go_on()
            display.say("")  # below the terminal's ^C
        elif stop.number:
            return _SIGNALLED + stop.number
        return _MISSING if report.problems else 0


def _in_console(
    options: Options,
    stack: ExitStack,
    stop: _Stop,
    display: Display,
    on: tuple[str, str, Workload],
) -> int:
    """Run while the console shows it, and account for everything when it is left."""
    from workkit.tools.demo.display import UnseenDisplay
    from workkit.tools.demo.in_console import run_in_console

    url, namespace, workload = on
    session = Session(url, namespace, workload, options.concurrency, UnseenDisplay(), stop)
    stack.callback(session.close)
    report = run_in_console(session, stop)
    if report is None:
        return _MISSING
    display.say(headline(workload))
    if not report.complete:
        display.say("left early; this is how far it came")
    display.finish(report)
    return _MISSING if report.problems else 0


def _prepare(options: Options, stack: ExitStack) -> tuple[str, str, str]:
    """Get a server and a free namespace.

    Returns:
        The server's URL, the namespace, and the server as it may be shown.
    """
    namespace = options.namespace
    if namespace is None:
        namespace = f"demo-{Entropy().identifier()[:_ID_DIGITS]}"
    if options.redis is None:
        server = stack.enter_context(EmbeddedServer())
        return server.url, namespace, f"a {server.version} of its own"
    require_free(namespace, options.redis)
    if not options.keep:
        stack.callback(remove_keys, namespace, options.redis)
    return options.redis, namespace, without_password(options.redis)


class _Stop(SignalEvent):
    """Set by a signal.

    Attributes:
        number: The signal; 0 for none.
    """

    number = 0

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.number = number
        self.set()


def choose_display(stream: TextIO) -> Display:
    """Return a live view for a terminal that can move its cursor, plain lines for anything else.

    Args:
        stream: Where to show it.

    Raises:
        MissingExtra: It is a terminal, and rich is not installed.
    """
    if not stream.isatty() or os.environ.get("TERM", "dumb") in {"dumb", "unknown"}:
        return PlainDisplay(stream)
    try:
        from workkit.tools.demo.terminal import TerminalDisplay
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        raise MissingExtra("workkit demo on a terminal", "demo") from None
    return TerminalDisplay(stream)


def without_password(url: str) -> str:
    """Return a URL that can be shown."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))
