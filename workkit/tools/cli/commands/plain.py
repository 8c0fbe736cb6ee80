"""`workkit top --plain`: the console line by line, for screen readers and simple terminals.

Each line is a command of `workkit`, on the server and the namespace of the console. Nothing is
drawn and nothing moves: what needs attention is said once, when it begins and when it ends.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from typing import Final

import click

from workkit.admin.attention import Concern, in_lines
from workkit.admin.reader import Reader
from workkit.core.records import Overview
from workkit.core.text import clean
from workkit.errors import WorkkitError
from workkit.tools.cli.commands.glance import each_trouble, print_glance
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import Server

__all__ = ["LineMode"]

_PROMPT: Final = "workkit> "
_ENDS: Final = frozenset({"exit", "q", "quit"})
#: What a concern is about: its kind, and the queue or pool.
_Subject = tuple[str, str]
#: The commands that change nothing on the server.
_READING: Final = frozenset({
    "archive", "audit", "audit-log", "check", "export", "history", "jobs", "metrics", "pools",
    "queues", "record", "simulate", "snapshot", "watch",
})  # fmt: skip


class LineMode:
    """Reads commands and runs them, until the user quits or the input ends.

    Args:
        commands: All commands of `workkit`.
        server: The server and the namespace.
        reader: A reader of them.
        read_only: Whether commands that may change something are refused.
    """

    def __init__(
        self, commands: click.Group, server: Server, reader: Reader, *, read_only: bool
    ) -> None:
        self._commands = commands
        self._server = server
        self._reader = reader
        self._read_only = read_only
        self._seen: Overview | None = None
        self._known: dict[_Subject, Concern] = {}

    def run(self) -> None:
        """Show the overview, then run one command after the other."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives `input` its line editing
        self._show()
        click.echo("Enter shows this again, help the commands, quit ends.")
        with _as_defaults(self._server):
            while True:
                try:
                    line = input(_PROMPT)
                except EOFError:
                    click.echo()
                    return
                except KeyboardInterrupt:
                    click.echo()
                    continue
                if line.strip() in _ENDS:
                    return
                self._run_line(line)

    def _run_line(self, line: str) -> None:
        try:
            words = shlex.split(line)
        except ValueError as error:
            exits.complain(f"{error}; write quotes in pairs")
            return
        if words[:1] == ["workkit"]:
            del words[0]
        if not words:
            self._guarded(self._show)
            return
        if words[0] == "help":
            words = [*words[1:], "--help"]
        if words[0] == "top":
            exits.complain("you are in workkit top; Enter shows the overview")
        elif self._read_only and not _reads(words):
            exits.complain(f"--read-only refuses {clean(words[0])}: it may change something")
        else:
            self._run(words)
            self._guarded(self._tell_changes)

    def _run(self, words: list[str]) -> None:
        try:
            self._commands.main(args=words, prog_name="workkit", standalone_mode=False)
        except click.ClickException as error:
            error.show()
        except click.Abort:
            click.echo()
        except OSError as error:
            exits.complain_of_system(error)

    def _show(self) -> None:
        print_glance(self._reader, as_json=False)
        self._seen, self._known = self._look()

    def _look(self) -> tuple[Overview, dict[_Subject, Concern]]:
        seen = self._reader.overview()
        return seen, {(each.kind, each.about): each for each in each_trouble(self._reader, seen)}

    def _tell_changes(self) -> None:
        """Say what has begun or ended to need attention since it was shown.

        The sentences have numbers and ages, so it is not the sentences that are compared.
        """
        seen, found = self._look()
        begun = [concern for subject, concern in found.items() if subject not in self._known]
        for concern in in_lines(seen, begun):
            click.echo(f"new: {concern.text}")
        if self._seen is not None:
            ended = [concern for subject, concern in self._known.items() if subject not in found]
            for concern in in_lines(self._seen, ended):
                click.echo(f"over: {concern.text}")
        self._seen, self._known = seen, found

    @staticmethod
    def _guarded(step: Callable[[], None]) -> None:
        try:
            step()
        except WorkkitError as error:  # the server may be back at the next command
            exits.complain(error)


def _reads(words: list[str]) -> bool:
    """Tell whether a command changes nothing on the server."""
    if words[0] == "doctor":
        return not any(word.startswith("--rep") for word in words)
    return words[0] in _READING or words[0].startswith("-")


@contextlib.contextmanager
def _as_defaults(server: Server) -> Iterator[None]:
    """Give commands the server and the namespace that the console was started with."""
    wanted = {"WORKKIT_REDIS_URL": server.redis, "WORKKIT_NAMESPACE": server.namespace}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
