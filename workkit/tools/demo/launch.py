"""Prepares a run (server, namespace, signals, display), and cleans up after it."""

from __future__ import annotations

import json
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass

from workkit.client import Client
from workkit.core.entropy import Entropy
from workkit.core.urls import without_password
from workkit.embedded import EmbeddedServer
from workkit.engine.process.signals import SignalEvent, signals_to
from workkit.errors import InvalidOption
from workkit.store.calls.server import scan
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.keys import Keys
from workkit.store.round_trip import RoundTrip, Step
from workkit.tools.console import open_console
from workkit.tools.demo.account import Account
from workkit.tools.demo.display import DemoDisplay
from workkit.tools.demo.session import DemoSession
from workkit.tools.demo.workload import Workload, find_sources, source_roots

__all__ = ["DemoOptions", "launch", "sweep"]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the command; None stands for a private server and for a new namespace."""

    redis: str | None
    namespace: str | None
    concurrency: int
    limit: int
    as_json: bool
    keep: bool
    top: bool


def launch(options: DemoOptions) -> int:
    """Run the demo.

    Returns:
        The exit code: 0, 1 if the account does not balance, 128 and the signal after a signal.

    Raises:
        MissingExtra: There is no server to start.
        InvalidOption: The namespace or the URL cannot be used.
        InvalidName: The namespace is not valid.
        ServerError: The server does not answer or refuses.
    """
    stop, signals = SignalEvent(), [0]

    def on_signal(number: int, _frame: object) -> None:
        leave = options.top and not stop.is_set()
        signals.append(number)
        stop.set()
        if leave:
            raise KeyboardInterrupt  # ends the console, which does not know `stop`

    with signals_to(on_signal), ExitStack() as stack:
        display = DemoDisplay(sys.stderr if options.as_json else sys.stdout)
        workload = Workload.choose(find_sources(source_roots()), options.limit)
        url, namespace, server = _prepare(options, stack)
        shown = DemoDisplay(None) if options.top else display
        session = DemoSession(url, namespace, workload, options.concurrency, shown, stop)
        stack.callback(session.close)
        where = f"on {server}, namespace {namespace}, {options.concurrency} jobs at once"
        display.introduce(workload, where)
        account = _run_in_console(session, stop) if options.top else session.run()
        if not account.complete:
            display.say("stopped early; the account shows how far the run came")
        display.finish(account)
        if options.as_json:
            sys.stdout.write(f"{json.dumps(account.as_json(), indent=2)}\n")
            sys.stdout.flush()
        if options.keep and account.complete:
            display.say(
                "\nThe server and a pool run until Ctrl-C. In another terminal:\n\n"
                f"  export WORKKIT_REDIS_URL={shlex.quote(without_password(url))}\n"
                f"  export WORKKIT_NAMESPACE={shlex.quote(namespace)}\n"
                "  workkit queues\n  workkit jobs dead\n  workkit retry --all\n"
            )
            session.go_on()
            display.say("\nstopped")
        elif signals[-1]:
            return 128 + signals[-1]  # as shells report it
        return 1 if account.problems() else 0


def _run_in_console(session: DemoSession, stop: SignalEvent) -> Account:
    """Run on a thread while the console shows it; ends when the user leaves the console."""

    def work() -> Account:
        account = session.run()
        if not stop.is_set():
            session.go_on()
        return account

    with ThreadPoolExecutor(1) as executor, closing(Client(session.namespace, session.redis)) as c:
        future = executor.submit(work)
        try:
            with suppress(KeyboardInterrupt):
                open_console(c, refresh_s=1.0)
        finally:
            stop.set()
        return future.result()


def _prepare(options: DemoOptions, stack: ExitStack) -> tuple[str, str, str]:
    """Get a server and a free namespace; return URL, namespace, and a name for the server."""
    namespace = options.namespace
    if namespace is None:
        namespace = f"demo-{Entropy().identifier()[:8]}"
    if options.redis is None:
        server = stack.enter_context(EmbeddedServer())
        return server.url, namespace, f"a private {server.version}"
    if taken := sweep(namespace, options.redis):
        raise InvalidOption(
            f"namespace {namespace!r} is in use (there is a key {taken!r}), and the demo clears "
            "its namespace at the end; choose another"
        )
    if not options.keep:
        stack.callback(sweep, namespace, options.redis, remove=True)
    return options.redis, namespace, Target.of(options.redis).label


def sweep(namespace: str, redis: object, *, remove: bool = False) -> str | None:
    """Return the first key that is found in a namespace, or remove all of its keys.

    Raises:
        InvalidOption: It is the empty namespace, to which every key belongs.
        InvalidName: It is not a valid namespace.
        ServerError: The server does not answer or refuses.
    """
    if not namespace:
        raise InvalidOption(
            "the demo deletes all keys of its namespace at the end, so it refuses an empty name"
        )
    keys = Keys(namespace)
    with closing(Link(Target.of(redis))) as link:
        return link.carry(_sweep(keys, remove))


def _sweep(keys: Keys, remove: bool) -> Step[str | None]:
    cursor: int | None = None
    while cursor != 0:
        cursor, found = yield from scan(keys, cursor or 0)
        if found and not remove:
            return found[0].decode("utf-8", "replace")
        if found:
            yield from RoundTrip.one(("UNLINK", *found), int)
    return None
